"""The contract of a search strategy: ask for architectures, tell their scores."""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from weaknas.errors import MOST_AT_ONCE, InputError, check_seed, check_whole, unknown
from weaknas.spaces import Architecture, ArchitectureLike, Fingerprints, Genotypes, SearchSpace
from weaknas.strategies._contenders import (
    Contender,
    Estimates,
    estimate_from_means,
    rank_contenders,
)

_MOST_REFUSALS = 100  # rounds of proposals that turn out to be outside the space
_LEAST = 1e-100  # far from where squares, and sums of them, overflow or vanish
_P = ParamSpec("_P")
_T = TypeVar("_T")
Scores: TypeAlias = npt.NDArray[np.float64]
#: Epochs (or data fraction) of an evaluation; None stands for full training.
Fidelity: TypeAlias = float | None


class History:
    """What a strategy was told: architectures in the order in which they were first told.

    An architecture that is told again at the same fidelity is a repeat: one more
    training of it. Its score is then the mean of its labels.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        #: How many evaluations were told, repeats and failures included.
        self.told = 0
        self._entries: dict[tuple[int, Fidelity], int] = {}
        self._rows = _Column(np.empty((0, space.n_variables), dtype=space.genotype_dtype))
        self._codes = _Column(np.empty(0, dtype=np.int64))
        self._sums = _Column(np.empty(0))
        self._counts = _Column(np.empty(0, dtype=np.int64))
        self._levels = _Column(np.empty(0))  # fidelities, that of full training is infinite
        self._owners = _Column(np.empty(0, dtype=np.int64))
        self._labels = _Column(np.empty(0))

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, genotypes: Genotypes, scores: Scores, fidelity: Fidelity = None) -> None:
        """Append a batch of canonical genotypes, shape (n, d), and scores, shape (n,)."""
        codes = self._space.fingerprint(genotypes).tolist()
        self.told += len(codes)
        for row, code, score in zip(genotypes, codes, scores.tolist(), strict=True):
            entry = self._entries.setdefault((code, fidelity), len(self._entries))
            if entry == len(self._rows.values):
                self._levels.append(_level(fidelity))
                self._rows.append(row)
                self._codes.append(code)
                self._sums.append(0.0)
                self._counts.append(0)
            if math.isfinite(score):
                self._sums.values[entry] += score
                self._counts.values[entry] += 1
                self._owners.append(entry)
                self._labels.append(score)

    def score_of(self, fingerprint: int, fidelity: Fidelity = None) -> float | None:
        """Return the mean score told for one fingerprint, NaN for a failure, None if none."""
        entry = self._entries.get((fingerprint, fidelity))
        if entry is None:
            return None
        count = self._counts.values[entry]
        return float(self._sums.values[entry] / count) if count else math.nan

    @property
    def worst(self) -> float | None:
        """The lowest score that was told, None before there is one."""
        return float(self._labels.values.min()) if len(self._labels.values) else None

    @property
    def genotypes(self) -> Genotypes:
        """Canonical genotypes, shape (n, d)."""
        return np.asarray(self._rows.values)

    @property
    def scores(self) -> Scores:
        """Mean scores, shape (n,); NaN where every evaluation failed."""
        counts = self._counts.values
        return np.where(counts > 0, self._sums.values / np.maximum(counts, 1), np.nan)

    @property
    def fingerprints(self) -> Fingerprints:
        """Fingerprints, shape (n,)."""
        return np.asarray(self._codes.values)

    @property
    def trainings(self) -> npt.NDArray[np.int64]:
        """Trainings that brought a score, shape (n,); 0 where every evaluation failed."""
        return np.asarray(self._counts.values)

    @property
    def successful_fingerprints(self) -> Fingerprints:
        """Fingerprints without those of the failed ones, shape (m,)."""
        return self.fingerprints[self.trainings > 0]

    @property
    def successful(self) -> tuple[Genotypes, Scores]:
        """Genotypes and mean scores without the failed ones."""
        good = self.trainings > 0
        return self.genotypes[good], self.scores[good]

    @property
    def labels(self) -> tuple[npt.NDArray[np.int64], Scores]:
        """Every score that was told, shape (t,), and its place in `successful`."""
        place = np.cumsum(self.trainings > 0) - 1
        return place[self._owners.values], np.asarray(self._labels.values)

    @property
    def leading(self) -> npt.NDArray[np.int64]:
        """Indices of those that have a score of the highest fidelity so far, shape (k,)."""
        return np.flatnonzero((self.trainings > 0) & (self._levels.values == self.level))

    @property
    def level(self) -> float:
        """The highest fidelity of a score so far: infinity for full training, -infinity before."""
        return float(self._levels.values.max(initial=-math.inf, where=self.trainings > 0))

    @property
    def unit(self) -> float:
        """1, or a power of two of the size of the scores where squares of them are no numbers."""
        largest = float(np.abs(self._labels.values).max(initial=0.0))
        is_usual = largest == 0 or _LEAST < largest < 1 / _LEAST
        return 1.0 if is_usual else math.ldexp(0.5, math.frexp(largest)[1])

    @property
    def noise_squares(self) -> float:
        """Sum of the squared differences of all labels from the mean of their architecture.

        In squares of `unit`.
        """
        means = self.scores[self._owners.values]
        return float(np.square((self._labels.values - means) / self.unit).sum())

    def successful_at(self, fidelity: Fidelity) -> tuple[Genotypes, Scores]:
        """Return genotypes and mean scores of one fidelity without the failed ones."""
        good = (self.trainings > 0) & (self._levels.values == _level(fidelity))
        return self.genotypes[good], self.scores[good]


def _level(fidelity: Fidelity) -> float:
    return math.inf if fidelity is None else fidelity


class _Column:
    """An array that grows at its end."""

    def __init__(self, empty: npt.NDArray[Any]) -> None:
        self._room, self._length = empty, 0

    @property
    def values(self) -> npt.NDArray[Any]:
        """What was appended, as a view."""
        return self._room[: self._length]

    def append(self, value: Any) -> None:
        """Add one value or row."""
        if self._length == len(self._room):
            shape = (max(2 * self._length, 16), *self._room.shape[1:])
            room = np.empty(shape, dtype=self._room.dtype)
            room[: self._length] = self._room
            self._room = room
        self._room[self._length] = value
        self._length += 1


@dataclass(frozen=True)
class _Always:
    """The same number of trainings for every architecture."""

    count: float

    def __call__(self, architecture: Architecture) -> float:
        return self.count


def _one_at_a_time(
    method: Callable[Concatenate[Any, _P], _T],
) -> Callable[Concatenate[Any, _P], _T]:
    """Let one thread at a time into a strategy; the others wait."""

    @wraps(method)
    def enter(strategy: Any, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        with strategy._lock:
            return method(strategy, *args, **kwargs)

    return enter


class Strategy(ABC):
    """Proposes architectures and learns from their scores.

    A strategy never calls an evaluator. It proposes an architecture once at a
    fidelity, isomorphic ones counting as one, unless it decides to have it trained
    again, which only happens where `run` has said by `trainings` that another
    training may bring another score. Given the seed and what it was told it is
    deterministic in any process. Several threads may ask and tell; a copy, or one that
    comes out of a pickle, goes on alike.

    Parameters
    ----------
    space : SearchSpace
    seed : int
    batch_size : int
        How many architectures a round has.

    Raises
    ------
    InputError
        When `batch_size` or the seed is out of bounds.

    Examples
    --------
    A strategy says what it proposes; `ask` keeps of it what is new, and fills up.

    >>> import weaknas
    >>> from weaknas.strategies import Strategy
    >>> class Neighbors(Strategy):
    ...     def _propose(self, n):
    ...         genotypes, scores = self.history.successful
    ...         if len(scores) == 0:
    ...             return self.space.sample(n, self._rng)
    ...         return self.space.neighbors(genotypes[scores.argmax()])
    >>> space = weaknas.ChoiceSpace({"width": [16, 32, 64], "depth": [2, 4, 8]})
    >>> search = Neighbors(space, seed=0)
    >>> for _ in range(5):
    ...     architectures = search.ask()
    ...     search.tell(architectures, [sum(each.genotype) for each in architectures])
    >>> [contender.architecture.text for contender in search.contenders(1)]
    ['width=64,depth=8']
    """

    def __init__(self, space: SearchSpace, *, seed: int = 0, batch_size: int = 1) -> None:
        self._lock = threading.RLock()
        self.space = space
        self.seed = check_seed(seed)
        self.batch_size = check_whole("batch_size", batch_size, most=MOST_AT_ONCE)
        #: Costs that are made small beside a large score.
        self.objectives: tuple[str, ...] = ()
        self.history = History(space)
        self._rng = np.random.default_rng(np.random.SeedSequence(self.seed))
        self._proposed: defaultdict[Fidelity, set[int]] = defaultdict(set)
        self._pending: Counter[tuple[Fidelity, int]] = Counter()
        self._pending_rows: dict[int, Genotypes] = {}
        self._learned: defaultdict[Fidelity, set[int]] = defaultdict(set)
        #: How many trainings there will be, and how many different ones an architecture
        #: has, where `begin` has said it.
        self.budget: int | None = None
        self.trainings: Callable[[Architecture], float] | None = None
        self._limits: dict[int, float] = {}  # what it said, by fingerprint

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the lock, and the evaluator behind `trainings`; what it said stays.

        Of architectures that come later, the copy believes the largest number so far.
        """
        state = {name: value for name, value in vars(self).items() if name != "_lock"}
        if self.trainings is not None:
            self._exhausted(np.arange(len(self.history)))
            state["trainings"] = _Always(max(self._limits.values(), default=math.inf))
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=threading.RLock())

    # -- what users call ----------------------------------------------------------------

    @property
    def round_size(self) -> int:
        """How many architectures the next round wants."""
        return self.batch_size

    @property
    def round_fidelity(self) -> Fidelity:
        """The fidelity at which the next `ask` wants its architectures evaluated."""
        return None

    @property
    def may_repeat(self) -> bool:
        """Whether architectures may be trained again."""
        return False

    @property
    def fidelities(self) -> tuple[Fidelity, ...]:
        """All fidelities that are asked for, ascending; None, full training, comes last."""
        return (None,)

    def begin(
        self, budget: int | None = None, trainings: Callable[[Architecture], float] | None = None
    ) -> None:
        """Learn what is known before the first training; `run` says it.

        Parameters
        ----------
        budget : int, optional
            How many trainings there will be.
        trainings : callable, optional
            How many different ones an architecture has, see
            `weaknas.evaluators.Repeatable`; nothing is trained again where it is not known.
        """
        self.budget, self.trainings = budget, trainings

    @_one_at_a_time
    def ask(self, n: int | None = None) -> list[Architecture]:
        """Propose architectures to train at `round_fidelity`.

        Parameters
        ----------
        n : int, optional
            How many; default `round_size`.

        Returns
        -------
        list of Architecture
            Fewer than n only when the space is exhausted or, for a strategy of
            several fidelities, when the rest depends on scores not told yet.

        Raises
        ------
        InputError
            When n is no whole number from 1 to 100,000.
        """
        count = self.round_size if n is None else check_whole("n", n, most=MOST_AT_ONCE)
        found: list[Genotypes] = []
        missing, fidelity = count, self.round_fidelity
        for _ in range(_MOST_REFUSALS):
            rows = self._admit(self._propose(missing))[:missing]
            self._seen.update(self.space.fingerprint(rows).tolist())
            if len(rows) < missing:
                filled = self._fill(missing - len(rows))
                self._seen.update(self.space.fingerprint(filled).tolist())
                rows = np.vstack([rows, filled])
            found.append(self._confirmed(rows))
            # What the next proposal, in place of those that were refused, has to know of.
            self._await(found[-1], self.space.fingerprint(found[-1]).tolist(), fidelity)
            missing -= len(found[-1])
            refused = missing and len(found[-1]) < len(rows)
            if not refused or self.round_fidelity != fidelity:
                break
        return self.space.architectures(np.vstack(found))

    def _confirmed(self, rows: Genotypes) -> Genotypes:
        """Leave out what turns out to be outside the space, unless it is trained already."""
        known = np.isin(self.space.fingerprint(rows), self.history.fingerprints)
        known[~known] = self.space.confirm(rows[~known])
        return rows[known]

    @_one_at_a_time
    def expect(self, architectures: Sequence[ArchitectureLike], fidelity: Fidelity = None) -> None:
        """Take note of trainings that somebody else asks for, whose scores will be told.

        Parameters
        ----------
        architectures : sequence of Architecture, str or ndarray of int
        fidelity : float, optional
        """
        rows = self.space.canonicalize(self.space.genotypes(architectures))
        self._await(rows, self.space.fingerprint(rows).tolist(), fidelity)

    def _await(self, rows: Genotypes, codes: list[int], fidelity: Fidelity) -> None:
        self._pending.update((fidelity, code) for code in codes)
        self._pending_rows.update(zip(codes, rows, strict=True))

    @_one_at_a_time
    def tell(
        self,
        architectures: Sequence[ArchitectureLike],
        scores: Sequence[float] | Scores,
        fidelity: Fidelity = None,
    ) -> None:
        """Learn the scores of architectures, asked for or not; a known one is a repeat.

        Parameters
        ----------
        architectures : sequence of Architecture, str or ndarray of int
        scores : sequence of float
            Larger is better; NaN for an evaluation that failed.
        fidelity : float, optional
            At which they were evaluated, one of `fidelities`.

        Raises
        ------
        InputError
            When the lengths differ, an architecture is not of the space or the
            strategy does not learn from the fidelity.
        """
        if fidelity not in self.fidelities:
            allowed = ["full" if level is None else f"{level:g}" for level in self.fidelities]
            raise unknown("fidelity", f"{fidelity:g}" if fidelity else fidelity, allowed)
        values = np.asarray(scores, dtype=np.float64).reshape(-1)
        if len(values) != len(architectures):
            raise InputError(f"{len(architectures)} architectures but {len(values)} scores")
        rows = self.space.canonicalize(self.space.genotypes(architectures))
        codes = self.space.fingerprint(rows).tolist()
        self._proposed[fidelity].update(codes)
        self._pending -= Counter((fidelity, code) for code in codes)
        self.history.add(rows, values, fidelity)
        news = self._news(codes, fidelity)
        means = np.array([self.history.score_of(code, fidelity) for code in news], dtype=np.float64)
        self._learned[fidelity].update(np.array(list(news))[np.isfinite(means)].tolist())
        self._learn(rows[list(news.values())], means)

    @_one_at_a_time
    def contenders(self, n: int = 10) -> list[Contender]:
        """Return the trained architectures that are expected to be the best, the best first.

        The first one is what a search returns if it is stopped now. Where it takes a
        predictor to tell, that is fitted for it, and a search that was looked at more often
        may propose other architectures from then on, as good as those it would have.

        Parameters
        ----------
        n : int
            At most so many; none before there is a score.
        """
        leading = self.history.leading
        if not len(leading):
            return []
        estimates = self._estimate(leading)
        order = np.argsort(-estimates.mean, kind="stable")[:n]
        chosen = leading[order]
        architectures = self.space.architectures(self.history.genotypes[chosen])
        counts, unit = self.history.trainings[chosen], self.history.unit
        return rank_contenders(architectures, counts, estimates, order, unit)

    def describe(self) -> dict[str, Any]:
        """Return what decides the proposals, as plain JSON types."""
        return {
            "strategy": type(self).__name__,
            "seed": self.seed,
            "batch_size": self.batch_size,
        }

    # -- what a strategy is made of -------------------------------------------------

    @abstractmethod
    def _propose(self, n: int) -> Genotypes:
        """Return any number of genotypes; `ask` drops known ones and keeps up to n."""

    def _fill(self, n: int) -> Genotypes:
        """Return what `ask` adds when `_propose` gave n too few."""
        return self._random_unseen(n)

    def _learn(self, genotypes: Genotypes, scores: Scores) -> None:  # noqa: B027
        """Learn of architectures whose trainings have all been told; optional.

        Each has its mean score, NaN where all failed, and comes once: a training more
        later on is in `history` alone.
        """

    def _score_of(self, fingerprint: int, fidelity: Fidelity = None) -> float | None:
        """Return a mean score, None before all trainings that were asked for at first are told."""
        waits = self._pending[fidelity, fingerprint] and fingerprint not in self._learned[fidelity]
        return None if waits else self.history.score_of(fingerprint, fidelity)

    def _news(self, codes: list[int], fidelity: Fidelity) -> dict[int, int]:
        """Return what of the told fingerprints `_learn` is given, and the place of each."""
        news: dict[int, int] = {}
        for place, code in enumerate(codes):
            if code not in self._learned[fidelity] and not self._pending[fidelity, code]:
                news.setdefault(code, place)
        return news

    def _estimate(self, entries: npt.NDArray[np.int64]) -> Estimates:
        """Return what is known of the mean scores of entries, shape (k,), in `History.unit`."""
        history = self.history
        return estimate_from_means(
            history.scores[entries] / history.unit,
            history.trainings[entries],
            history.noise_squares,
            self._exhausted(entries),
        )

    def _exhausted(self, entries: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Tell of which entries of `history`, shape (k,), there is no other training."""
        if self.trainings is None:
            return np.zeros(len(entries), dtype=bool)
        codes = self.history.fingerprints[entries].tolist()
        limits = self._count_trainings(self.history.genotypes[entries], codes, self.trainings)
        return np.asarray(self.history.trainings[entries] >= limits)

    def _count_trainings(
        self, rows: Genotypes, codes: list[int], trainings: Callable[[Architecture], float]
    ) -> npt.NDArray[np.float64]:
        """Return how many different trainings genotypes with fingerprints have, shape (n,)."""
        fresh = [index for index, code in enumerate(codes) if code not in self._limits]
        for index, architecture in zip(fresh, self.space.architectures(rows[fresh]), strict=True):
            self._limits[codes[index]] = trainings(architecture)
        return np.array([self._limits[code] for code in codes], dtype=np.float64)

    def _admit(self, genotypes: npt.NDArray[np.integer]) -> Genotypes:
        """Return which of the proposed genotypes are asked for, canonical: those that are new."""
        return self._unseen(genotypes)

    @property
    def pending(self) -> Genotypes:
        """What was asked and not told yet, canonical, each once; shape (n, d)."""
        rows = [self._pending_rows[code] for code in self.pending_fingerprints.tolist()]
        return np.array(rows, dtype=self.space.genotype_dtype).reshape(-1, self.space.n_variables)

    @property
    def pending_fingerprints(self) -> Fingerprints:
        """Fingerprints of `pending`, shape (n,)."""
        codes = dict.fromkeys(code for _, code in self._pending)
        return np.fromiter(codes, dtype=np.int64, count=len(codes))

    @property
    def _seen(self) -> set[int]:
        """Fingerprints of what was proposed or told at the fidelity of the round."""
        return self._proposed[self.round_fidelity]

    def _unseen(self, genotypes: npt.NDArray[np.integer]) -> Genotypes:
        """Canonical forms of those that were not proposed or told yet, each once."""
        rows = self.space.canonicalize(genotypes)
        keep, new = [], set()
        for index, code in enumerate(self.space.fingerprint(rows).tolist()):
            if code not in self._seen and code not in new:
                new.add(code)
                keep.append(index)
        return rows[keep]

    def _random_unseen(self, n: int) -> Genotypes:
        """Up to n new architectures, drawn uniformly; all that are left if there are fewer."""
        found = np.empty((0, self.space.n_variables), dtype=self.space.genotype_dtype)
        for _ in range(20):
            drawn = self.space.sample(2 * n, self._rng)
            found = self._unseen(np.vstack([found, drawn]))
            if len(found) >= n:
                return found[:n]
        if self.space.is_listable:  # nearly exhausted: list what is left
            left = self._unseen(self.space.enumerate())
            return left[self._rng.permutation(len(left))[:n]]
        return found
