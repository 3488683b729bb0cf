"""What a predictor is told of labels of repeated trainings, and what it tells of their scores."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
#: Trainings that each label is the mean of.
Counts: TypeAlias = npt.NDArray[np.float64]


class Repeats(NamedTuple):
    """What repeated trainings tell of n labels that are means of trainings.

    Parameters
    ----------
    counts : ndarray of float, shape (n,)
        Trainings that each label is the mean of.
    errors : ndarray of float, shape (n,)
        Variance of the error of each label, in units of the noise of one training:
        1 / the number of its trainings, 0 where there is no other training.
    squares : float
        Sum of the squared differences of all labels from their means.
    freedom : int
        Trainings beyond the first ones.
    """

    counts: Counts
    errors: Floats
    squares: float = 0.0
    freedom: int = 0

    @classmethod
    def counted(cls, counts: Counts) -> Repeats:
        """Return what is known where only the numbers of trainings are."""
        return cls(counts, 1.0 / counts)


def counts_of(repeats: Repeats | None) -> Counts | None:
    """Return the numbers of trainings, shape (n,); None where each label is of one."""
    return None if repeats is None else repeats.counts


class Joint(NamedTuple):
    """Joint normal distribution of the scores behind n labels and of m candidates.

    Parameters
    ----------
    mean : ndarray of float, shape (n + m,)
        In units of the targets.
    covariance : ndarray of float, shape (n + m, n + m)
    particular : float
        Variance of what is particular to an architecture, which features do not tell.
    noise : float
        Variance of the noise of one training.
    """

    mean: Floats
    covariance: Floats
    particular: float
    noise: float
