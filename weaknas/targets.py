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
    """Return the scores, shape (n,), as they are."""
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


TRANSFORMS: dict[str, Transform] = {"rank-normal": rank_normal, "raw": raw, "standard": standard}


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
