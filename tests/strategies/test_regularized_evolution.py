"""Ageing, tournaments and mutation as Real et al. (2019) define them."""

from __future__ import annotations

import numpy as np
import pytest

from weaknas.errors import InputError
from weaknas.spaces import ChoiceSpace, Genotypes
from weaknas.strategies import RegularizedEvolution

SPACE = ChoiceSpace({f"x{i}": ["a", "b", "c", "d", "e"] for i in range(12)})


def far_apart(n: int) -> Genotypes:
    """Rows that differ in every decision, so that a child shows who its parent is."""
    return np.repeat(np.arange(n, dtype=np.int16)[:, None], SPACE.n_variables, axis=1)


def told(population: int, tournament: int, scores: list[float]) -> RegularizedEvolution:
    strategy = RegularizedEvolution(SPACE, population=population, tournament=tournament, seed=1)
    strategy.tell(SPACE.architectures(far_apart(len(scores))), scores)
    return strategy


def parents(strategy: RegularizedEvolution, n: int) -> list[int]:
    children = np.array([architecture.genotype for architecture in strategy.ask(n)])
    return [int(np.bincount(child).argmax()) for child in children]


def test_a_child_is_its_parent_with_one_other_decision() -> None:
    children = np.array([a.genotype for a in told(3, 2, [1, 2, 3]).ask(30)])
    distances = (children[:, None] != far_apart(3)).sum(axis=2)
    assert (distances.min(axis=1) == 1).all()


def test_the_oldest_dies_and_not_the_worst() -> None:
    # With so large a tournament the best of the living is the parent for sure.
    assert set(parents(told(3, 200, [9, 5, 1]), 20)) == {0}
    assert set(parents(told(3, 200, [9, 5, 1, 0]), 20)) == {1}
    assert set(parents(told(3, 200, [9, 5, 1, 0, 0.5]), 20)) == {2}


def test_tournaments_draw_with_replacement() -> None:
    size, rounds = 3, 3000
    scores = [3.0, 1.0, 4.0, 0.0]
    strategy = told(4, size, scores)
    drawn = np.array([strategy._draw() for _ in range(rounds)])
    counts = np.bincount([np.bincount(child).argmax() for child in drawn], minlength=4)
    # The r-th best of P wins when the best of S draws is the r-th:
    # ((P - r + 1)^S - (P - r)^S) / P^S, r from 1.
    rank = np.argsort(np.argsort(-np.array(scores))) + 1
    expected = ((5 - rank) ** size - (4 - rank) ** size) / 4**size * rounds
    assert expected.sum() == pytest.approx(rounds)
    assert ((counts - expected) ** 2 / expected).sum() < 16.3  # chi-square, 3 df, p = 0.001


def test_until_the_population_is_full_architectures_are_random() -> None:
    strategy = told(5, 5, [1, 2, 3])
    distances = [(np.array(a.genotype) != far_apart(3)).sum(axis=1).min() for a in strategy.ask(20)]
    assert min(distances) > 1


def test_failures_do_not_enter_the_population() -> None:
    assert set(parents(told(2, 100, [1, 3, np.nan, np.nan]), 10)) == {1}


def test_what_is_known_enters_again_without_a_query() -> None:
    space = ChoiceSpace({"x": ["a", "b"], "y": ["a", "b"]})
    strategy = RegularizedEvolution(space, population=2, tournament=1, seed=0)
    strategy.tell(space.architectures(space.enumerate()[:3]), [1.0, 2.0, 3.0])
    (last,) = strategy.ask(1)
    assert last.genotype == (1, 1)  # the one left, however often known children were drawn


def test_wrong_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="population must be at least 1, not 0"):
        RegularizedEvolution(SPACE, population=0)
