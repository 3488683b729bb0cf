"""A search with several objectives: the score against costs that the space knows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, unknown
from weaknas.search.acquisition import Acquisition, Indices, Prediction, best_first
from weaknas.search.pareto import MOST_COSTS, DominatedVolume, Floats
from weaknas.spaces import Genotypes, SearchSpace
from weaknas.spaces.limits.constraints import CostFunction, costs_of
from weaknas.spaces.limits.feasible import descend, feasible_range

_SAMPLE = 2000  # architectures from which the ends of a cost are looked for
_SHORTLIST = 40  # candidates looked at for each one of a batch
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
        When a name is unknown or repeated, or there are more than two.
    """

    def __init__(self, space: SearchSpace, names: Sequence[str]) -> None:
        known = costs_of(space)
        for name in names:
            if name not in known:
                raise unknown(f"cost of the space {space.name!r}", name, known)
        if len(set(names)) < len(names) or not 1 <= len(names) <= MOST_COSTS:
            raise InputError(
                f"a search has 1 to {MOST_COSTS} different costs as objectives beside the score,"
                f" not {', '.join(names) or 'none'}"
            )
        self.space, self.names = space, tuple(names)
        self._functions: list[CostFunction] = [known[name] for name in names]

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

    def __init__(self, costs: Costs) -> None:
        self.costs = costs
        self._volume: DominatedVolume | None = None

    def describe(self) -> dict[str, Any]:
        """Return name and costs as plain JSON types."""
        return {"name": type(self).__name__, "costs": list(self.costs.names)}

    def first(self) -> Genotypes | None:
        """Begin with the cheapest architectures: they are on the front, whatever they score."""
        return self.costs.cheapest

    def at(self, genotypes: Genotypes, means: Floats) -> Acquisition:
        """Return the acquisition given evaluated genotypes, (n, d), and their means, (n,)."""
        bound = HypervolumeImprovement(self.costs)
        bound._volume = self._dominated(self.costs(genotypes), means, means)
        return bound

    def values_of(
        self,
        genotypes: Genotypes,
        mean: Floats,
        std: Floats,
        incumbent: float,
        rng: np.random.Generator,
    ) -> Floats:
        """Return the expected improvement of candidates, shape (n,)."""
        assert self._volume is not None, "`at` comes first"
        return self._volume.expected_improvement(mean, std, self.costs(genotypes))

    def values(
        self, mean: Floats, std: Floats, incumbent: float, rng: np.random.Generator
    ) -> Floats:
        """Refuse: the score alone does not tell.

        Raises
        ------
        InputError
            Always.
        """
        raise InputError("the improvement of a volume needs genotypes: call `values_of`")

    def choose(self, prediction: Prediction, n: int, rng: np.random.Generator) -> Indices:
        """Return the indices of up to n available candidates, the most wanted first."""
        assert prediction.genotypes is not None
        queried, costs = prediction.queried, self.costs(prediction.genotypes)
        heights, prices = prediction.mean[queried], costs[queried]
        lowest = heights
        values = self._dominated(prices, heights, lowest).expected_improvement(
            prediction.mean, prediction.std, costs
        )
        values[~prediction.available] = -np.inf
        count = min(n, int(prediction.available.sum()))
        short = best_first(values, min(_SHORTLIST * count, int(prediction.available.sum())))
        known = prediction.covariance(short)
        covariance, noise = known if known is not None else (np.diag(prediction.std[short] ** 2), 0)
        chosen: list[int] = []
        covariance = np.array(covariance, dtype=np.float64)
        while len(chosen) < count:
            volume = self._dominated(prices, heights, lowest)
            std = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
            wanted = volume.expected_improvement(prediction.mean[short], std, costs[short])
            wanted[chosen] = -np.inf
            index = int(np.argmax(wanted))
            chosen.append(index)
            heights = np.append(heights, prediction.mean[short[index]])
            prices = np.vstack([prices, costs[short[index]]])
            column = covariance[index].copy()
            covariance -= np.outer(column, column) / (max(column[index], 1e-12) + noise)
        return short[chosen]

    def _dominated(self, costs: Floats, heights: Floats, evaluated: Floats) -> DominatedVolume:
        low, high = float(evaluated.min()), float(evaluated.max())
        reference = low - _BEYOND * ((high - low) or 1.0)
        dearest, cheapest = self.costs.worst, self.costs.least
        limit = dearest + _BEYOND * np.where(dearest > cheapest, dearest - cheapest, 1.0)
        return DominatedVolume(heights, costs, reference, limit)
