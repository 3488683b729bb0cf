"""A search with several objectives: the score against costs that the space knows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, refuse_set, unknown
from weaknas.search.acquisition import Acquisition
from weaknas.search.belief import Belief, Evaluated
from weaknas.search.pareto import MOST_COSTS, DominatedVolume, Floats
from weaknas.spaces import CostFunction, Genotypes, SearchSpace
from weaknas.spaces.limits.feasible import descend, feasible_range

_SAMPLE = 2000  # architectures from which the ends of a cost are looked for
_BEYOND = 0.1  # of a range, from the worst to the reference


class Costs:
    """The costs of a space that are objectives beside the score, all smaller-is-better.

    Parameters
    ----------
    space : SearchSpace
    names : sequence of str

    Raises
    ------
    InputError
        When a name is unknown or repeated, there are more than two, or an architecture
        has no number.
    """

    def __init__(self, space: SearchSpace, names: Sequence[str]) -> None:
        refuse_set("objectives", names)
        functions = space.costs()
        for name in names:
            if name not in functions:
                raise unknown(f"cost of the space {space.name!r}", name, functions)
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


class HypervolumeImprovement(Acquisition):
    """Expected improvement of the volume that the evaluated architectures dominate.

    Costs are exact, the score is as predicted; see `DominatedVolume`. The reference
    is a tenth of the range worse than the worst: beyond the largest costs in the
    space, which are known before anything is paid for, and below the worst score
    of what was evaluated, so that both ends of the front count. A batch is chosen
    one after the other, each as if those before had come out as predicted (kriging
    believer, Ginsbourger et al. 2010).

    Parameters
    ----------
    costs : Costs
    """

    spreads = True

    def __init__(self, costs: Costs) -> None:
        self.costs = list(costs.names)
        self._costs = costs
        self._latest: tuple[Evaluated, DominatedVolume] | None = None

    def openers(self) -> Genotypes | None:
        """Begin with the cheapest architectures: they are on the front, whatever they score."""
        return self._costs.cheapest

    def values(self, belief: Belief) -> Floats:
        """Return the expected improvement of candidates, shape (n,)."""
        costs = self._costs(belief.genotypes)
        return self._volume(belief).expected_improvement(belief.mean, belief.std, costs)

    def _volume(self, belief: Belief) -> DominatedVolume:
        """Return the volume of what was evaluated and, with it, of what is assumed."""
        evaluated, assumed = belief.evaluated, belief.assumed
        if assumed is not None:
            heights = np.concatenate([evaluated.mean, assumed.mean])
            genotypes = np.vstack([evaluated.genotypes, assumed.genotypes])
            return self._dominated(heights, self._costs(genotypes), evaluated.mean)
        # An evolution asks many times in a round, of other candidates each time.
        if self._latest is None or self._latest[0] is not evaluated:
            costs = self._costs(evaluated.genotypes)
            self._latest = evaluated, self._dominated(evaluated.mean, costs, evaluated.mean)
        return self._latest[1]

    def _dominated(self, heights: Floats, costs: Floats, evaluated: Floats) -> DominatedVolume:
        low, high = float(evaluated.min()), float(evaluated.max())
        reference = low - _BEYOND * ((high - low) or 1.0)
        dearest, cheapest = self._costs.worst, self._costs.least
        limit = dearest + _BEYOND * np.where(dearest > cheapest, dearest - cheapest, 1.0)
        return DominatedVolume(heights, costs, reference, limit)
