"""From a belief to a batch of queries: functions of mean and standard deviation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.special import erfcx

from weaknas.errors import check_number, check_whole, unknown
from weaknas.search.belief import Belief, Floats, Indices
from weaknas.spaces import Genotypes

_SHORTLIST = 40  # candidates looked at for each one of a batch that is spread
_MOST_SPREAD = 2000  # candidates looked at in all: their covariance is kept
#: Where the next term of the series, 105 / z^6, is less than the last place of the logarithm.
_FAR_BELOW = -200.0
#: Where the normal density is less than the last place of what is added to it.
_FAR_ABOVE = 8.5
#: Of the largest deviation or variance that there is: less is taken for rounding.
_SMALLEST = 1e-12


class Acquisition(ABC):
    """How much we want to query each candidate.

    Subclasses write `values`. One object may serve any number of searches: all that
    changes from round to round is in the belief. Parameters are public attributes.

    Examples
    --------
    >>> import weaknas
    >>> from weaknas.search.acquisition import Acquisition
    >>> class Optimist(Acquisition):
    ...     def values(self, belief):
    ...         return belief.mean + 2 * belief.std
    >>> search = weaknas.WeakNAS(weaknas.ChoiceSpace({"width": range(9)}), acquisition=Optimist())
    >>> search.describe()["acquisition"]
    {'name': 'Optimist'}
    """

    #: Whether a batch is spread by what the predictor says of the candidates' covariance.
    spreads = False

    @abstractmethod
    def values(self, belief: Belief) -> Floats:
        """Return one number a candidate, shape (n,); larger is more wanted."""

    def openers(self) -> Genotypes | None:
        """Return what is to be evaluated before all else, shape (n, d); nothing by default."""
        return None

    def choose(self, belief: Belief, n: int) -> Indices:
        """Return the indices of up to n available candidates, the most wanted first."""
        count = min(n, belief.left)
        values = np.where(belief.available, self.values(belief), -np.inf)
        if not self.spreads or count < 2:
            return best_first(values, count)
        short, rest = shortlist(values, count, belief.left)
        believer = Believer(belief.std[short], belief.covariance(short))
        while len(believer.chosen) < min(count, len(short)):
            values = self.values(belief.after(believer.chosen, short, believer.std))
            values[believer.chosen] = -np.inf
            believer.choose(int(np.argmax(values)))
        return np.concatenate([short[believer.chosen], rest])

    def describe(self) -> dict[str, Any]:
        """Return name and parameters as plain JSON types."""
        public = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        return {"name": type(self).__name__} | public


class Believer:
    """Deviations of a short list as its members are chosen one after the other.

    Each is taken as if those before had come out as predicted: means stay, and
    deviations only shrink (kriging believer, Ginsbourger et al. 2010), so that the
    values of all but the short list stay out of reach. A choice j with noise s of its
    label takes ``c_j c_j' / (c_jj + s)`` off the covariance, c_j its column.

    Parameters
    ----------
    std : ndarray of float, shape (m,)
        Standard deviations before.
    joint : tuple of (ndarray of float, shape (m, m), float), optional
        Covariance, and the noise of a label; default: not known, deviations stay.

    Attributes
    ----------
    chosen : list of int
        In order.
    std : ndarray of float, shape (m,)
        Standard deviations now.
    """

    def __init__(self, std: Floats, joint: tuple[Floats, float] | None) -> None:
        self.chosen: list[int] = []
        self.std, self._joint = std, joint
        self._least = max(_SMALLEST * float(np.square(std).max()), np.finfo(np.float64).tiny)
        self._updates: list[Floats] = []  # what was taken off is the sum of their squares
        if joint is not None:
            self._shrink(np.diag(joint[0]))

    def choose(self, index: int) -> None:
        """Choose a member."""
        self.chosen.append(index)
        if self._joint is None:
            return
        covariance, noise = self._joint
        nothing = np.zeros(len(self.std))
        column = covariance[index] - sum((u[index] * u for u in self._updates), nothing)
        self._updates.append(column / np.sqrt(max(column[index], self._least) + noise))
        self._shrink(self._variance - self._updates[-1] ** 2)

    def _shrink(self, variance: Floats) -> None:
        self._variance = variance
        self.std = np.sqrt(np.maximum(variance, self._least))


def shortlist(values: Floats, count: int, left: int) -> tuple[Indices, Indices]:
    """Return the candidates that a batch is spread over, and what comes after all of them.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
        How much each is wanted.
    count : int
        Size of the batch.
    left : int
        Candidates that may be chosen.
    """
    size = min(_SHORTLIST * count, _MOST_SPREAD, left)
    short, rest = np.split(best_first(values, max(size, count)), [size])
    return short, rest


def best_first(values: Floats, n: int) -> Indices:
    """Return the indices of the n largest values in descending order (ties: the first)."""
    if n < len(values):
        # argpartition alone would order ties by chance of its algorithm
        threshold = -np.partition(-values, n - 1)[n - 1]
        shortlist = np.flatnonzero(values >= threshold)
    else:
        shortlist = np.arange(len(values))
    return shortlist[np.argsort(-values[shortlist], kind="stable")][:n]


@dataclass(frozen=True)
class Greedy(Acquisition):
    """The predicted mean."""

    def values(self, belief: Belief) -> Floats:
        """Return the mean."""
        return belief.mean


@dataclass(frozen=True)
class ExpectedImprovement(Acquisition):
    """Logarithm of the expected improvement over the incumbent (Jones et al. 1998, eq. 15).

    In logarithms the order stays right where the improvement itself underflows
    (Ament et al. 2023, LogEI).
    """

    spreads = True

    def values(self, belief: Belief) -> Floats:
        """Return the logarithm of the expected improvement."""
        behind = belief.mean - belief.incumbent
        largest = float(belief.std.max()) or float(np.abs(behind).max()) or 1.0
        std = np.maximum(belief.std, _SMALLEST * largest)
        z = behind / std
        return log_unit_improvement(z) + np.log(std)

    def weigh(self, values: Floats, logarithms: Floats) -> Floats:
        """Return the logarithm of the product with weights, of which the logarithms are given."""
        return values + logarithms


def log_unit_improvement(z: Floats) -> Floats:
    """Return log(phi(z) + z Phi(z)), the log of E max(z + e, 0) for a standard normal e.

    It is ``log phi(z) + log(1 + z Phi(z) / phi(z))``, where ``Phi(z) / phi(z) = sqrt(pi / 2)
    erfcx(-z / sqrt(2))`` neither over- nor underflows. For z < 0 what is added to 1 comes
    close to -1 and loses about z^2 units of the last place; far below, the asymptotic
    series ``(1 - 3 / z^2 + 15 / z^4) / z^2`` of that sum loses less (Abramowitz and Stegun
    1964, eq. 26.2.12). Far above, Phi is 1 and phi 0 to the last digit.
    """
    inner = np.clip(z, _FAR_BELOW, _FAR_ABOVE)
    logarithm = np.log1p(inner * (np.sqrt(np.pi / 2) * erfcx(inner / -np.sqrt(2))))
    logarithm += _log_density(inner)
    below, above = z < _FAR_BELOW, z > _FAR_ABOVE
    if below.any():
        squares = 1.0 / z[below] ** 2
        series = np.log(squares) + np.log1p(-3.0 * squares + 15.0 * squares**2)
        logarithm[below] = _log_density(z[below]) + series
    if above.any():
        logarithm[above] = np.log(z[above])
    return np.asarray(logarithm)


def _log_density(z: Floats) -> Floats:
    return np.asarray(-0.5 * z**2 - 0.5 * np.log(2 * np.pi))


@dataclass(frozen=True)
class UpperConfidenceBound(Acquisition):
    """Mean plus `beta` standard deviations (Auer 2002; Srinivas et al. 2010, eq. 6)."""

    spreads = True
    beta: float = 1.0

    def __post_init__(self) -> None:
        check_number("beta", self.beta)

    def values(self, belief: Belief) -> Floats:
        """Return the upper bound."""
        return belief.mean + self.beta * belief.std


@dataclass(frozen=True)
class IndependentThompson(Acquisition):
    """A draw from each candidate's own normal distribution (White et al., BANANAS, 2021)."""

    def values(self, belief: Belief) -> Floats:
        """Return one draw a candidate."""
        return belief.rng.normal(belief.mean, belief.std)


@dataclass(frozen=True)
class TopN(Greedy):
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
        check_whole("size", self.size)
        if self.start is not None:
            check_whole("start", self.start, self.size)
        check_number("decay", self.decay, above=0, most=1)

    def choose(self, belief: Belief, n: int) -> Indices:
        """Draw up to n available candidates of the top; the next best by rank fill up."""
        size = self.size
        if self.start is not None:
            size = max(size, round(self.start * self.decay**belief.round))
        ranked = best_first(belief.mean, len(belief.mean))
        return _draw(ranked[belief.available[ranked]], ranked[:size], n, belief.rng)


@dataclass(frozen=True)
class HalvedTop(Greedy):
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
        check_number("best", self.best, least=0, most=1)

    def choose(self, belief: Belief, n: int) -> Indices:
        """Take the best of up to n available candidates, and draw the rest from the top."""
        ranked = best_first(belief.mean, len(belief.mean))
        left = ranked[belief.available[ranked]]
        best, others = np.split(left, [round(self.best * n)])
        top = ranked[: len(ranked) >> (belief.round + 1)]
        return np.concatenate([best, _draw(others, top, n - len(best), belief.rng)])


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
