"""What a fitted predictor says of candidates, as acquisitions see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from weaknas.predictors.labels import Joint
from weaknas.search.targets import SAME, Scale
from weaknas.spaces import Genotypes

Floats: TypeAlias = npt.NDArray[np.float64]
Indices: TypeAlias = npt.NDArray[np.int64]
#: Indices, shape (m,), to their covariance, shape (m, m), and the noise of one training.
Covariance: TypeAlias = Callable[[Indices], tuple[Floats, float] | None]
#: Errors of n labels and indices of m candidates to their joint scores.
Rivals: TypeAlias = Callable[[Floats, Indices], Joint | None]


@dataclass(frozen=True, eq=False)
class Evaluated:
    """The architectures that have labels, and what the predictor makes of them.

    Parameters
    ----------
    genotypes : ndarray of int, shape (n, d)
    mean : ndarray of float, shape (n,)
        Predicted: the noise of single labels is smoothed out.
    """

    genotypes: Genotypes
    mean: Floats


@dataclass(frozen=True, eq=False, kw_only=True)
class Belief:
    """What a fitted predictor says of N candidates, in units of its targets.

    Parameters
    ----------
    genotypes : ndarray of int, shape (N, d)
    mean, std : ndarray of float, shape (N,)
        Of the noise-free score; `std` is zero for a predictor without uncertainty.
    available : ndarray of bool, shape (N,)
        False for candidates that were asked for or evaluated already.
    evaluated : Evaluated
    round : int
        Rounds of the predictor before this one.
    rng : numpy.random.Generator
    joint : callable
        Covariance of candidates by their indices; see `covariance`.
    rivals : callable, optional
        The scores behind the labels together with those of candidates; see
        `weaknas.predictors.pool.PoolModel.joint`.
    scale : Scale
        From units of the targets to those of the scores.
    assumed : Evaluated, optional
        Candidates that were chosen before, in the same batch, and count as evaluated
        with the score that was predicted.
    """

    genotypes: Genotypes
    mean: Floats
    std: Floats
    available: npt.NDArray[np.bool_]
    evaluated: Evaluated
    round: int
    rng: np.random.Generator
    joint: Covariance
    rivals: Rivals | None = None
    scale: Scale = SAME
    assumed: Evaluated | None = None

    @property
    def incumbent(self) -> float:
        """What has been reached: the largest predicted mean of what was evaluated."""
        return float(self.evaluated.mean.max())

    @property
    def left(self) -> int:
        """How many candidates are available."""
        return int(self.available.sum())

    def covariance(self, rows: Indices) -> tuple[Floats, float] | None:
        """Return covariance of candidates, shape (m, m), and noise of a label; None if unknown."""
        return self.joint(rows)

    def after(self, chosen: Sequence[int], rows: Indices, std: Floats) -> Belief:
        """Return what is believed of some candidates once others of them were chosen.

        Parameters
        ----------
        chosen : sequence of int
            Places among `rows`; their scores are taken to come out as predicted.
        rows : ndarray of int, shape (m,)
        std : ndarray of float, shape (m,)
            Standard deviations of these candidates from then on.
        """
        genotypes, mean = self.genotypes[rows], self.mean[rows]
        return replace(
            self,
            genotypes=genotypes,
            mean=mean,
            std=std,
            available=self.available[rows],
            joint=lambda places: self.joint(rows[places]),
            assumed=Evaluated(genotypes[chosen], mean[chosen]) if chosen else None,
        )
