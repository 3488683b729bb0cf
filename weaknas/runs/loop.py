"""The loop between strategy, evaluations and journal."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from weaknas.errors import InputError
from weaknas.evaluators import evaluation_seed
from weaknas.execution.evaluations import Evaluations, Task
from weaknas.runs.budget import Budget
from weaknas.runs.journal import Journal
from weaknas.runs.progress import Audience
from weaknas.runs.status import StatusFile
from weaknas.runs.trials import Trial
from weaknas.spaces import Architecture
from weaknas.strategies import Contender, Strategy

_LEADERS = 5  # of which a run under way tells


@dataclass(frozen=True)
class _Proposal:
    task: Task
    round: int
    repeat: int


class Loop:
    """One run: what was proposed, what came back, and when the strategy learns it.

    In rounds, a round is proposed when nothing is under way, and told when all of it
    is there. A round is always asked for whole: the budget cuts what is evaluated of
    the last one, so that the proposals do not depend on the budget. Asynchronously,
    every result is told at once and one architecture is proposed after it, so that
    `pending` are under way at any time.

    The order of the trials in the journal is the order in which they were told, or
    for rounds the order within a round, which does not matter. It decides all that
    was asked; so a run is continued by taking results from the journal first.

    Failed trials that are to be tried again are evaluated when the journal has been
    read, before anything else. The strategy was told of the failure and has gone on
    from there; now it is told the score. In the journal the new record follows those
    that were there, and is taken from there at the same place: nothing is proposed
    between the record before it and itself.

    Parameters
    ----------
    strategy : Strategy
    evaluations : Evaluations
    budget : Budget
    pending : int, optional
        How many are under way at a time in the asynchronous mode; None for rounds.
    journal : Journal, optional
        Its trials are not evaluated again.
    retry_failed : bool
        Evaluate those of its trials again that failed.
    audience : Audience, optional
        Is told of every trial.
    status : StatusFile, optional
        Is told what is under way.
    """

    def __init__(
        self,
        strategy: Strategy,
        evaluations: Evaluations,
        budget: Budget,
        *,
        pending: int | None = None,
        journal: Journal | None = None,
        retry_failed: bool = False,
        audience: Audience | None = None,
        status: StatusFile | None = None,
    ) -> None:
        self.strategy, self.evaluations, self.budget = strategy, evaluations, budget
        self.pending, self.journal = pending, journal
        self.audience, self.status = audience, status
        self.seconds_strategy = 0.0
        #: How many evaluations were made, those in the journal not included.
        self.evaluated = 0
        #: What would have been returned after so many trainings, whenever the strategy was told.
        self.returned: list[tuple[int, Contender]] = []
        self._leaders: list[Contender] = []
        self._recorded = deque(() if journal is None else journal.trials)
        self._retries_left = retry_failed
        self._results: dict[int, Trial] = {}  # by number, in the order in which they came back
        self._proposed: dict[int, _Proposal] = {}  # not back yet
        self._started: set[int] = set()  # of these, under way
        self._untold: dict[int, Trial] = {}
        self._trainings: Counter[tuple[str, float | None]] = Counter()
        self._count = self._rounds = 0
        self._last_seconds = 0.0

    @property
    def trials(self) -> list[Trial]:
        """What came back, in this order; one that was tried again keeps its place."""
        return list(self._results.values())

    def run(self) -> None:
        """Go on until the budget is spent, the space is exhausted or a stop is asked for."""
        if not all(self.budget.covers(trial.number) for trial in self._recorded):
            raise self._exceeded()
        while True:
            if self._retries_left and not self._recorded:
                self._retries_left = False
                self._retry()
            while self._wants_more():
                if not self._ask():
                    break
            trial = self._next()
            if trial is None:
                break
            self._take(trial)
        self._tell_round()  # if the budget has cut it
        is_spent = not self.budget.allows(len(self.trials), self.trials)
        if self.evaluated or is_spent:
            self._note(done=is_spent or not self.evaluations.is_stopping)

    # -- inside -------------------------------------------------------------------

    def _wants_more(self) -> bool:
        if self._recorded:
            is_held = self._recorded[0].number in self._results  # tried again
        else:
            is_held = self.evaluations.is_stopping
        return not is_held and len(self._proposed) < (self.pending or 1)

    def _ask(self) -> bool:
        """Propose a round, or one architecture; tell whether there was any."""
        if not self._may_ask():
            return False
        begin = time.perf_counter()
        fidelity = self.strategy.round_fidelity
        batch = self.strategy.ask(None if self.pending is None else 1)
        self.seconds_strategy += time.perf_counter() - begin
        index = self._rounds if self.pending is None else len(self._results)
        for number, architecture in enumerate(batch, start=self._count):
            repeat = self._trainings[architecture.id, fidelity]
            self._trainings[architecture.id, fidelity] += 1
            task = self._task(number, architecture, fidelity, repeat)
            self._proposed[number] = _Proposal(task, index, repeat)
        self._count, self._rounds = self._count + len(batch), self._rounds + 1
        return bool(batch)

    def _may_ask(self) -> bool:
        return self.budget.allows(self._count, self.trials)

    def _task(
        self, number: int, architecture: Architecture, fidelity: float | None, repeat: int
    ) -> Task:
        seed = evaluation_seed(self.strategy.seed, architecture, repeat)
        return Task(number, architecture, seed, fidelity)

    def _next(self) -> Trial | None:
        """Return the next result, as long as there are any from the journal."""
        if self._recorded:
            return self._recall(self._recorded.popleft())
        for number, proposal in self._proposed.items():
            if number not in self._started and self.budget.covers(number):
                self._started.add(number)
                self.evaluations.add(proposal.task)
        self._note()
        outcome = self.evaluations.next()
        if outcome is None:
            return None
        self._last_seconds = outcome.seconds
        task = outcome.task
        proposal = self._proposed.pop(task.number)
        self._started.remove(task.number)
        return self._record(
            Trial(
                task.number,
                proposal.round,
                task.architecture,
                outcome.evaluation,
                outcome.seconds,
                proposal.repeat,
            )
        )

    def _note(self, done: bool = False) -> None:
        """Say that it goes on, what is under way and who leads."""
        if not self._started and not done:
            return
        if self.audience is not None:
            self.audience.begin()
        if self.status is not None and (done or self.status.is_due(self._last_seconds)):
            begun = {n: self._proposed[n].task.architecture for n in sorted(self._started)}
            self.status.write(begun, self._leaders, done)

    def _retry(self) -> None:
        """Evaluate the failed trials again; the cost of both evaluations is paid."""
        failed = [trial for trial in self.trials if not trial.is_ok]
        for trial in failed:
            level = trial.evaluation.fidelity
            task = self._task(trial.number, trial.architecture, level, trial.repeat)
            self.evaluations.add(task)
        for _ in failed:
            outcome = self.evaluations.next()
            if outcome is None:  # a stop is asked for
                return
            before = self._results[outcome.task.number]
            cost = before.evaluation.cost + outcome.evaluation.cost
            evaluation = replace(outcome.evaluation, cost=cost)
            self._take(
                self._record(replace(before, evaluation=evaluation, seconds=outcome.seconds))
            )

    def _record(self, trial: Trial) -> Trial:
        """Keep what an evaluation brought, before anybody learns of it."""
        self.evaluated += 1
        if self.journal is not None:
            self.journal.append(trial)
        return trial

    def _recall(self, trial: Trial) -> Trial:
        if trial.number in self._results:  # tried again
            return trial
        if trial.number >= self._count and not self._may_ask():
            raise self._exceeded()
        if trial.number not in self._proposed and self._proposed:
            missing = min(self._proposed)
            raise InputError(f"the journal lacks the trial {missing}; nothing was changed")
        task = self._proposed.pop(trial.number).task if self._proposed else None
        if task is None or (task.architecture, task.fidelity) != (
            trial.architecture,
            trial.evaluation.fidelity,
        ):
            proposed = "nothing" if task is None else repr(task.architecture.text)
            raise InputError(
                f"trial {trial.number} of the journal is {trial.architecture.text!r} where the"
                f" strategy now proposes {proposed}: the run was made by another"
                " version of weaknas or its libraries and cannot be continued exactly"
            )
        return trial

    def _exceeded(self) -> InputError:
        return InputError(
            f"the run has more trials than the budget of {self.budget} allows; give a larger"
            " budget or choose another output folder"
        )

    def _take(self, trial: Trial) -> None:
        """Take in a result, and tell the strategy if it is time."""
        was_told = trial.number in self._results and trial.number not in self._untold
        self._results[trial.number] = trial
        if self.audience is not None:
            self.audience(trial)
        if was_told:  # that it failed
            if trial.is_ok:
                self._tell([trial])
            return
        self._untold[trial.number] = trial
        if self.pending is not None or not self._proposed:
            self._tell_round()

    def _tell_round(self) -> None:
        if self._untold:
            self._tell([self._untold[number] for number in sorted(self._untold)])
            self._untold.clear()

    def _tell(self, trials: Sequence[Trial]) -> None:
        """Tell what came back, in order of proposal; all of it has one fidelity."""
        begin = time.perf_counter()
        self.strategy.tell(
            [trial.architecture for trial in trials],
            [trial.score for trial in trials],
            trials[0].evaluation.fidelity,
        )
        # Asked for here alone: a predictor is fitted for it, and when is part of a trajectory.
        self._leaders = self.strategy.contenders(_LEADERS)
        self.returned += [(len(self._results), leader) for leader in self._leaders[:1]]
        self.seconds_strategy += time.perf_counter() - begin
