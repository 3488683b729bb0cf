"""What a few trainings tell of a landscape that nobody has listed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from weaknas.errors import InputError
from weaknas.laboratory.landscape.graph import Floats, Indices
from weaknas.laboratory.landscape.measures import correlation, correlation_length, one_hot
from weaknas.runs.journal import read_journal
from weaknas.runs.trials import Trial
from weaknas.spaces import Genotypes, SearchSpace

_LEAST = 5  # architectures, below which nothing is told
_MOST = 300  # architectures whose likelihood is computed; the first of more
_CORRELATIONS = np.linspace(0.02, 0.98, 25)
_NOISES = np.array([0.0, 0.01, 0.03, 0.1, 0.2, 0.4, 0.6, 0.8])
_PENALTIES = 10.0 ** np.arange(-2, 4)


@dataclass(frozen=True)
class Trainings:
    """Scores of some architectures, each of one training or more.

    Parameters
    ----------
    space : SearchSpace
    genotypes : ndarray of int, shape (n, d)
        Canonical, each architecture once.
    scores : ndarray of float, shape (n,)
        Means over the trainings of each.
    noise : dict of str to float or None
        By fidelity, ``"full"`` for all epochs: the standard deviation of a training, pooled
        over the architectures that were trained again; None where none was.
    trainings : int
        Of full fidelity or, if there are none, of the highest.
    """

    space: SearchSpace
    genotypes: Genotypes
    scores: Floats
    noise: dict[str, float | None]
    trainings: int

    @classmethod
    def of_run(cls, folder: str | Path, space: SearchSpace, first: int | None = None) -> Self:
        """Read the trials of a run.

        Parameters
        ----------
        folder : path
        space : SearchSpace
        first : int, optional
            Only so many trials from the beginning; default: all.

        Raises
        ------
        InputError
            When there is no journal, it is of another space, or fewer than five
            architectures have a score.
        """
        path = Path(folder) / "journal.jsonl"
        if not path.is_file():
            raise InputError(f"{folder} holds no journal of a search (journal.jsonl)")
        config, trials = read_journal(path)
        theirs = config["space"].get("name")
        if theirs != space.name:
            raise InputError(f"{folder} holds a run in the space {theirs!r}, not {space.name!r}")
        scored = [trial for trial in trials[:first] if trial.is_ok]
        highest = max((trial.level for trial in scored), default=math.inf)
        groups: dict[float, list[Trial]] = {}
        for trial in scored:
            groups.setdefault(trial.level, []).append(trial)
        noise = {
            "full" if math.isinf(level) else f"{level:g}": _noise(space, groups[level])
            for level in sorted(groups)
        }
        told = groups.get(highest, [])
        return cls.of_scores(
            space,
            space.genotypes([trial.architecture for trial in told]),
            np.array([trial.score for trial in told]),
            noise,
        )

    @classmethod
    def of_scores(
        cls,
        space: SearchSpace,
        genotypes: npt.NDArray[np.integer],
        scores: Floats,
        noise: dict[str, float | None] | None = None,
    ) -> Self:
        """Return scores, shape (n,), of genotypes, (n, d); isomorphic ones are one.

        Raises
        ------
        InputError
            When they are of fewer than five architectures.
        """
        rows = space.canonicalize(genotypes)
        _, first, owners = np.unique(
            space.fingerprint(rows), return_index=True, return_inverse=True
        )
        if len(first) < _LEAST:
            raise InputError(
                f"{len(first)} architectures with a score are too few for a landscape: at least"
                f" {_LEAST}"
            )
        means = np.bincount(owners, weights=scores) / np.bincount(owners)
        order = np.argsort(first)  # as they came
        return cls(space, rows[first[order]], means[order], noise or {}, len(scores))

    @property
    def decisions_apart(self) -> Indices:
        """In how many decisions each two of them differ, shape (n, n)."""
        return np.asarray((self.genotypes[:, None] != self.genotypes[None]).sum(axis=2))

    def describe(self, steps: int) -> dict[str, Any]:
        """Return what they tell, as plain JSON types; see `weaknas.laboratory.landscape.summary`.

        Distances are numbers of decisions in which canonical forms differ. Nothing is
        told of optima and of neutrality: neighbours of these architectures were not trained.
        """
        rate = self.correlation_per_decision()
        values = rate ** np.arange(steps + 1) if rate > 0 else np.eye(1, steps + 1)[0]
        best = self.decisions_apart[self.scores.argmax()].astype(np.float64)
        return {
            "autocorrelation": values.tolist(),
            "correlation_length": correlation_length(values),
            "fitness_distance_correlation": correlation(self.scores, best),
            "local_optima": None,
            "neutrality": None,
            "noise": self.noise,
            "additivity": self.predicted_additivity(),
        }

    def correlation_per_decision(self) -> float:
        """Return the correlation of architectures that differ in one decision.

        The most likely r of scores from a Gaussian process whose correlation is
        (1 - v) r^h for h decisions apart, beside a share v of noise; mean and variance are
        those of largest likelihood (Rasmussen and Williams 2006, equation 2.30). NaN where all
        scores are equal.
        """
        scores, apart = self.scores[:_MOST], self.decisions_apart[:_MOST, :_MOST]
        if np.ptp(scores) == 0:
            return math.nan
        fits = []
        with threadpool_limits(1):  # faster on matrices of this size
            for rate in _CORRELATIONS:
                values, vectors = np.linalg.eigh(rate**apart)
                for noise in _NOISES:
                    spectrum = (1 - noise) * np.maximum(values, 0) + noise + 1e-8
                    fits.append((_log_likelihood(scores, spectrum, vectors), rate))
        return float(max(fits)[1])

    def predicted_additivity(self) -> float:
        """Return how much of the variance a sum of main effects predicts, leaving one out.

        Ridge regression on the choices, 1 - PRESS / total, at the penalty that predicts
        best; 0 where nothing is predicted. In a few trainings least squares would fit any score.
        """
        columns = one_hot(self.space, self.genotypes)
        columns = columns - columns.mean(axis=0)
        centred = self.scores - self.scores.mean()
        total = float(centred @ centred)
        if total == 0:
            return math.nan
        left, sizes, _ = np.linalg.svd(columns, full_matrices=False)
        best = 0.0
        for penalty in _PENALTIES:
            hat = (left * (sizes**2 / (sizes**2 + penalty))) @ left.T
            leverage = np.diag(hat) + 1 / len(centred)  # the mean is fitted too
            errors = (centred - hat @ centred) / np.maximum(1 - leverage, 1e-9)
            best = max(best, 1 - float(errors @ errors) / total)
        return best


def _log_likelihood(scores: Floats, spectrum: Floats, vectors: Floats) -> float:
    """Return the profile log-likelihood of scores with a covariance by its eigenvectors."""
    ones, turned = vectors.T @ np.ones(len(scores)), vectors.T @ scores
    mean = (ones @ (turned / spectrum)) / (ones @ (ones / spectrum))
    rest = turned - mean * ones
    variance = rest @ (rest / spectrum) / len(scores)
    return float(-0.5 * (len(scores) * np.log(variance) + np.log(spectrum).sum()))


def _noise(space: SearchSpace, trials: list[Trial]) -> float | None:
    """Return the pooled standard deviation of trainings of the same architecture."""
    rows = space.genotypes([trial.architecture for trial in trials])
    _, owners = np.unique(space.fingerprint(rows), return_inverse=True)
    scores = np.array([trial.score for trial in trials])
    counts = np.bincount(owners)
    freedom = int((counts - 1).sum())
    if freedom == 0:
        return None
    errors = scores - (np.bincount(owners, weights=scores) / counts)[owners]
    return float(np.sqrt(errors @ errors / freedom))
