"""Which of the trained architectures is the best, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.spaces import Architecture

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

_DRAWS = 4096  # of the joint scores: a probability is right to 0.016 (two deviations)
_COMPARED = 32  # contenders; all others are taken to have no chance


@dataclass(frozen=True)
class Contender:
    """A trained architecture and what is known of its mean score over trainings.

    Parameters
    ----------
    architecture : Architecture
    score : float
        Expected mean score over trainings, given all that was told.
    std_error : float, optional
        Standard deviation of what is not known of it; 0 where another training would
        bring the same, None where nothing tells how much trainings differ.
    trainings : int
        Trainings that brought a score.
    probability_best : float, optional
        That its mean score is the best of those trained; None where `std_error` is.
    metrics : mapping of str to float
        Means over its trainings.
    """

    architecture: Architecture
    score: float
    std_error: float | None
    trainings: int
    probability_best: float | None
    metrics: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def from_dict(cls, record: Mapping[str, Any], architecture: Architecture) -> Contender:
        """Rebuild a contender from `to_dict` and its architecture."""
        names = ("score", "std_error", "trainings", "probability_best", "metrics")
        return cls(architecture, **{name: record[name] for name in names})

    def to_dict(self) -> dict[str, Any]:
        """Return the contender as plain JSON types."""
        return {
            "architecture": self.architecture.text,
            "id": self.architecture.id,
            "score": self.score,
            "std_error": self.std_error,
            "trainings": self.trainings,
            "probability_best": self.probability_best,
            "metrics": dict(self.metrics),
        }


@dataclass(frozen=True)
class Estimates:
    """What is known of the mean scores of n trained architectures: a normal distribution.

    Parameters
    ----------
    mean : ndarray of float, shape (n,)
    deviations : ndarray of float, shape (n,), optional
        None where nothing tells how much trainings differ.
    covariance : callable, optional
        From indices, shape (k,), to their covariance, shape (k, k); default: independent.
    """

    mean: Floats
    deviations: Floats | None = None
    covariance: Callable[[Indices], Floats] | None = None

    def probabilities_best(self) -> Floats | None:
        """Return how probable it is of each that it has the largest mean score, shape (n,).

        By draws with a seed of their own: it is the same whenever it is asked for.
        """
        if self.deviations is None:
            return None
        best = np.argsort(-self.mean, kind="stable")[:_COMPARED]
        draws = _standard_draws()[:, : len(best)]
        if self.covariance is None:
            draws = draws * self.deviations[best]
        else:
            values, vectors = np.linalg.eigh(self.covariance(best))
            draws = draws @ (vectors * np.sqrt(np.maximum(values, 0.0))).T
        winners = np.bincount(np.argmax(self.mean[best] + draws, axis=1), minlength=len(best))
        probabilities = np.zeros(len(self.mean))
        probabilities[best] = winners / len(draws)
        return probabilities


@cache
def _standard_draws() -> Floats:
    return np.random.default_rng(0).standard_normal((_DRAWS, _COMPARED))


def estimate_from_means(
    scores: Floats, counts: Indices, squares: float, exhausted: npt.NDArray[np.bool_]
) -> Estimates:
    """Return what labels alone tell: means of trainings with a noise of one size.

    Parameters
    ----------
    scores : ndarray of float, shape (n,)
        Means of the trainings.
    counts : ndarray of int, shape (n,)
        Numbers of trainings.
    squares : float
        Sum of the squared differences of all labels from these means.
    exhausted : ndarray of bool, shape (n,)
        Of which there is no other training: their mean is known.
    """
    freedom = int((counts - 1).sum())
    if freedom == 0 and not exhausted.all():
        return Estimates(scores)
    noise = squares / max(freedom, 1)
    return Estimates(scores, np.sqrt(np.where(exhausted, 0.0, noise / counts)))


def rank_contenders(
    architectures: Sequence[Architecture],
    counts: Indices,
    estimates: Estimates,
    chosen: Indices,
    unit: float = 1.0,
) -> list[Contender]:
    """Return contenders: architectures, counts of trainings, and their places in the estimates.

    `unit` is what the estimates are in.
    """
    deviations, probabilities = estimates.deviations, estimates.probabilities_best()
    return [
        Contender(
            architecture,
            float(estimates.mean[place]) * unit,
            None if deviations is None else float(deviations[place]) * unit,
            int(count),
            None if probabilities is None else float(probabilities[place]),
        )
        for architecture, count, place in zip(architectures, counts, chosen.tolist(), strict=True)
    ]
