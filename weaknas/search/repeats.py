"""Labels that differ from training to training, and which training is worth most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from weaknas.predictors.labels import Joint, Repeats
from weaknas.search.belief import Floats, Indices
from weaknas.search.targets import Scale, Transform
from weaknas.strategies import History

Flags: TypeAlias = npt.NDArray[np.bool_]

_AT_ONCE = (1, 4, 16)  # trainings that are valued together
#: A standard normal variable at equal distances, and its density there.
_NORMAL = np.linspace(-5.0, 5.0, 41)
_WEIGHTS = np.exp(-0.5 * _NORMAL**2) / np.exp(-0.5 * _NORMAL**2).sum()
_SMALLEST = 1e-12  # of the largest deviation or variance that there is
_TINY = float(np.finfo(np.float64).tiny)
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


def choose_trainings(
    joint: Joint, trained: Indices, challengers: Indices, is_open: Flags, n: int, has_more: bool
) -> list[int]:
    """Choose the n trainings that are expected to raise the score of what is returned most.

    One after the other, each as if those before had come out as expected: of the trained
    ones each that can be trained again, and of the challengers each, has a value, see
    `knowledge_gradient`; the largest is chosen, a challenger where they are equal.

    Parameters
    ----------
    joint : Joint
        Of k architectures, trained ones and new ones.
    trained : ndarray of int, shape (t,)
        Places of those that may be returned, and may be trained again.
    challengers : ndarray of int, shape (c,)
        Places of new ones.
    is_open : ndarray of bool, shape (t,)
        Which of the trained ones can be trained again.
    n : int
    has_more : bool
        Whether there are more new ones than these: then nothing is chosen after the last
        challenger, for those who would have to be compared with it are not here.

    Returns
    -------
    list of int
        At most n places; those among `challengers` stand for the new ones that are most wanted.
    """
    rows = np.concatenate([trained, challengers])
    mean, covariance = joint.mean[rows], joint.covariance[np.ix_(rows, rows)]
    least = max(_SMALLEST * float(np.diag(covariance).max()), _TINY)
    left = np.append(is_open, np.ones(len(challengers), dtype=bool))
    chosen: list[int] = []
    while len(chosen) < n and left[len(trained) if has_more else 0 :].any():
        values = knowledge_gradient(mean, covariance, joint.noise, len(trained))
        values = np.where(left, values, -1.0)
        place = len(values) - 1 - int(np.argmax(values[::-1]))
        column = covariance[place]
        known = max(float(column[place]) + joint.noise, least)
        covariance = covariance - np.outer(column, column) / known
        left[place] = False
        chosen.append(int(rows[place]))
    return chosen


def knowledge_gradient(mean: Floats, covariance: Floats, noise: float, trained: int) -> Floats:
    """Return by how much a training is expected to raise the score of what is returned.

    What is returned is the largest mean of those that are trained. After m trainings of
    architecture a the means have moved by ``s Z``, Z standard normal and ``s_i = c_ia /
    sqrt(c_aa + noise / m)``, c the covariance, so that it is ``E max_i (mean_i + s_i Z) -
    max_i mean_i`` over the trained ones and a: the knowledge gradient for correlated beliefs
    (Frazier, Powell and Dayanik, INFORMS J. Comput. 21, 2009). One training alone is
    often worth nothing where many would be worth much, so that the value is the best mean
    value of m trainings (KG(*): Frazier and Powell, Decision Analysis 7, 2010).

    Parameters
    ----------
    mean : ndarray of float, shape (k,)
    covariance : ndarray of float, shape (k, k)
        Of the scores.
    noise : float
        Variance of the label of one training.
    trained : int
        So many are trained, the first ones.

    Returns
    -------
    ndarray of float, shape (k,)
        Of each, per training; 0 or more.
    """
    best = int(np.argmax(mean[:trained]))
    behind = mean - mean[best]
    values = np.zeros(len(mean))
    for count in _AT_ONCE:
        scale = np.sqrt(np.maximum(np.diag(covariance), 0.0) + noise / count)
        moves = covariance / np.maximum(scale, max(_SMALLEST * scale.max(), _TINY))[:, None]
        # The move of the best has mean 0: without it nothing is cancelled.
        relative = moves - moves[:, [best]]
        own = np.diag(relative)[:, None]
        gains = np.maximum(behind[:, None] + own * _NORMAL, 0.0)
        for other in range(trained):
            np.maximum(gains, behind[other] + relative[:, [other]] * _NORMAL, out=gains)
        values = np.maximum(values, gains @ _WEIGHTS / count)
    return values
