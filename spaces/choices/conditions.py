"""Choices that exist only where another choice has a certain value."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, shown, unknown
from weaknas.spaces.choices.values import ChoiceValues
from weaknas.spaces.rows import Genotypes, genotype_dtype

# Combinations of the choices that decide on others, within one group that
# conditions tie together; they are listed.
_MOST_COMBINATIONS = 1_000_000


class Conditions:
    """Which choices exist, and with it how many different architectures there are.

    A choice is active where all choices it depends on are active and have one
    of the listed values. An inactive choice has the index 0.

    Parameters
    ----------
    choices : sequence of ChoiceValues
        The d choices.
    conditions : mapping
        Name of a choice to a mapping from the names of others to the values
        (or the one value) they must have for it to exist.

    Raises
    ------
    InputError
        When a name or value is unknown, choices depend on each other in a circle,
        or more than a million combinations would have to be listed.
    """

    def __init__(
        self,
        choices: Sequence[ChoiceValues],
        conditions: Mapping[str, Mapping[str, Any]],
    ) -> None:
        variables = [choice.name for choice in choices]
        self.counts = np.array([len(choice) for choice in choices])
        self._dtype = genotype_dtype(self.counts)
        self._parents: dict[int, dict[int, npt.NDArray[np.bool_]]] = {
            column: {} for column in range(len(variables))
        }
        self.description: dict[str, dict[str, list[str]]] = {}
        if not isinstance(conditions, Mapping):
            raise InputError(
                "conditions map choices to what they need, e.g."
                f" {{'width': {{'layer1': ['conv3']}}}}, not {shown(conditions)}"
            )
        for name, needed in conditions.items():
            if name not in variables:
                raise unknown("choice with a condition", name, variables)
            if not isinstance(needed, Mapping) or not needed:
                raise InputError(
                    f"the condition of {name!r} maps other choices to the values they must have,"
                    f" e.g. {{'layer1': ['conv3']}}; it is {needed!r}"
                )
            self.description[name] = {}
            for other, allowed in needed.items():
                if other not in variables:
                    raise unknown(f"choice in the condition of {name!r}", other, variables)
                column = variables.index(other)
                indices = _require_values(name, choices[column], allowed)
                self.description[name][other] = [choices[column].texts[at] for at in indices]
                self._parents[variables.index(name)][column] = np.isin(
                    np.arange(len(choices[column])), indices
                )
        try:
            self.order = list(TopologicalSorter(self._parents).static_order())
        except CycleError as error:
            circle = " -> ".join(variables[column] for column in error.args[1])
            raise InputError(f"conditions depend on each other in a circle: {circle}") from error
        self._groups = self._find_groups()

    @property
    def size(self) -> int:
        """Exact number of different architectures."""
        return math.prod(group.size for group in self._groups)

    def exists(
        self, column: int, rows: npt.NDArray[np.integer], active: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.bool_]:
        """Tell in which genotypes a choice is active, given that of those it depends on.

        Parameters
        ----------
        column : int
        rows : ndarray of int, shape (n, d)
        active : ndarray of bool, shape (n, d)
            Right for the choices that this one depends on, which come earlier in `order`.
        """
        alive = np.ones(len(rows), dtype=bool)
        for parent, allowed in self._parents[column].items():
            alive &= allowed[rows[:, parent]] & active[:, parent]
        return alive

    def active(self, rows: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
        """Tell which choices of genotypes, shape (n, d), exist."""
        active = np.ones(rows.shape, dtype=bool)
        for column in self.order:
            if self._parents[column]:
                active[:, column] = self.exists(column, rows, active)
        return active

    def deactivate(self, rows: npt.NDArray[np.integer]) -> Genotypes:
        """Return genotypes, shape (n, d), with the index 0 where a choice does not exist."""
        return np.where(self.active(rows), rows, 0).astype(self._dtype)

    def settle(
        self,
        rows: npt.NDArray[np.integer],
        known: npt.NDArray[np.bool_],
        rng: np.random.Generator,
    ) -> Genotypes:
        """Draw the choices that exist and are not known; both shapes (n, d)."""
        settled = np.array(rows, dtype=self._dtype)
        active = np.ones(settled.shape, dtype=bool)
        for column in self.order:
            drawn = rng.integers(self.counts[column], size=len(rows))
            settled[:, column] = np.where(known[:, column], settled[:, column], drawn)
            if self._parents[column]:
                active[:, column] = self.exists(column, settled, active)
                settled[~active[:, column], column] = 0
        return settled

    def sample(self, n: int, rng: np.random.Generator) -> Genotypes:
        """Draw n different architectures uniformly, with replacement; shape (n, d)."""
        rows = np.zeros((n, len(self.counts)), dtype=self._dtype)
        known = np.zeros(rows.shape, dtype=bool)
        for group in self._groups:
            if group.deciders:
                drawn = rng.choice(len(group.rows), size=n, p=group.shares)
                rows[:, group.deciders] = group.rows[drawn]
                known[:, group.deciders] = True
        return self.settle(rows, known, rng)

    def enumerate(self) -> Genotypes:
        """Return every architecture once, in lexicographic order."""
        rows = self._expand(self.order)
        return rows[np.lexsort(rows.T[::-1])]

    def _expand(self, columns: Sequence[int], most: float = math.inf) -> Genotypes:
        """All combinations of columns, in an order that puts first what others depend on.

        Raises
        ------
        InputError
            When there are more than `most`.
        """
        rows = np.zeros((1, len(self.counts)), dtype=self._dtype)
        for column in columns:
            repeats = np.where(self.active(rows)[:, column], self.counts[column], 1)
            ends = np.cumsum(repeats)
            if ends[-1] > most:
                raise InputError(
                    f"conditions tie {len(columns)} choices with more than {most} combinations"
                    " together, which is the most that are counted"
                )
            rows = np.repeat(rows, repeats, axis=0)
            rows[:, column] = np.arange(len(rows)) - np.repeat(ends - repeats, repeats)
        return rows

    def _find_groups(self) -> list[_Group]:
        """Split the choices into groups that no condition joins."""
        joins = [(a, b) for a, parents in self._parents.items() for b in parents]
        labels = _components(len(self.counts), joins)
        return [
            self._group([column for column in self.order if labels[column] == label])
            for label in range(max(labels, default=-1) + 1)
        ]

    def _group(self, columns: list[int]) -> _Group:
        used = {parent for column in columns for parent in self._parents[column]}
        deciders = [column for column in columns if column in used]
        rows = self._expand(deciders, _MOST_COMBINATIONS)
        sizes = np.ones(len(rows), dtype=object)  # integers without a limit
        active = self.active(rows)
        for column in columns:
            if column not in used:
                options = np.where(active[:, column], self.counts[column], 1)
                sizes *= options.astype(object)
        size = int(sizes.sum())
        # Of two integers each, which may both be beyond floats.
        shares = np.array([part / size for part in sizes.tolist()])
        return _Group(deciders, rows[:, deciders], shares / shares.sum(), size)


@dataclass(frozen=True)
class _Group:
    """Choices that conditions join: combinations of those that decide on others.

    `shares` tells how many of the architectures have each combination; all choices of
    the group that decide on nothing are free where they exist.
    """

    deciders: list[int]
    rows: Genotypes
    shares: npt.NDArray[np.float64]
    size: int


def _require_values(name: str, other: ChoiceValues, allowed: Any) -> list[int]:
    """Return which values another choice must have: those in a list, or the one that is given."""
    one = other.index(allowed)
    if one is not None:
        return [one]
    if isinstance(allowed, str) or not isinstance(allowed, Iterable):
        allowed = [allowed]
    indices = [(value, other.index(value)) for value in allowed]
    for value, index in indices:
        if index is None:
            raise unknown(
                f"value of {other.name!r} in the condition of {name!r}", value, other.texts
            )
    if not indices:
        raise InputError(f"{name!r} never exists: its condition allows no value of {other.name!r}")
    found = [index for _, index in indices if index is not None]
    return sorted(found) if isinstance(allowed, Set) else found


def _components(n: int, joins: Sequence[tuple[int, int]]) -> list[int]:
    """Return the connected component of each of n nodes, numbered from 0."""
    if not joins:
        return list(range(n))
    # Slow to import, and most spaces have no conditions.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    a, b = np.array(joins, dtype=np.int64).T
    graph = coo_array((np.ones(len(a)), (a, b)), shape=(n, n))
    labels: list[int] = connected_components(graph)[1].tolist()
    return labels
