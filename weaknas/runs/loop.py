"""The loop between strategy, evaluations and journal."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from weaknas.errors import InputError
from weaknas.evaluators import evaluation_seed
from weaknas.execution.evaluations import Evaluations, Outcome, Task
from weaknas.runs.budget import Budget
from weaknas.runs.journal import Journal
from weaknas.runs.trials import Trial
from weaknas.strategies import Strategy

Progress: TypeAlias = Callable[[Trial], None]


@dataclass(frozen=True)
class _Proposal:
    task: Task
    round: int


class Loop:
    """One run: what was proposed, what came back, and when the strategy learns it.

    In rounds, a round is proposed when nothing is under way, and told when all of it
    is there. Asynchronously, every result is told at once and one architecture is
    proposed after it, so that `pending` are under way at any time.

    The order of the trials in the journal is the order in which they were told, or
    for rounds the order within a round, which does not matter. It decides all that
    was asked; so a run is continued by taking results from the journal first.

    Parameters
    ----------
    strategy : Strategy
    evaluations : Evaluations
    budget : Budget
    pending : int, optional
        How many are under way at a time in the asynchronous mode; None for rounds.
    journal : Journal, optional
        Its trials are not evaluated again.
    progress : callable, optional
        Called with every trial.
    """

    def __init__(
        self,
        strategy: Strategy,
        evaluations: Evaluations,
        budget: Budget,
        pending: int | None = None,
        journal: Journal | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.strategy, self.evaluations, self.budget = strategy, evaluations, budget
        self.pending, self.journal, self.progress = pending, journal, progress
        #: In the order in which they came back.
        self.trials: list[Trial] = []
        self.seconds_strategy = 0.0
        self._recorded = deque(() if journal is None else journal.trials)
        self._proposed: dict[int, _Proposal] = {}  # not back yet
        self._started: set[int] = set()  # of these, under way
        self._untold: list[Trial] = []
        self._count = self._rounds = 0

    def run(self) -> None:
        """Go on until the budget is spent, the space is exhausted or a stop is asked for."""
        while True:
            while self._wants_more():
                if not self._ask():
                    break
            trial = self._next()
            if trial is None:
                return
            self.trials.append(trial)
            self._untold.append(trial)
            if self.progress is not None:
                self.progress(trial)
            if self.pending is not None or not self._proposed:
                self._tell()

    # -- inside -------------------------------------------------------------------

    def _wants_more(self) -> bool:
        if not self._recorded and self.evaluations.is_stopping:
            return False
        return len(self._proposed) < (self.pending or 1)

    def _ask(self) -> bool:
        """Propose a round, or one architecture; tell whether there was any."""
        left = self.budget.left(self.trials) - len(self._proposed)
        if left < 1:
            return False
        begin = time.perf_counter()
        fidelity = self.strategy.round_fidelity
        count = min(self.strategy.round_size, left) if self.pending is None else 1
        batch = self.strategy.ask(count)
        self.seconds_strategy += time.perf_counter() - begin
        index = self._rounds if self.pending is None else len(self.trials)
        for number, architecture in enumerate(batch, start=self._count):
            seed = evaluation_seed(self.strategy.seed, architecture)
            task = Task(number, architecture, seed, fidelity)
            self._proposed[number] = _Proposal(task, index)
        self._count, self._rounds = self._count + len(batch), self._rounds + 1
        return bool(batch)

    def _next(self) -> Trial | None:
        """Return the next result, as long as there are any from the journal."""
        if self._recorded:
            return self._recall(self._recorded.popleft())
        for number, proposal in self._proposed.items():
            if number not in self._started:
                self._started.add(number)
                self.evaluations.add(proposal.task)
        outcome = self.evaluations.next()
        return None if outcome is None else self._record(outcome)

    def _record(self, outcome: Outcome) -> Trial:
        task = outcome.task
        proposal = self._proposed.pop(task.number)
        self._started.remove(task.number)
        trial = Trial(
            task.number, proposal.round, task.architecture, outcome.evaluation, outcome.seconds
        )
        if self.journal is not None:
            self.journal.append(trial)
        return trial

    def _recall(self, trial: Trial) -> Trial:
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

    def _tell(self) -> None:
        """Tell what came back, in order of proposal; all of it has one fidelity."""
        trials = sorted(self._untold, key=lambda trial: trial.number)
        self._untold.clear()
        begin = time.perf_counter()
        self.strategy.tell(
            [trial.architecture for trial in trials],
            [trial.score for trial in trials],
            trials[0].evaluation.fidelity,
        )
        self.seconds_strategy += time.perf_counter() - begin
