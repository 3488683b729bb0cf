"""Labels that differ from training to training, and which training is worth most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from weaknas.predictors._base import Joint, Repeats
from weaknas.search.belief import Floats, Indices
from weaknas.search.targets import Scale, Transform
from weaknas.strategies import History

Flags: TypeAlias = npt.NDArray[np.bool_]

_DRAWS = 128  # of all scores, of which one has a rival of the best, if there is one
_NEAR = 0.5  # in targets: how steep the way back is, is looked at so far around at least


@dataclass(frozen=True, eq=False)
class Labels:
    """The labels of a search on the scale that a predictor is fitted to.

    A label, in `History.unit`, is ``f(x) + d + e``: what the features tell, what is
    particular to the architecture, and what is to the training.

    Parameters
    ----------
    targets : ndarray of float, shape (n,)
        Mean label of each architecture.
    counts : ndarray of int, shape (n,)
        Trainings of each.
    squares : float
        Sum of the squared differences of all labels from these means.
    exhausted : ndarray of bool, shape (n,)
        Of which there is no other training: the mean of its labels is its score.
    scores : ndarray of float, shape (n,)
        Means before the transform.
    curve : tuple of ndarray of float, shape (t,)
        Targets and scores of all labels, ascending: the way back.
    """

    targets: Floats
    counts: Indices
    squares: float
    exhausted: Flags
    scores: Floats
    curve: tuple[Floats, Floats]

    @classmethod
    def read(cls, history: History, transform: Transform, exhausted: Flags) -> Labels:
        """Read the labels of the architectures in `History.successful`."""
        owners, values = history.labels
        values = values / history.unit
        transformed = transform(values)
        counts = np.bincount(owners)
        targets = np.bincount(owners, transformed) / counts
        squares = float(np.square(transformed - targets[owners]).sum())
        order = np.argsort(values, kind="stable")
        return cls(
            targets,
            counts,
            squares,
            exhausted,
            history.scores[history.trainings > 0] / history.unit,
            (transformed[order], values[order]),
        )

    @property
    def errors(self) -> Floats:
        """Variance of the mean of e, in units of that of e, shape (n,)."""
        return np.where(self.exhausted, 0.0, 1.0 / self.counts)

    @property
    def repeats(self) -> Repeats | None:
        """What a predictor is told of repeats; None where none tell anything."""
        freedom = int((self.counts - 1).sum())
        if freedom == 0 and (self.exhausted.all() or not self.exhausted.any()):
            return None
        return Repeats(self.counts.astype(np.float64), self.errors, self.squares, freedom)

    @property
    def scale(self) -> Scale:
        """The way back from targets to labels."""
        return Scale.through(*self.curve)

    def to_scores(self, joint: Joint) -> tuple[Floats, Floats]:
        """Return mean and covariance of the scores behind the labels, before the transform.

        The way back is that of the labels there are, straight between them; deviations
        are multiplied by how steep it is on both sides of the mean.
        """
        mean = joint.mean[: len(self.targets)]
        spread = np.maximum(np.sqrt(np.maximum(np.diag(joint.covariance)[: len(mean)], 0)), _NEAR)
        low, high = (self._way_back(np.clip(mean + s * spread, *self._ends)) for s in (-1, 1))
        width = np.diff(np.clip([mean - spread, mean + spread], *self._ends), axis=0)[0]
        slopes = (high - low) / np.maximum(width, 1e-12)
        scores = self.scores + self._way_back(mean) - self._way_back(self.targets)
        return scores, joint.covariance[: len(mean), : len(mean)] * np.outer(slopes, slopes)

    @property
    def _ends(self) -> tuple[float, float]:
        return float(self.curve[0][0]), float(self.curve[0][-1])

    def _way_back(self, targets: Floats) -> Floats:
        return np.asarray(np.interp(targets, *self.curve))


def choose_rivals(
    mean: Floats, covariance: Floats, n: int, is_open: Flags, rng: np.random.Generator
) -> list[int]:
    """Choose what to train next among architectures whose scores are jointly normal.

    Top-two Thompson sampling (Russo 2020, algorithm 3): the best one of a draw of all
    scores, and the best one of a later draw that has another. Which of the two is trained
    is information-directed (You et al., COLT 2023, arXiv:2205.12086): in proportion to
    the variances of their scores, for a Gaussian the optimal share. An architecture is so
    trained as often as it may be the best, and its closest rivals; one that is known well
    is left to what it is compared with.

    Parameters
    ----------
    mean : ndarray of float, shape (k,)
    covariance : ndarray of float, shape (k, k)
    n : int
    is_open : ndarray of bool, shape (k,)
        Which can be trained.
    rng : numpy.random.Generator

    Returns
    -------
    list of int
        n indices, -1 where the best has no rival or what was chosen cannot be trained.
    """
    values, vectors = np.linalg.eigh(covariance)
    variance = np.diag(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    draws = rng.standard_normal((n * _DRAWS, len(mean))) @ root.T
    chosen = []
    for winners in np.argmax(mean + draws, axis=1).reshape(n, _DRAWS):
        best, others = winners[0], winners[winners != winners[0]]
        choice = -1
        if len(others):
            share = variance[best] / (variance[best] + variance[others[0]])
            choice = int(best if rng.random() < share else others[0])
        chosen.append(choice if choice >= 0 and is_open[choice] else -1)
    return chosen
