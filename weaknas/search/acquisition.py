"""From a prediction to a batch of queries: functions of mean and standard deviation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from weaknas.errors import InputError, unknown
from weaknas.predictors.pool import PoolModel
from weaknas.spaces import Genotypes

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

_SHORTLIST = 40  # candidates looked at for each one of a batch that is spread


class Prediction:
    """What a fitted predictor says of N candidates, in units of its targets.

    Parameters
    ----------
    model : PoolModel
        Fitted.
    available : ndarray of bool, shape (N,)
        False for candidates that were queried already.
    queried : ndarray of int, shape (n,)
        The candidates that have labels.
    genotypes : ndarray of int, shape (N, d), optional
        The candidates, for an acquisition that looks at more than the score.

    Attributes
    ----------
    mean, std : ndarray of float, shape (N,)
        Of the noise-free score; `std` is zero for a predictor without uncertainty.
    incumbent : float
        The largest mean among the queried architectures: what has been reached,
        with the noise of single labels smoothed out.
    """

    def __init__(
        self,
        model: PoolModel,
        available: npt.NDArray[np.bool_],
        queried: Indices,
        genotypes: Genotypes | None = None,
    ) -> None:
        self.available, self.queried, self.genotypes = available, queried, genotypes
        self.mean, self.std = model.predict()
        self.incumbent = float(self.mean[queried].max())
        self.covariance = model.covariance


class Acquisition(ABC):
    """How much we want to query each candidate."""

    #: Whether a batch is spread by what the predictor says of the candidates' covariance.
    spreads = False

    @abstractmethod
    def values(
        self, mean: Floats, std: Floats, incumbent: float, rng: np.random.Generator
    ) -> Floats:
        """Return one number a candidate, shape (n,); larger is more wanted.

        Parameters
        ----------
        mean, std : ndarray of float, shape (n,)
        incumbent : float
            What has been reached, on the scale of `mean`.
        rng : numpy.random.Generator
        """

    def first(self) -> Genotypes | None:
        """Return what is to be evaluated before all else, shape (n, d); nothing by default."""
        return None

    def at(self, genotypes: Genotypes, means: Floats) -> Acquisition:
        """Return this acquisition given evaluated genotypes, (n, d), and their means, (n,)."""
        return self

    def values_of(
        self,
        genotypes: Genotypes,
        mean: Floats,
        std: Floats,
        incumbent: float,
        rng: np.random.Generator,
    ) -> Floats:
        """Return one number a candidate, given too which they are, shape (n, d)."""
        return self.values(mean, std, incumbent, rng)

    def choose(self, prediction: Prediction, n: int, rng: np.random.Generator) -> Indices:
        """Return the indices of up to n available candidates, the most wanted first."""
        values = self.values(prediction.mean, prediction.std, prediction.incumbent, rng)
        values = np.where(prediction.available, values, -np.inf)
        count = min(n, int(prediction.available.sum()))
        if not self.spreads or count < 2:
            return best_first(values, count)
        short = best_first(values, min(_SHORTLIST * count, int(prediction.available.sum())))
        known = prediction.covariance(short)
        if known is None:
            return short[:count]
        return short[self._spread(prediction, short, *known, count, rng)]

    def _spread(
        self,
        prediction: Prediction,
        short: Indices,
        covariance: Floats,
        noise: float,
        n: int,
        rng: np.random.Generator,
    ) -> list[int]:
        """Choose one after the other, each as if those before had come out as predicted.

        Deviations only shrink by that (Ginsbourger et al. 2010, kriging believer),
        and with them the values of all but the short list stay out of reach.
        """
        mean, variance = prediction.mean[short], np.diag(covariance).astype(np.float64)
        chosen: list[int] = []
        updates: list[Floats] = []
        while True:
            std = np.sqrt(np.maximum(variance, 1e-12))
            values = self.values(mean, std, prediction.incumbent, rng)
            values[chosen] = -np.inf
            index = int(np.argmax(values))
            chosen.append(index)
            if len(chosen) == n:
                return chosen
            column = covariance[index] - sum((u[index] * u for u in updates), np.zeros(len(short)))
            updates.append(column / np.sqrt(max(column[index], 1e-12) + noise))
            variance = variance - updates[-1] ** 2

    def describe(self) -> dict[str, Any]:
        """Return name and parameters as plain JSON types."""
        return {"name": type(self).__name__} | vars(self)


def best_first(values: Floats, n: int) -> Indices:
    """Return the indices of the n largest values in descending order (ties: the first)."""
    if n < len(values):
        # argpartition alone would order ties by chance of its algorithm
        threshold = -np.partition(-values, n - 1)[n - 1]
        shortlist = np.flatnonzero(values >= threshold)
    else:
        shortlist = np.arange(len(values))
    return shortlist[np.argsort(-values[shortlist], kind="stable")][:n]


@dataclass
class Greedy(Acquisition):
    """The predicted mean."""

    def values(
        self, mean: Floats, std: Floats, incumbent: float, rng: np.random.Generator
    ) -> Floats:
        """Return the mean."""
        return mean


@dataclass
class ExpectedImprovement(Acquisition):
    """Logarithm of the expected improvement over the incumbent (Jones et al. 1998, eq. 15).

    In logarithms the order stays right where the improvement itself underflows
    (Ament et al. 2023, LogEI).
    """

    spreads = True

    def values(
        self, mean: Floats, std: Floats, incumbent: float, rng: np.random.Generator
    ) -> Floats:
        """Return the logarithm of the expected improvement."""
        std = np.maximum(std, 1e-12)
        z = (mean - incumbent) / std
        return _log_unit_improvement(z) + np.log(std)


def _log_unit_improvement(z: Floats) -> Floats:
    """Return log(phi(z) + z Phi(z)), for z below -5 by its asymptotic series."""
    near = np.maximum(z, -5.0)
    exact = np.log(np.exp(-0.5 * near**2) / np.sqrt(2 * np.pi) + near * ndtr(near))
    tail = -0.5 * z**2 - 0.5 * np.log(2 * np.pi) - np.log(z**2 + 3.0)
    return np.asarray(np.where(z > -5.0, exact, tail))


@dataclass
class UpperConfidenceBound(Acquisition):
    """Mean plus `beta` standard deviations (Auer 2002; Srinivas et al. 2010, eq. 6)."""

    spreads = True
    beta: float = 1.0

    def values(
        self, mean: Floats, std: Floats, incumbent: float, rng: np.random.Generator
    ) -> Floats:
        """Return the upper bound."""
        return mean + self.beta * std


@dataclass
class IndependentThompson(Acquisition):
    """A draw from each candidate's own normal distribution (White et al., BANANAS, 2021)."""

    def values(
        self, mean: Floats, std: Floats, incumbent: float, rng: np.random.Generator
    ) -> Floats:
        """Return one draw a candidate."""
        return rng.normal(mean, np.maximum(std, 1e-12))


