"""Faults that are planted in spaces are found."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from weaknas.spaces import ChoiceSpace, GraphBatch, SearchSpace
from weaknas.spaces.nasbench201 import NASBench201
from weaknas.testing import (
    check_space,
    space_checks,
)


class Bits(ChoiceSpace):
    """Six bits, all right; its subclasses are not."""

    def __init__(self) -> None:
        super().__init__({f"bit{i}": [0, 1] for i in range(6)}, name="bits")


class NotIdempotent(Bits):
    def canonicalize(self, genotypes: Any) -> Any:
        return np.roll(np.asarray(genotypes, dtype=np.int16), 1, axis=1)


class CanonicalFormOutside(Bits):
    def contains(self, genotypes: Any) -> Any:
        return super().contains(genotypes) & (np.asarray(genotypes).sum(axis=1) < 4)

    def sample(self, n: int, rng: np.random.Generator) -> Any:
        rows = super().sample(10 * n + 50, rng)
        return rows[self.contains(rows)][:n]

    def canonicalize(self, genotypes: Any) -> Any:
        rows = np.asarray(genotypes, dtype=np.int16)
        return np.where(rows.sum(axis=1, keepdims=True) == 3, 1, rows).astype(np.int16)


class DependsOnTheBatch(Bits):
    def canonicalize(self, genotypes: Any) -> Any:
        rows = np.asarray(genotypes, dtype=np.int16)
        return np.where(len(rows) > 1, rows, 0 * rows).astype(np.int16)


class FingerprintsCollide(Bits):
    def fingerprint(self, genotypes: Any) -> Any:
        return super().fingerprint(genotypes) // 2


class IdsCollide(Bits):
    def canonical_ids(self, genotypes: Any) -> list[str]:
        return [text[:-1] for text in super().canonical_ids(genotypes)]


class ModifiesItsInput(Bits):
    def mutate(self, genotypes: Any, rng: np.random.Generator) -> Any:
        genotypes[:, 0] = 1 - genotypes[:, 0]
        return genotypes.copy()


class Biased(Bits):
    def sample(self, n: int, rng: np.random.Generator) -> Any:
        return (rng.random((n, 6)) < 0.47).astype(np.int16)


class BiasedAndUnlistable(ChoiceSpace):
    def __init__(self) -> None:
        super().__init__({f"bit{i}": [0, 1] for i in range(30)}, name="bits")

    def sample(self, n: int, rng: np.random.Generator) -> Any:
        return (rng.random((n, 30)) < 0.45).astype(np.int16)


class DrawsOutside(Bits):
    def sample(self, n: int, rng: np.random.Generator) -> Any:
        return rng.integers(3, size=(n, 6)).astype(np.int16)


class IgnoresTheSeed(Bits):
    def sample(self, n: int, rng: np.random.Generator) -> Any:
        return super().sample(n, np.random.default_rng())


class AlwaysTheSame(Bits):
    def sample(self, n: int, rng: np.random.Generator) -> Any:
        return super().sample(n, np.random.default_rng(0))


class UsesGlobalRandomness(Bits):
    def mutate(self, genotypes: Any, rng: np.random.Generator) -> Any:
        random.random()
        return super().mutate(genotypes, rng)


class UnseededMutation(Bits):
    def mutate(self, genotypes: Any, rng: np.random.Generator) -> Any:
        return super().mutate(genotypes, np.random.default_rng())


class WrongType(Bits):
    def sample(self, n: int, rng: np.random.Generator) -> Any:
        return super().sample(n, rng).astype(np.int64)


class WrongShape(Bits):
    def sample(self, n: int, rng: np.random.Generator) -> Any:
        return super().sample(n, rng)[0] if n == 1 else super().sample(n, rng)


class MutationLeaves(Bits):
    def mutate(self, genotypes: Any, rng: np.random.Generator) -> Any:
        return (super().mutate(genotypes, rng) + (rng.random((len(genotypes), 1)) < 0.1)).astype(
            np.int16
        )


class MutationDoesNothing(Bits):
    def mutate(self, genotypes: Any, rng: np.random.Generator) -> Any:
        return np.array(genotypes, dtype=np.int16)


class CrossoverLeaves(Bits):
    def crossover(self, first: Any, second: Any, rng: np.random.Generator) -> Any:
        return (np.asarray(first) + np.asarray(second)).astype(np.int16)


class CrossoverChanges(Bits):
    def crossover(self, first: Any, second: Any, rng: np.random.Generator) -> Any:
        return self.mutate(first, rng)


class NeighborOfItself(Bits):
    def neighbors(self, genotype: Any) -> Any:
        return np.vstack([super().neighbors(genotype), np.asarray(genotype)[None]])


class NeighborsRepeat(Bits):
    def neighbors(self, genotype: Any) -> Any:
        return np.vstack([super().neighbors(genotype)] * 2)


class OneWayNeighbors(Bits):
    def neighbors(self, genotype: Any) -> Any:
        rows = super().neighbors(genotype)
        return rows[rows.sum(axis=1) > np.sum(genotype)]


class ListsTwice(Bits):
    def enumerate(self) -> Any:
        return np.repeat(super().enumerate()[: self.size // 2], 2, axis=0)


class ContainsAnything(Bits):
    def contains(self, genotypes: Any) -> Any:
        return np.ones(len(genotypes), dtype=bool)


class TextForgets(Bits):
    def format(self, genotype: Any) -> str:
        return super().format(np.concatenate([genotype[:-1], [0]]))


class ParseForgets(Bits):
    def parse(self, text: str) -> Any:
        return np.concatenate([super().parse(text)[:-1], np.zeros(1, dtype=np.int16)])


class ReadsNonsense(Bits):
    def parse(self, text: str) -> Any:
        return super().parse(text) if "=" in text and len(text) > 1 else np.zeros(6, np.int16)


class NonsenseCrashes(Bits):
    def parse(self, text: str) -> Any:
        values = dict(pair.split("=") for pair in text.split(","))
        return np.array([int(values[name]) for name in self.variables], dtype=np.int16)


class Unpicklable(Bits):
    def __init__(self) -> None:
        super().__init__()
        self.secret = lambda: None


class DescribesArrays(Bits):
    def describe(self) -> dict[str, Any]:
        return super().describe() | {"counts": self.cardinalities}


class NoSwap(NASBench201):
    """Forgets that the two inner nodes may change places."""

    def canonicalize(self, genotypes: Any) -> Any:
        rows = super().canonicalize(genotypes)
        raw = np.asarray(genotypes, dtype=np.int16)
        return np.where((raw == 0) == (rows == 0), raw, rows).astype(np.int16)


class MergesTooMuch(NASBench201):
    """Takes a pooling for a skip connection."""

    def canonicalize(self, genotypes: Any) -> Any:
        rows = np.asarray(genotypes)
        return super().canonicalize(np.where(rows == 4, 1, rows))


class GraphsForget(NASBench201):
    def graphs(self, genotypes: Any) -> GraphBatch:
        batch = super().graphs(genotypes)
        return GraphBatch(batch.adjacency, np.minimum(batch.operations, 4), batch.vocabulary)


class GraphsGoBackwards(NASBench201):
    def graphs(self, genotypes: Any) -> GraphBatch:
        batch = super().graphs(genotypes)
        return GraphBatch(batch.adjacency.transpose(0, 2, 1), batch.operations, batch.vocabulary)


class GraphsHaveDeadEnds(NASBench201):
    def graphs(self, genotypes: Any) -> GraphBatch:
        batch = super().graphs(genotypes)
        adjacency = batch.adjacency.copy()
        adjacency[:, 0, 1] = False
        return GraphBatch(adjacency, batch.operations, batch.vocabulary)


class WithNetworks(Bits):
    """As many linear layers as bits are set."""

    def network(self, architecture: Any, *, classes: int = 10, shape: Any = (3, 32, 32)) -> Any:
        torch = pytest.importorskip("torch")
        layers = [torch.nn.Linear(8, 8) for _ in range(sum(self.chosen(architecture)))]
        first = torch.nn.Linear(shape[0] * shape[1] * shape[2], 8)
        return torch.nn.Sequential(
            torch.nn.Flatten(), first, *layers, torch.nn.Linear(8, self.outputs(classes))
        )

    def chosen(self, architecture: Any) -> list[int]:
        return list(self.decode(architecture).values())

    def outputs(self, classes: int) -> int:
        return classes


class NetworksOfOneForm(WithNetworks):
    def chosen(self, architecture: Any) -> list[int]:
        return list(architecture.genotype)


class NetworksOfTenClasses(WithNetworks):
    def outputs(self, classes: int) -> int:
        return 10


class NetworksOfOwnSeed(WithNetworks):
    def network(self, *arguments: Any, **options: Any) -> Any:
        torch = pytest.importorskip("torch")
        torch.seed()
        return super().network(*arguments, **options)


class NoModules(WithNetworks):
    def network(self, architecture: Any, **options: Any) -> Any:
        return super().network(architecture, **options).forward


def nasbench201_reference(row: np.ndarray) -> str:
    """A canonical form of NAS-Bench-201 by another way: prune, then the smaller of both orders."""
    edges = {}
    for (source, target), op in zip(
        [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)], row.tolist(), strict=True
    ):
        if op:
            edges[source, target] = op
    for node in (1, 2, 1, 2):
        arrives = any(t == node for _, t in edges)
        leaves = any(s == node for s, _ in edges)
        if not (arrives and leaves):
            edges = {edge: op for edge, op in edges.items() if node not in edge}
    swap = {0: 0, 1: 2, 2: 1, 3: 3}
    other = {(swap[s], swap[t]): op for (s, t), op in edges.items()}
    return str(min(sorted(edges.items()), sorted(other.items())))


def test_nothing_is_found_in_sound_spaces(broken: Any) -> None:
    assert broken(space_checks(Bits())) == {}
    assert broken(space_checks(NASBench201(), reference=nasbench201_reference)) == {}
    check_space(Bits(), symmetric_neighbors=True)
    check_space(WithNetworks(), shape=(1, 4, 4))


@pytest.mark.parametrize(
    ("space", "check"),
    [
        (NotIdempotent, "canonical_form_is_idempotent"),
        (CanonicalFormOutside, "canonical_form_stays_inside"),
        (DependsOnTheBatch, "canonical_form_of_a_row_is_its_own"),
        (FingerprintsCollide, "fingerprints_tell_canonical_forms_apart"),
        (IdsCollide, "ids_tell_canonical_forms_apart"),
        (ModifiesItsInput, "inputs_are_not_modified"),
        (Biased, "sample_is_uniform"),
        (BiasedAndUnlistable, "decisions_are_drawn_uniformly"),
        (DrawsOutside, "sample_stays_inside"),
        (IgnoresTheSeed, "sample_is_seeded"),
        (AlwaysTheSame, "sample_is_seeded"),
        (UsesGlobalRandomness, "global_random_state_is_untouched"),
        (UnseededMutation, "moves_are_seeded"),
        (WrongType, "batches_have_shape_and_type"),
        (WrongShape, "batches_have_shape_and_type"),
        (MutationLeaves, "mutants_stay_inside"),
        (MutationDoesNothing, "mutants_differ"),
        (CrossoverLeaves, "children_stay_inside"),
        (CrossoverChanges, "children_of_one_parent_are_like_it"),
        (NeighborOfItself, "neighbors_are_canonical_and_distinct"),
        (NeighborsRepeat, "neighbors_are_canonical_and_distinct"),
        (OneWayNeighbors, "neighbors_are_symmetric"),
        (ListsTwice, "enumeration_is_whole"),
        (ContainsAnything, "contains_refuses_numbers_out_of_range"),
        (TextForgets, "text_round_trip"),
        (TextForgets, "different_architectures_have_different_texts"),
        (ParseForgets, "text_round_trip"),
        (ParseForgets, "architectures_survive_records"),
        (ReadsNonsense, "nonsense_is_refused"),
        (NonsenseCrashes, "nonsense_is_refused"),
        (Unpicklable, "pickle_keeps_the_space"),
        (DescribesArrays, "description_is_plain"),
        (NoSwap, "graphs_tell_architectures_apart"),
        (GraphsForget, "graphs_tell_architectures_apart"),
        (GraphsGoBackwards, "graphs_are_well_formed"),
        (GraphsHaveDeadEnds, "graphs_are_well_formed"),
        (NetworksOfOneForm, "networks_are_the_same_however_they_are_named"),
        (NetworksOfOwnSeed, "networks_are_the_same_however_they_are_named"),
        (NetworksOfTenClasses, "networks_map_images_to_logits"),
        (NoModules, "networks_map_images_to_logits"),
    ],
)
def test_faults_of_spaces_are_found(
    assert_found: Any, space: Callable[[], SearchSpace], check: str
) -> None:
    assert_found(space_checks(space()), check)


@pytest.mark.parametrize("space", [NoSwap, MergesTooMuch])
def test_a_reference_finds_wrong_canonical_forms(
    assert_found: Any, space: Callable[[], SearchSpace]
) -> None:
    checks = space_checks(space(), reference=nasbench201_reference)
    assert_found(checks, "canonical_form_agrees_with_the_reference")


def test_the_first_broken_promise_is_raised_with_its_words() -> None:
    with pytest.raises(
        AssertionError, match="the space 'bits' breaks the promise of sample_is_uni"
    ):
        check_space(Biased())


def test_a_sound_sample_is_not_called_biased() -> None:
    uniform = [c for c in space_checks(Bits()) if c.name == "sample_is_uniform"]
    for seed in range(200):
        checks = space_checks(Bits(), seed=seed)
        next(c for c in checks if c.name == "sample_is_uniform")()
    assert uniform
