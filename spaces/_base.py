"""The contract of a search space, right as it stands for a plain product of choices."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError
from weaknas.spaces.architecture import Architecture, ArchitectureLike
from weaknas.spaces.graphs import GraphBatch
from weaknas.spaces.rows import (
    Fingerprints,
    Genotypes,
    all_changes,
    all_changes_of_each,
    change_one,
    count_rows,
    genotype_dtype,
    is_batch,
    is_row,
    list_rows,
    number_rows,
)

if TYPE_CHECKING:
    from torch.nn import Module

#: Genotypes, shape (n, d), to numbers, shape (n,).
CostFunction: TypeAlias = Callable[[npt.NDArray[np.integer]], npt.NDArray[Any]]

#: Spaces up to this many genotypes are enumerated; larger ones are sampled.
LISTABLE_LIMIT = 1_000_000


class SearchSpace(ABC):
    """The set of architectures that can be chosen; knows nothing of accuracy.

    A genotype is a row of ``len(cardinalities)`` small integers, the i-th below
    ``cardinalities[i]``; batches are ``(n, d)`` arrays of `genotype_dtype`. The defaults
    here are right for a plain product of choices. A space whose genotypes are
    not all valid, or in which several genotypes are the same architecture,
    overrides `contains` and `canonicalize`.

    Attributes
    ----------
    name : str
        The registered name.
    variables : tuple of str
        Name of each of the d decisions.
    cardinalities : ndarray of int, shape (d,)
        Number of choices of each decision.
    ordered : ndarray of bool, shape (d,)
        Which decisions are between ordered values, such as widths.
    """

    name: str
    variables: tuple[str, ...]
    cardinalities: npt.NDArray[np.int64]
    ordered: npt.NDArray[np.bool_]

    # -- what a space must say --------------------------------------------------

    @abstractmethod
    def format(self, genotype: npt.NDArray[np.integer]) -> str:
        """Return the string form of one genotype, shape (d,)."""

    @abstractmethod
    def parse(self, text: str) -> Genotypes:
        """Read the string form of one architecture.

        Returns
        -------
        ndarray of int, shape (d,)

        Raises
        ------
        InputError
            When the text is not an architecture of this space.
        """

    def canonicalize(self, genotypes: npt.NDArray[np.integer]) -> Genotypes:
        """Map each genotype to the one that stands for its isomorphism class.

        Parameters
        ----------
        genotypes : ndarray of int, shape (n, d)

        Returns
        -------
        ndarray of int, shape (n, d)
        """
        return np.asarray(genotypes, dtype=self.genotype_dtype)

    def contains(self, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
        """Tell which genotypes, shape (n, d), are architectures of this space."""
        rows = np.asarray(genotypes)
        return np.asarray(((rows >= 0) & (rows < self.cardinalities)).all(axis=1))

    def confirm(self, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
        """Tell which genotypes, shape (n, d), that are about to be trained may be.

        All of them may, but where membership is only predicted, and looked into now.
        """
        return np.ones(len(genotypes), dtype=bool)

    @property
    def shared_choices(self) -> list[npt.NDArray[np.int64]]:
        """Columns of decisions that have the same choices, each two of them or more."""
        return []

    @property
    def value_names(self) -> list[list[str]]:
        """Names of the values of each decision; their numbers where they have no others."""
        return [[str(value) for value in range(count)] for count in self.cardinalities.tolist()]

    # -- size and identity --------------------------------------------------------

    @property
    def n_variables(self) -> int:
        """Number of decisions d."""
        return len(self.cardinalities)

    @property
    def genotype_dtype(self) -> np.dtype[Any]:
        """Type of the integers of a genotype: int16, wider where a decision has more choices."""
        return genotype_dtype(self.cardinalities)

    @property
    def size(self) -> int:
        """Exact number of genotypes."""
        return count_rows(self.cardinalities)

    @property
    def is_listable(self) -> bool:
        """Whether `enumerate` is offered."""
        return self.size <= LISTABLE_LIMIT

    @cached_property
    def architecture_fingerprints(self) -> Fingerprints:
        """Fingerprints of all architectures, isomorphic ones once, in ascending order.

        Raises
        ------
        InputError
            When the space is too large to list.
        """
        return np.unique(self.fingerprint(self.enumerate()))

    def describe(self) -> dict[str, Any]:
        """Return what distinguishes this space from another, as plain JSON types."""
        return {"name": self.name, "size": self.size}

    def fingerprint(self, genotypes: npt.NDArray[np.integer]) -> Fingerprints:
        """Return one 64-bit integer a genotype, equal for isomorphic architectures.

        Exact (a mixed-radix number) where the space has fewer than 2^63 genotypes.
        Above, a 64-bit hash: among a million architectures two different ones
        collide with a probability of about 3e-8.

        Parameters
        ----------
        genotypes : ndarray of int, shape (n, d)

        Returns
        -------
        ndarray of int64, shape (n,)
        """
        return number_rows(self.canonicalize(genotypes), self.cardinalities)

    def canonical_ids(self, genotypes: npt.NDArray[np.integer]) -> list[str]:
        """Return the canonical id of each genotype: a short, exact, readable text."""
        rows = self.canonicalize(genotypes).tolist()
        separator = "" if int(self.cardinalities.max()) <= 10 else "."
        return [separator.join(map(str, row)) for row in rows]

    # -- drawing and moving -------------------------------------------------------

    def enumerate(self) -> Genotypes:
        """Return every genotype, shape (size, d), in lexicographic order.

        Raises
        ------
        InputError
            When the space is too large to list.
        """
        self._require_listable()
        return list_rows(self.cardinalities)

    def sample(self, n: int, rng: np.random.Generator) -> Genotypes:
        """Draw n genotypes uniformly, with replacement; shape (n, d)."""
        drawn = rng.integers(self.cardinalities, size=(n, self.n_variables))
        return drawn.astype(self.genotype_dtype)

    def mutate(self, genotypes: npt.NDArray[np.integer], rng: np.random.Generator) -> Genotypes:
        """Change one decision, drawn uniformly, of each genotype, shape (n, d)."""
        return change_one(genotypes, self.cardinalities, rng)

    def crossover(
        self,
        first: npt.NDArray[np.integer],
        second: npt.NDArray[np.integer],
        rng: np.random.Generator,
    ) -> Genotypes:
        """Take each decision from either parent with equal chance; shapes (n, d)."""
        take = rng.random(np.shape(first)) < 0.5
        return np.where(take, first, second).astype(self.genotype_dtype)

    def neighbors(self, genotype: npt.NDArray[np.integer]) -> Genotypes:
        """Return the architectures one decision away, without repeats or itself.

        Parameters
        ----------
        genotype : ndarray of int, shape (d,)

        Returns
        -------
        ndarray of int, shape (m, d)
            Canonical forms, each once.
        """
        base = np.asarray(genotype, dtype=self.genotype_dtype)
        rows = all_changes(base, self.cardinalities)
        return distinct(self, rows[self.contains(rows)], other_than=base)

    def all_neighbors(
        self, genotypes: npt.NDArray[np.integer]
    ) -> tuple[Genotypes, npt.NDArray[np.int64]]:
        """Return what `neighbors` returns of each of many genotypes, in any order.

        A space that overrides `neighbors` alone is asked genotype by genotype.

        Parameters
        ----------
        genotypes : ndarray of int, shape (n, d)

        Returns
        -------
        rows : ndarray of int, shape (m, d)
        owners : ndarray of int64, shape (m,)
            Index of the genotype that each is a neighbour of, ascending.
        """
        given = np.asarray(genotypes, dtype=self.genotype_dtype)
        if type(self).neighbors is SearchSpace.neighbors:
            return self._all_changed(given)
        near = [self.neighbors(row) for row in given]
        rows = np.concatenate([given[:0], *near])
        return rows, np.repeat(np.arange(len(near)), [len(each) for each in near])

    def _all_changed(self, given: Genotypes) -> tuple[Genotypes, npt.NDArray[np.int64]]:
        """Return the architectures one decision away from each, without repeats or itself."""
        rows, owners = all_changes_of_each(given, self.cardinalities)
        inside = self.contains(rows)
        rows, owners = self.canonicalize(rows[inside]), owners[inside]
        codes = self.fingerprint(rows)
        others = np.flatnonzero(codes != self.fingerprint(given)[owners])
        order = others[np.lexsort((codes[others], owners[others]))]
        pairs = np.stack([owners[order], codes[order]])
        kept = order[np.append(True, (np.diff(pairs, axis=1) != 0).any(axis=0))[: len(order)]]
        return rows[kept], owners[kept]

    # -- growing ------------------------------------------------------------------

    @property
    def levels(self) -> int:
        """Number of steps in which the largest architectures grow from the smallest, see `extend`.

        Here of decisions with a choice.
        """
        return int((self.cardinalities > 1).sum())

    def smallest(self) -> Genotypes:
        """Return what growth begins with, shape (m, d); here the first value of each decision.

        Like what it grows to, it need not be canonical, nor an architecture of the space.
        """
        return np.zeros((1, self.n_variables), dtype=self.genotype_dtype)

    def extend(self, genotypes: npt.NDArray[np.integer], level: int) -> Genotypes:
        """Return what grows from genotypes of the level before in one step, each row once.

        Here one more decision leaves its first value for any other.

        Parameters
        ----------
        genotypes : ndarray of int, shape (n, d)
            Of level ``level - 1``, those of level 0 being `smallest`.
        level : int
            From 1 to `levels`.

        Returns
        -------
        ndarray of int, shape (m, d)
        """
        rows = np.asarray(genotypes, dtype=self.genotype_dtype)
        grown = [np.empty((0, self.n_variables), dtype=self.genotype_dtype)]
        for column, count in enumerate(self.cardinalities.tolist()):
            base = rows[rows[:, column] == 0]
            for value in range(1, count):
                grown.append(base.copy())
                grown[-1][:, column] = value
        return np.unique(np.vstack(grown), axis=0)

    # -- graphs -------------------------------------------------------------------

    @property
    def has_graphs(self) -> bool:
        """Whether `graphs` is offered."""
        return type(self).graphs is not SearchSpace.graphs

    def graphs(self, genotypes: npt.NDArray[np.integer]) -> GraphBatch:
        """Return the genotypes, shape (n, d), as graphs with operations on nodes.

        Raises
        ------
        InputError
            When the architectures of this space are not graphs.
        """
        raise InputError(f"the architectures of the space {self.name!r} are not graphs")

    @property
    def outside_graphs(self) -> npt.NDArray[np.bool_]:
        """Which decisions `graphs` does not show, shape (d,)."""
        return np.full(self.n_variables, not self.has_graphs)

    # -- costs --------------------------------------------------------------------

    @property
    def has_quick_costs(self) -> bool:
        """Whether costs are told of thousands of architectures in no time, by formulas."""
        return True

    def costs(self) -> dict[str, CostFunction]:
        """Return what can be told of an architecture without training it, e.g. ``macs``."""
        return {}

    # -- networks -----------------------------------------------------------------

    @property
    def reads(self) -> str:
        """What networks are given: ``"images"``, ``"tokens"``, or ``"anything"``."""
        return "anything"

    @property
    def has_networks(self) -> bool:
        """Whether `network` is offered."""
        return type(self).network is not SearchSpace.network

    @property
    def small_network(self) -> dict[str, Any]:
        """Settings of `network` for a small one that has all of an architecture in it."""
        return {}

    def network(
        self,
        architecture: ArchitectureLike,
        **settings: Any,
    ) -> Module:
        """Return the torch module of one architecture, untrained.

        It maps images, shape (n, channels, height, width), to logits, shape (n, classes); where
        it reads tokens, int64 of shape (n, length), to those of what comes next at each
        place, shape (n, classes, length). With an
        auxiliary head it returns ``(logits, auxiliary_logits)`` while training. Where
        it supports drop path it has an attribute ``drop_path``, the probability, which
        starts as 0. Weights are drawn by torch's generator, which the caller seeds.

        Parameters
        ----------
        architecture : Architecture, str or one genotype
        **settings
            ``classes``, the size of the classifier, ``shape``, (channels, height, width) of an
            image or (length,) of tokens, and those of the space; as published where they are
            left out.

        Raises
        ------
        InputError
            When the space has no networks, a value cannot be used, or torch is not
            installed.
        """
        raise InputError(
            f"the space {self.name!r} has no networks to train: it does not override `network`"
        )

    def inherited_modules(
        self, parent: ArchitectureLike, child: ArchitectureLike
    ) -> Mapping[str, str | None]:
        """Return how modules of a child's network that have moved are called in its parent's.

        None stands for what is new. What is not here has the same name in both, as
        everything has unless a space says otherwise.

        Parameters
        ----------
        parent, child : Architecture, str or one genotype
        """
        return {}

    def training_options(self, architecture: ArchitectureLike) -> Mapping[str, Any]:
        """Return the switches of the training protocol that an architecture decides.

        None, unless a space is of more than networks: of augmentations, learning rates.
        Names and values are those of `weaknas.training.Protocol`, before which they go.

        Parameters
        ----------
        architecture : Architecture, str or one genotype
        """
        return {}

    # -- architectures, for people ------------------------------------------------

    def architectures(self, genotypes: npt.NDArray[np.integer]) -> list[Architecture]:
        """Return one `Architecture` a genotype, shape (n, d)."""
        rows = np.asarray(genotypes)
        return [
            Architecture(self.name, tuple(row), identity, self.format(np.array(row)))
            for row, identity in zip(rows.tolist(), self.canonical_ids(rows), strict=True)
        ]

    def architecture(self, value: ArchitectureLike) -> Architecture:
        """Return the architecture that a string form or one genotype stands for.

        Raises
        ------
        InputError
            When the value is no architecture of this space.
        """
        return self.architectures(self.genotypes([value]))[0]

    def genotypes(self, values: Iterable[ArchitectureLike]) -> Genotypes:
        """Turn architectures, string forms or genotypes into a checked (n, d) batch.

        Raises
        ------
        InputError
            When one of them is no architecture of this space.
        """
        batch = values if is_batch(values, self.n_variables) else self._batch(values)
        inside = self.contains(batch)
        if not inside.all():
            wrong = batch[int(np.argmin(inside))].tolist()
            raise InputError(f"the genotype {wrong} is not in the space {self.name!r}")
        return batch.astype(self.genotype_dtype)

    def _batch(self, values: Iterable[ArchitectureLike]) -> npt.NDArray[np.int64]:
        rows = [self._genotype(value) for value in values]
        for row in rows:
            if not is_row(row, self.n_variables):
                raise InputError(
                    f"a genotype of the space {self.name!r} is a row of {self.n_variables}"
                    f" integers, not {row!r}"
                )
        # As wide integers: a cast to fewer bits would take 65536 for 0.
        return np.array(rows, dtype=np.int64).reshape(len(rows), self.n_variables)

    def _genotype(self, value: ArchitectureLike) -> Sequence[int] | npt.NDArray[np.integer]:
        if isinstance(value, str):
            return self.parse(value)
        if isinstance(value, Architecture):
            if value.space != self.name:
                raise InputError(
                    f"the architecture {value.text!r} is of the space {value.space!r},"
                    f" not of {self.name!r}"
                )
            return value.genotype
        return value

    def _require_listable(self) -> None:
        if not self.is_listable:
            raise InputError(
                f"the space {self.name!r} has {self.size} genotypes and is not listed"
                f" (limit {LISTABLE_LIMIT}); sample it instead"
            )


def distinct(
    space: SearchSpace,
    genotypes: npt.NDArray[np.integer],
    other_than: npt.NDArray[np.integer] | None = None,
) -> Genotypes:
    """Return the canonical forms of genotypes, each once, in order of first appearance.

    Parameters
    ----------
    space : SearchSpace
    genotypes : ndarray of int, shape (n, d)
    other_than : ndarray of int, shape (d,), optional
        Left out, with whatever is isomorphic to it.

    Returns
    -------
    ndarray of int, shape (m, d)
    """
    rows, fingerprints = distinct_with_fingerprints(space, genotypes)
    if other_than is not None:
        rows = rows[fingerprints != space.fingerprint(np.asarray(other_than)[None])[0]]
    return rows


def distinct_with_fingerprints(
    space: SearchSpace, genotypes: npt.NDArray[np.integer]
) -> tuple[Genotypes, Fingerprints]:
    """Return what `distinct` returns, shape (m, d), and its fingerprints, shape (m,)."""
    rows = space.canonicalize(genotypes)
    fingerprints = space.fingerprint(rows)
    _, places = np.unique(fingerprints, return_index=True)
    kept = np.sort(places)
    return rows[kept], fingerprints[kept]
