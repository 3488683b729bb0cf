"""Costs of a space that are objectives of a search, beside the score."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, refuse_set, unknown
from weaknas.spaces._base import CostFunction, SearchSpace
from weaknas.spaces.costs import check_cost_name
from weaknas.spaces.limits.feasible import descend, feasible_range
from weaknas.spaces.limits.uncertain import INTERVAL, UncertainCost
from weaknas.spaces.limits.units import MOST_COSTS
from weaknas.spaces.rows import Genotypes

Floats = npt.NDArray[np.float64]

_SAMPLE = 2000  # architectures from which the ends of a cost are looked for


class Costs:
    """The costs of a space that are objectives beside the score, all smaller-is-better.

    Parameters
    ----------
    space : SearchSpace
    names : sequence of str

    Raises
    ------
    InputError
        When a name is unknown, repeated or taken in records, there are more than two, or
        an architecture has no number.
    """

    def __init__(self, space: SearchSpace, names: Sequence[str]) -> None:
        refuse_set("objectives", names)
        functions = space.costs()
        for name in names:
            if name not in functions:
                raise unknown(f"cost of the space {space.name!r}", name, functions)
            check_cost_name(name)
        if len(set(names)) < len(names) or not 1 <= len(names) <= MOST_COSTS:
            raise InputError(
                f"a search has 1 to {MOST_COSTS} different costs as objectives beside the score,"
                f" not {', '.join(names) or 'none'}"
            )
        self.space, self.names = space, tuple(names)
        self._functions: list[CostFunction] = [functions[name] for name in names]
        probe = space.enumerate() if space.is_listable else self._sample
        for name, values in zip(names, self(probe).T, strict=True):
            if not np.isfinite(values).all():
                raise InputError(
                    f"the cost {name!r} is no number for some architectures of the space"
                    f" {space.name!r}; limit it as well, then they are outside"
                )

    def __call__(self, genotypes: npt.NDArray[np.integer]) -> Floats:
        """Return the costs of the canonical forms of genotypes, (n, d); shape (n, k)."""
        rows = self.space.canonicalize(genotypes)
        columns = [np.asarray(cost(rows), dtype=np.float64) for cost in self._functions]
        return np.stack(columns, axis=1)

    @property
    def units(self) -> dict[str, str]:
        """The unit of each cost that is predicted, and so not known exactly."""
        return {name: cost.unit for name, cost in self._predicted.items()}

    def intervals(self, genotypes: npt.NDArray[np.integer]) -> dict[str, Floats]:
        """Return between what each predicted cost of genotypes, (n, d), is with 90 %, (n, 2).

        The two are equal where it was measured.
        """
        rows, tail = self.space.canonicalize(genotypes), (1 - INTERVAL) / 2
        return {
            name: np.stack(cost.quantiles(rows, (tail, 1 - tail)), axis=1)
            for name, cost in self._predicted.items()
        }

    @property
    def _predicted(self) -> dict[str, UncertainCost]:
        costs = zip(self.names, self._functions, strict=True)
        return {name: cost for name, cost in costs if isinstance(cost, UncertainCost)}

    @cached_property
    def worst(self) -> Floats:
        """The largest costs in the space, shape (k,); by greedy ascent if it is not listed."""
        if self.space.is_listable:
            return np.asarray(self(self.space.enumerate()).max(axis=0))
        ends = [feasible_range(self.space, cost, self._sample) for cost in self._canonical]
        return np.array([high for _, high in ends])

    @cached_property
    def cheapest(self) -> Genotypes:
        """An architecture that is cheapest in each cost, shape (k, d), found as `worst` is."""
        rows = self.space.enumerate() if self.space.is_listable else self._sample
        found = [rows[int(np.argmin(cost(rows)))] for cost in self._canonical]
        if not self.space.is_listable:
            pairs = zip(self._canonical, found, strict=True)
            found = [descend(self.space, cost, row) for cost, row in pairs]
        return self.space.canonicalize(np.stack(found))

    @cached_property
    def least(self) -> Floats:
        """The smallest costs in the space, shape (k,), found as `worst` is."""
        return np.asarray(self(self.cheapest).min(axis=0))

    @property
    def _canonical(self) -> list[CostFunction]:
        # Bound by default argument: the cost of this turn.
        return [
            lambda rows, cost=cost: cost(self.space.canonicalize(rows))  # type: ignore[misc]
            for cost in self._functions
        ]

    @cached_property
    def _sample(self) -> Genotypes:
        return self.space.sample(_SAMPLE, np.random.default_rng(0))
