"""Several objectives: fronts, dominated volume, and what a query is expected to add to it.

The score is larger-is-better and uncertain until it is paid for; the other
objectives are costs of the space, smaller-is-better and known beforehand by
formula. So the improvement of the dominated volume is uncertain in one dimension
only, and its expectation has a closed form.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError
from weaknas.search.targets import SAME, Scale
from weaknas.spaces.limits.units import MOST_COSTS

Floats = npt.NDArray[np.float64]

_CHUNK = 2**20  # pairs of candidates and cells that are worked on at a time


def front(scores: npt.ArrayLike, costs: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return the points that no other dominates, by ascending first cost.

    Parameters
    ----------
    scores : array of float, shape (n,)
        Larger is better; NaN for an evaluation that failed, which is in no front.
    costs : array of float, shape (n, k)
        Smaller is better.

    Returns
    -------
    ndarray of int64, shape (m,)
        Indices; of equal points the first.
    """
    values, prices = _columns(scores, costs)
    order = np.lexsort((-values, *prices.T[::-1]))  # by costs, the better score first
    kept: list[int] = []
    for index in order[np.isfinite(values[order])].tolist():
        rivals = np.array(kept, dtype=np.int64)
        beaten = (values[rivals] >= values[index]) & (prices[rivals] <= prices[index]).all(axis=1)
        if not beaten.any():
            kept.append(index)
    return np.array(kept, dtype=np.int64)


class DominatedVolume:
    """The volume between a set of points and a reference, and how points would enlarge it.

    The corners of the points cut the costs, from each up to the reference, into
    cells. In a cell the same points dominate; the best of their scores is its
    height. The volume is the sum of widths times heights, and a new point raises
    each cell that it reaches to its own score. The expected rise over a height h is
    ``E max(s - h, 0)``, see `Scale.expected_excess`, and the expected improvement
    of the volume the sum of it over the cells (as Emmerich et al. 2011 sum over
    boxes where all objectives are uncertain).

    Parameters
    ----------
    scores : array of float, shape (n,)
    costs : array of float, shape (n, k)
        k is 1 or 2.
    score : float
        Score of the reference: what is worse has no volume.
    cost : array of float, shape (k,)
        Costs of the reference.

    Raises
    ------
    InputError
        When there are more than two costs.
    """

    def __init__(
        self, scores: npt.ArrayLike, costs: npt.ArrayLike, score: float, cost: npt.ArrayLike
    ) -> None:
        values, prices = _columns(scores, costs)
        limits = np.asarray(cost, dtype=np.float64).reshape(-1)
        if len(limits) > MOST_COSTS:
            raise InputError(
                f"the volume of {len(limits)} costs is not computed; at most {MOST_COSTS}"
            )
        inside = front(values, prices)
        inside = inside[(prices[inside] < limits).all(axis=1) & (values[inside] > score)]
        values, prices = values[inside], prices[inside]
        # Cells reach from -infinity: a point may be cheaper than all there are.
        edges = [
            np.concatenate([[-np.inf], np.unique(column), [limit]])
            for column, limit in zip(prices.T, limits, strict=True)
        ]
        axes = [np.arange(len(edge) - 1) for edge in edges]
        grid = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)
        self._low = np.stack([e[i] for e, i in zip(edges, grid.T, strict=True)], axis=1)
        self._high = np.stack([e[i + 1] for e, i in zip(edges, grid.T, strict=True)], axis=1)
        reached = (prices[None] <= self._low[:, None]).all(axis=2)
        heights = np.where(reached, values[None], score)
        self._heights = np.max(heights, axis=1, initial=score)
        self._score = score

    @property
    def volume(self) -> float:
        """The dominated volume, in units of score times costs."""
        bounded = np.isfinite(self._low).all(axis=1)
        widths = (self._high[bounded] - self._low[bounded]).prod(axis=1)
        return float(widths @ (self._heights[bounded] - self._score))

    def expected_improvement(
        self, mean: Floats, std: Floats, costs: Floats, scale: Scale = SAME
    ) -> Floats:
        """Return by how much each candidate is expected to enlarge the volume.

        Parameters
        ----------
        mean, std : ndarray of float, shape (n,)
            Of the target that stands for the score; a deviation of 0 for one that is known.
        costs : ndarray of float, shape (n, k)
        scale : Scale
            From targets to scores; default: they are the same.

        Returns
        -------
        ndarray of float, shape (n,)
        """
        improvement = np.empty(len(mean))
        levels, places = np.unique(self._heights, return_inverse=True)
        length = max(1, _CHUNK // max(len(self._heights), 1))
        for start in range(0, len(mean), length):
            part = slice(start, start + length)
            begin = np.maximum(costs[part, None], self._low)
            widths = np.maximum(self._high - begin, 0.0).prod(axis=2)
            rise = scale.expected_excess(mean[part], std[part], levels)[:, places]
            improvement[part] = np.einsum("ij,ij->i", widths, rise)
        return improvement


def hypervolume(
    scores: npt.ArrayLike, costs: npt.ArrayLike, score: float, cost: Sequence[float] | Floats
) -> float:
    """Return the volume that points dominate, see `DominatedVolume`."""
    return DominatedVolume(scores, costs, score, cost).volume


def _columns(scores: npt.ArrayLike, costs: npt.ArrayLike) -> tuple[Floats, Floats]:
    values = np.asarray(scores, dtype=np.float64).reshape(-1)
    prices = np.asarray(costs, dtype=np.float64)
    return values, prices.reshape(len(values), -1) if prices.ndim < 2 else prices
