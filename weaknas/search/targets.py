"""What a predictor is fitted to: monotone transforms of the scores paid for so far, and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

from weaknas.errors import unknown

Floats: TypeAlias = npt.NDArray[np.float64]
Transform: TypeAlias = Callable[[Floats], Floats]

_KNOTS = 64  # labels through which the way back leads, at most


def raw(scores: Floats) -> Floats:
    """Return the scores, shape (n,), as they are, in `History.unit`: 1 but for huge ones."""
    return scores


def standard(scores: Floats) -> Floats:
    """Return the scores, shape (n,), with mean 0 and standard deviation 1."""
    spread = float(scores.std())
    return np.asarray((scores - scores.mean()) / (spread if spread > 0 else 1.0))


def rank_normal(scores: Floats) -> Floats:
    """Return the normal quantiles of the ranks, shape (n,).

    The order alone counts: neither a long tail of bad architectures nor a change
    of units moves it.
    """
    return standard(ndtri((rankdata(scores) - 0.5) / len(scores)))


def compressed(scores: Floats) -> Floats:
    """Return the scores, shape (n,), standardised after a long tail of bad ones was shortened.

    Below the median, what is farther away than four times the distance of the
    best is taken by its logarithm. Where scores are smooth they stay smooth, as a
    search among numbers needs, and no outlier flattens all else.
    """
    middle, best = float(np.median(scores)), float(scores.max())
    width = 4.0 * (best - middle)
    if width == 0:
        return standard(scores)
    depth = np.maximum((middle - scores) / width, 1.0)
    return standard(np.maximum(scores, middle - width) - width * np.log(depth))


TRANSFORMS: dict[str, Transform] = {
    "compressed": compressed,
    "rank-normal": rank_normal,
    "raw": raw,
    "standard": standard,
}


def get_transform(name: str) -> Transform:
    """Return a transform by name.

    Raises
    ------
    InputError
        When the name is unknown.
    """
    if name not in TRANSFORMS:
        raise unknown("targets", name, TRANSFORMS)
    return TRANSFORMS[name]


@dataclass(frozen=True, eq=False)
class Scale:
    """The way back from targets to scores: straight between labels, and on beyond them.

    Beyond the best and the worst it is as steep as from the median to them.

    Parameters
    ----------
    targets, scores : ndarray of float, shape (t,)
        Both strictly ascending.
    """

    targets: Floats
    scores: Floats

    @classmethod
    def through(cls, targets: Floats, scores: Floats) -> Scale:
        """Return the way back through labels, shapes (n,), both ascending."""
        _, places = np.unique(targets, return_index=True)
        few = np.unique(np.linspace(0, len(places) - 1, min(len(places), _KNOTS)).astype(int))
        return cls(targets[places[few]], scores[places[few]])

    def __call__(self, targets: Floats) -> Floats:
        """Return the scores, shape (n,), that targets, shape (n,), stand for."""
        return _follow(targets, self.targets, self.scores, self._ends)

    def expected_excess(self, mean: Floats, std: Floats, levels: Floats) -> Floats:
        """Return by how much scores are expected to exceed levels, ``E max(g(z) - level, 0)``.

        Where g, the way back, has the slope ``g_i`` from ``u_i`` to ``u_(i+1)`` that is the sum
        of ``g_i (e(u_i) - e(u_(i+1)))`` from the level on, with ``e(u) = E max(z - u, 0)``, which
        is expected improvement (Jones et al. 1998, eq. 15).

        Parameters
        ----------
        mean, std : ndarray of float, shape (n,)
            Of the normal targets z; a deviation of 0 stands for one that is known.
        levels : ndarray of float, shape (m,)
            Scores.

        Returns
        -------
        ndarray of float, shape (n, m)
        """
        low, high = self._ends
        starts = _follow(levels, self.scores, self.targets, (1 / low, 1 / high))
        knots, places = np.unique(np.concatenate([starts, self.targets]), return_inverse=True)
        slopes = np.append(np.diff(self(knots)) / np.diff(knots), high)
        deviation = np.maximum(std[:, None], 1e-12)
        z = (mean[:, None] - knots) / deviation
        above = deviation * (np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi) + z * ndtr(z))
        gains = slopes * (above - np.pad(above[:, 1:], ((0, 0), (0, 1))))
        excess = np.cumsum(gains[:, ::-1], axis=1)[:, ::-1]
        return np.asarray(np.maximum(excess, 0.0)[:, places[: len(levels)]])

    @property
    def _ends(self) -> tuple[float, float]:
        """How steep it is below the worst and above the best."""
        middle, last = len(self.targets) // 2, len(self.targets) - 1
        if last == 0:
            return 1.0, 1.0
        slopes = [
            float(np.diff(self.scores[[a, b]])[0] / np.diff(self.targets[[a, b]])[0])
            for a, b in ((0, max(middle, 1)), (min(middle, last - 1), last))
        ]
        return slopes[0], slopes[1]


def _follow(values: Floats, starts: Floats, ends: Floats, slopes: tuple[float, float]) -> Floats:
    """Return a line through knots, shapes (t,), with slopes beyond the first and the last."""
    below = slopes[0] * np.minimum(values - starts[0], 0.0)
    above = slopes[1] * np.maximum(values - starts[-1], 0.0)
    return np.asarray(np.interp(values, starts, ends) + below + above)


#: Of targets that are scores.
SAME = Scale(np.zeros(1), np.zeros(1))
