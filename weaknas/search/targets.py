"""What a predictor is fitted to: monotone transforms of the scores paid for so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri
from scipy.stats import rankdata

from weaknas.errors import unknown

Floats: TypeAlias = npt.NDArray[np.float64]
Transform: TypeAlias = Callable[[Floats], Floats]


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