@dataclass
class TopN(Acquisition):
    """Uniform draws from the predicted top of the space (Wu et al., WeakNAS, NeurIPS 2021).

    The top are the `size` candidates with the largest mean, queried ones
    included; those not queried yet are drawn from with equal chance. When fewer
    are left than are wanted, the next best by rank follow.

    Parameters
    ----------
    size : int
        Size of the top.
    start : int, optional
        Size of the top in the first round; it then shrinks by `decay` each round
        until it reaches `size`. Default: `size` from the beginning.
    decay : float
        In (0, 1].
    """

    size: int = 100
    start: int | None = None
    decay: float = 0.96

    def __post_init__(self) -> None:
        if self.size < 1 or (self.start is not None and self.start < self.size):
            raise InputError(f"top-n needs 1 <= size <= start, not {self.size} and {self.start}")
        if not 0 < self.decay <= 1:
            raise InputError(f"decay must be in (0, 1], not {self.decay}")
        self._round = 0

    def describe(self) -> dict[str, Any]:
        """Return the parameters without the round that is counted."""
        return {"name": "TopN", "size": self.size, "start": self.start, "decay": self.decay}

    def values(
        self, mean: Floats, std: Floats, incumbent: float, rng: np.random.Generator
    ) -> Floats:
        """Return the mean."""
        return mean

    def choose(self, prediction: Prediction, n: int, rng: np.random.Generator) -> Indices:
        """Draw up to n available candidates of the top; the next best by rank fill up."""
        size = self.size
        if self.start is not None:
            size = max(size, round(self.start * self.decay**self._round))
        self._round += 1
        ranked = best_first(prediction.mean, len(prediction.mean))
        return _draw(ranked[prediction.available[ranked]], ranked[:size], n, rng)


@dataclass
class HalvedTop(Acquisition):
    """The predicted best and draws from a top that halves (Dudziak et al., BRP-NAS, 2020).

    Half of a batch are the best by predicted mean; the rest is drawn uniformly from
    the better half of the candidates in the first round, from the best quarter in
    the second, and so on (sec. 4.2, iterative data selection).

    Parameters
    ----------
    best : float
        Share of the batch that is taken from the best, in [0, 1].
    """

    best: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.best <= 1:
            raise InputError(f"best must be in [0, 1], not {self.best}")
        self._round = 0

    def describe(self) -> dict[str, Any]:
        """Return the parameters without the round that is counted."""
        return {"name": "HalvedTop", "best": self.best}

    def values(
        self, mean: Floats, std: Floats, incumbent: float, rng: np.random.Generator
    ) -> Floats:
        """Return the mean."""
        return mean

    def choose(self, prediction: Prediction, n: int, rng: np.random.Generator) -> Indices:
        """Take the best of up to n available candidates, and draw the rest from the top."""
        self._round += 1
        ranked = best_first(prediction.mean, len(prediction.mean))
        left = ranked[prediction.available[ranked]]
        first, others = np.split(left, [round(self.best * n)])
        top = ranked[: len(ranked) >> self._round]
        return np.concatenate([first, _draw(others, top, n - len(first), rng)])


def _draw(left: Indices, top: Indices, n: int, rng: np.random.Generator) -> Indices:
    """Draw up to n of those left, in order of rank, that are of the top; the next best fill up."""
    inside = np.isin(left, top)
    drawn = rng.permutation(left[inside])[:n]
    return np.concatenate([drawn, left[~inside][: n - len(drawn)]])


ACQUISITIONS: dict[str, Callable[..., Acquisition]] = {
    "ei": ExpectedImprovement,
    "greedy": Greedy,
    "halved-top": HalvedTop,
    "thompson": IndependentThompson,
    "top-n": TopN,
    # the alternative schedule of the paper
    "top-n-decay": partial(TopN, size=500, start=80_000),
    "ucb": UpperConfidenceBound,
}


def get_acquisition(name: str, **options: Any) -> Acquisition:
    """Return an acquisition by name.

    Raises
    ------
    InputError
        When the name is unknown.
    """
    if name not in ACQUISITIONS:
        raise unknown("acquisition", name, ACQUISITIONS)
    return ACQUISITIONS[name](**options)
