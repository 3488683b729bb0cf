"""Any strategy, with architectures trained more than once."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

from weaknas.errors import MOST_AT_ONCE, InputError, check_whole, unknown
from weaknas.spaces import Architecture, ArchitectureLike, Fingerprints, Genotypes
from weaknas.strategies._base import Fidelity, Scores, Strategy, _one_at_a_time
from weaknas.strategies._contenders import Contender

#: How many of the best are trained again at the end of a budget, or as it seems worth it.
Confirm: TypeAlias = int | Literal["auto"]

_MORE = 2  # trainings that confirm one of the best
_SHARE = 0.2  # of the trainings that `auto` may spend on repeats
_SURE = 0.9  # probability of being the best that needs no repeat
_FREEDOM = 3  # repeats before their differences are taken for the noise
_CONTENDERS = 32


class Repeating(Strategy):
    """A strategy whose architectures are trained more than once.

    The proposals are those of the strategy, which learns the mean of the trainings that
    it waits for together, and what later ones change through its history. Nothing is
    trained again unless `begin` has said that trainings differ (`weaknas.run` does),
    nor more often than there are different trainings. With several fidelities the best
    of full training are confirmed.

    Parameters
    ----------
    strategy : Strategy
        Fresh.
    repeats : int
        How often every architecture is trained at once.
    confirm : int or "auto", optional
        A number k: the last 2 k trainings of the budget are two more of each of the k
        best, as of then; of a budget of less than 3 k trainings two thirds. Where the
        space is exhausted before, they come then. What the budget is must be said
        before, and it cannot grow later on.

        ``"auto"``: at any time, up to a fifth of the trainings. The best so far and the
        one that is most likely to be better after all (the smallest transportation
        cost) are trained again, the less trained of them first, as long as the best is
        not so with a probability of 0.9: EB-TC of Jourdan et al. (Top Two Algorithms
        Revisited, NeurIPS 2022, arXiv:2206.05979), with a noise of one size, pooled
        from all repeats.

    Raises
    ------
    InputError
        When a number is no whole number from 1 on; by `begin` when the last trainings of
        a budget are to confirm and it is not a number of trainings.

    Examples
    --------
    >>> import math, weaknas
    >>> from weaknas.strategies import RandomSearch, Repeating
    >>> space = weaknas.ChoiceSpace({"width": list(range(100))})
    >>> search = Repeating(RandomSearch(space), confirm=2)
    >>> search.begin(budget=8, trainings=lambda architecture: math.inf)
    >>> for _ in range(5):
    ...     architectures = search.ask()
    ...     search.tell(architectures, [space.decode(each)["width"] for each in architectures])
    >>> search.history.told, search.history.trainings.tolist()
    (8, [3, 3, 1, 1])
    """

    def __init__(
        self, strategy: Strategy, *, repeats: int = 1, confirm: Confirm | None = None
    ) -> None:
        super().__init__(strategy.space, seed=strategy.seed, batch_size=strategy.batch_size)
        if isinstance(confirm, str):
            if confirm != "auto":
                raise unknown("confirm", confirm, ("auto", "a whole number"))
        elif confirm is not None:
            confirm = check_whole("confirm", confirm)
        self.strategy, self.confirm = strategy, confirm
        self.repeats = check_whole("repeats", repeats, most=MOST_AT_ONCE)
        self.history, self.objectives = strategy.history, strategy.objectives
        self._queue: deque[tuple[Fidelity, Architecture]] = deque()  # decided, not asked for yet
        self._asked = 0
        self._decided: Counter[tuple[Fidelity, str]] = Counter()  # by fidelity and id, told or not
        self._confirming = 0  # trainings that were decided on to confirm
        self._is_exhausted = False

    # -- what users call ----------------------------------------------------------------

    @property
    def fidelities(self) -> tuple[Fidelity, ...]:
        """Those of the strategy."""
        return self.strategy.fidelities

    @property
    def round_fidelity(self) -> Fidelity:
        """Full training where the best are trained again, else that of the strategy."""
        if self._queue:
            return self._queue[0][0]
        return None if self._doubtful() else self.strategy.round_fidelity

    @property
    def round_size(self) -> int:
        """The trainings of a round of the strategy, or those that confirm the best."""
        decided = len(self._queue) or len(self._doubtful())
        return decided or self._queries * self.repeats

    @property
    def _queries(self) -> int:
        """How many architectures of the strategy the next round has."""
        left = math.ceil((self._last_query - self._asked) / self.repeats)
        return min(self.strategy.round_size, left) if left > 0 else self.strategy.round_size

    @property
    def may_repeat(self) -> bool:
        """Whether architectures may be trained again."""
        return self.repeats > 1 or self.confirm is not None or self.strategy.may_repeat

    @property
    def pending(self) -> Genotypes:
        """What was asked and not told yet, canonical, each once; shape (n, d)."""
        return self.strategy.pending

    @property
    def pending_fingerprints(self) -> Fingerprints:
        """Fingerprints of `pending`, shape (n,)."""
        return self.strategy.pending_fingerprints

    def begin(
        self, budget: int | None = None, trainings: Callable[[Architecture], float] | None = None
    ) -> None:
        """Learn what is known before the first training, see `Strategy.begin`."""
        if isinstance(self.confirm, int) and budget is None:
            raise InputError(
                f"confirm={self.confirm} spends the last trainings of a budget; give a number of"
                " trainings as the budget, or confirm=auto"
            )
        super().begin(budget, trainings)
        self.strategy.begin(budget, trainings)

    @_one_at_a_time
    def ask(self, n: int | None = None) -> list[Architecture]:
        """Propose architectures to train at `round_fidelity`, known ones among them."""
        n = None if n is None else check_whole("n", n, most=MOST_AT_ONCE)
        fidelity = self.round_fidelity
        batch: list[Architecture] = []
        while n is None or len(batch) < n:
            if not self._queue:
                if n is None and batch:  # a round is what was decided on together
                    break
                self._decide(
                    self._queries if n is None else math.ceil((n - len(batch)) / self.repeats)
                )
            if not self._queue or self._queue[0][0] != fidelity:
                break
            batch.append(self._queue.popleft()[1])
        self._asked += len(batch)
        return batch

    @_one_at_a_time
    def tell(
        self,
        architectures: Sequence[ArchitectureLike],
        scores: Sequence[float] | Scores,
        fidelity: Fidelity = None,
    ) -> None:
        """Learn the scores of architectures, see `Strategy.tell`."""
        self.strategy.tell(architectures, scores, fidelity)

    @_one_at_a_time
    def contenders(self, n: int = 10) -> list[Contender]:
        """Return the trained architectures that the strategy expects to be the best."""
        return self.strategy.contenders(n)

    def describe(self) -> dict[str, Any]:
        """Return what decides the proposals, as plain JSON types."""
        described = self.strategy.describe()
        if self.repeats > 1:
            described["repeats"] = self.repeats
        if self.confirm is not None:
            described["confirm"] = self.confirm
        if isinstance(self.confirm, int):
            described["budget"] = self.budget
        return described

    # -- inside -------------------------------------------------------------------------

    def _propose(self, n: int) -> Genotypes:
        return self.strategy._propose(n)

    def _decide(self, n: int) -> None:
        """Queue the trainings that come next, those of up to n new architectures."""
        again = self._doubtful()
        if not again:
            fidelity, new = self.strategy.round_fidelity, self.strategy.ask(n)
            for architecture in new:
                most = self.repeats if self.budget is None else min(self.repeats, self.budget)
                times = int(min(most, self._different(architecture)))
                self.strategy.expect([architecture] * (times - 1), fidelity)
                self._enqueue([architecture] * times, fidelity)
            if not new and not len(self.pending):
                self._is_exhausted = True
                again = self._doubtful()
        self._confirming += len(again)
        self.strategy.expect(again)
        self._enqueue(again, None)

    def _enqueue(self, architectures: Sequence[Architecture], fidelity: Fidelity) -> None:
        self._queue.extend((fidelity, architecture) for architecture in architectures)
        self._decided.update((fidelity, architecture.id) for architecture in architectures)

    def _doubtful(self) -> list[Architecture]:
        """Return what is trained again next, an architecture once a training."""
        if self.confirm is None or self.trainings is None or self.history.level < math.inf:
            return []
        return self._contested() if self.confirm == "auto" else self._finalists()

    @property
    def _finals(self) -> int:
        """How many trainings at the end of the budget confirm the best."""
        if not isinstance(self.confirm, int) or self.trainings is None or self.budget is None:
            return 0
        return _MORE * min(self.confirm, self.budget // (1 + _MORE))

    @property
    def _last_query(self) -> int:
        """How many trainings come before them; 0 where there are none."""
        return (self.budget or 0) - self._finals if self._finals else 0

    def _finalists(self) -> list[Architecture]:
        if self._confirming or not (self._is_exhausted or self._asked >= self._last_query):
            return []
        again: list[Architecture] = []
        for leader in self.contenders(len(self.history)):
            if len(again) >= self._finals:
                break
            again += [leader.architecture] * int(min(_MORE, self._left(leader)))
        return again[: self._finals]

    def _contested(self) -> list[Architecture]:
        """Return the best and those that may be better, the least trained of them."""
        allowed = self.batch_size
        if not self._is_exhausted:
            allowed = min(allowed, math.floor(_SHARE * self._asked) - self._confirming)
        leaders = self.contenders(_CONTENDERS) if allowed > 0 else []
        if not leaders:
            return []
        best, error = leaders[0], leaders[0].std_error
        is_open = self._open(leaders)
        repeats = len(self.history.labels[1]) - len(self.history.successful_fingerprints)
        if error is None or best.probability_best is None or repeats < _FREEDOM:
            open_ones = (item for item in leaders if item.architecture in is_open)
            fewest = min((item.trainings for item in open_ones), default=0)
            duel = [item for item in leaders if item.trainings == fewest]
        elif best.probability_best > _SURE and not self._is_exhausted:
            duel = []
        else:
            closed = best.architecture not in is_open
            rivals = [
                item
                for item in leaders[1:]
                if item.probability_best and not (closed and item.architecture not in is_open)
            ]
            rivals.sort(key=lambda item: (best.score - item.score) / _spread(best, item))
            duel = sorted([best, *rivals[:allowed]], key=lambda item: item.trainings)
        return [item.architecture for item in duel if item.architecture in is_open][:allowed]

    def _open(self, contenders: Sequence[Contender]) -> set[Architecture]:
        """Return those that have another training left, and none under way."""
        left = [item.architecture for item in contenders if self._left(item) > 0]
        codes = self.space.fingerprint(self.space.canonicalize(self.space.genotypes(left)))
        busy = set(self.pending_fingerprints.tolist())
        return {item for item, code in zip(left, codes.tolist(), strict=True) if code not in busy}

    def _left(self, contender: Contender) -> float:
        """Return how many different trainings there are beside those told or asked for."""
        decided = self._decided[None, contender.architecture.id]
        done = max(decided, contender.trainings)  # some were told that nobody asked for
        return max(self._different(contender.architecture) - done, 0)

    def _different(self, architecture: Architecture) -> float:
        """Return how many different trainings an architecture has."""
        if self.trainings is None:
            return 1.0
        rows = self.space.canonicalize(self.space.genotypes([architecture]))
        codes = self.space.fingerprint(rows).tolist()
        return float(self._count_trainings(rows, codes, self.trainings)[0])


def _spread(one: Contender, other: Contender) -> float:
    """Return the standard deviation of the difference of two scores."""
    return max(math.hypot(one.std_error or 0.0, other.std_error or 0.0), 1e-12)


def with_repeats(
    strategy: Strategy, repeats: int | str | None = None, confirm: Confirm | None = None
) -> Strategy:
    """Return a strategy whose architectures are trained again as two options say.

    Parameters
    ----------
    strategy : Strategy
    repeats : {"never", "auto"} or int, optional
        Never, as by ``confirm="auto"``, or how often every architecture is trained at once.
    confirm : int or "auto", optional
        See `Repeating`.

    Raises
    ------
    InputError
        When a value is none of these.
    """
    if isinstance(repeats, str):
        if repeats not in ("never", "auto"):
            raise unknown("repeats", repeats, ("never", "auto", "a whole number"))
        confirm = "auto" if repeats == "auto" and confirm is None else confirm
        repeats = None
    if repeats is None and confirm is None:
        return strategy
    return Repeating(strategy, repeats=1 if repeats is None else repeats, confirm=confirm)
