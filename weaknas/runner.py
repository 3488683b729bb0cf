"""The loop between a strategy and an evaluator, with a journal and exact resume."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from weaknas.errors import InputError
from weaknas.evaluators import (
    Evaluation,
    Evaluator,
    FunctionEvaluator,
    as_evaluator,
    evaluate_safely,
    evaluation_seed,
)
from weaknas.files import write_json
from weaknas.spaces import Architecture, SearchSpace
from weaknas.strategies import Strategy
from weaknas.trials import Journal, Trial, Trials

Progress: TypeAlias = Callable[[Trial], None]


@dataclass(frozen=True)
class Result:
    """What a run brought.

    Parameters
    ----------
    trials : Trials
        Every query, in order of proposal.
    regret : float, optional
        Best possible mean score minus that of the incumbent; None where the best
        is not known.
    seconds_strategy : float
        Time spent in the strategy.
    seconds_total : float
        Time of this call; evaluations of an earlier, interrupted call not included.
    output : path, optional
        The run folder.
    """

    trials: Trials
    regret: float | None
    seconds_strategy: float
    seconds_total: float
    output: Path | None = None

    @property
    def best(self) -> Trial:
        """The incumbent: the trial with the best observed score.

        Raises
        ------
        InputError
            When no evaluation succeeded.
        """
        best = self.trials.best
        if best is None:
            message = self.trials[-1].evaluation.message if self.trials else "no query was made"
            raise InputError(f"no evaluation succeeded; the last one: {message}")
        return best

    @property
    def cost(self) -> float:
        """Seconds of training that were paid, as the evaluations report them."""
        return float(self.trials.costs.sum())

    @property
    def rounds(self) -> int:
        """How many rounds there were."""
        return 1 + max((trial.round for trial in self.trials), default=-1)

    def to_dict(self) -> dict[str, Any]:
        """Return queries, best, regret and times as plain JSON types."""
        best = self.trials.best
        return {
            "queries": len(self.trials),
            "best": None
            if best is None
            else {
                "architecture": best.architecture.text,
                "id": best.architecture.id,
                "score": best.score,
                "metrics": dict(best.evaluation.metrics),
            },
            "regret": self.regret,
            "rounds": self.rounds,
            "seconds_strategy": round(self.seconds_strategy, 4),
            "seconds_total": round(self.seconds_total, 4),
            "output": None if self.output is None else str(self.output),
        }


def run(
    strategy: Strategy,
    evaluator: Any,
    budget: int | None = None,
    *,
    budget_cost: float | None = None,
    executor: Executor | None = None,
    output: str | Path | None = None,
    progress: Progress | None = None,
) -> Result:
    """Search until the budget is spent.

    Each round the strategy proposes a batch, the batch is evaluated at the fidelity
    that the strategy names, and it is told the scores. An architecture that is
    asked for again at another fidelity is another query, paid in full. With
    `output` every trial is on the disk before the next begins: kill the process at
    any moment, call again with the same arguments, and the run continues as if
    nothing had happened.

    Parameters
    ----------
    strategy : Strategy
        Fresh: not yet asked or told.
    evaluator : Evaluator or callable
        A benchmark, or any callable from `Architecture` to float, larger being better.
    budget : int, optional
        Number of queries; may be left out where `budget_cost` is given.
    budget_cost : float, optional
        Seconds of training, the sum of `Evaluation.cost`. No round begins once it
        is reached; a round that has begun is completed, with or without an
        executor, so that the cost paid exceeds it by less than that round.
    executor : concurrent.futures.Executor, optional
        Evaluates the architectures of a round side by side.
    output : path, optional
        Folder of the run: ``journal.jsonl`` and ``result.json``.
    progress : callable, optional
        Called with every trial, those of an earlier call included.

    Returns
    -------
    Result

    Raises
    ------
    InputError
        When no budget is given, it is not positive or above the number of
        architectures (times the fidelities of the strategy), when the evaluator
        lacks a fidelity of the strategy or reports no cost where the budget is in
        seconds, when the output folder cannot be written, is damaged or holds
        another run.
    """
    started = time.perf_counter()
    judge = as_evaluator(evaluator)
    limit = Budget(budget, budget_cost)
    limit.check(strategy.space, len(strategy.fidelities))
    check_fidelities(strategy, judge)
    folder = None if output is None else Path(output)
    loop = _Loop(strategy, judge, executor, progress)
    if folder is None:
        loop.run(limit, {}, None)
    else:
        config = {
            "budget": budget,
            "budget_cost": budget_cost,
            "space": strategy.space.describe(),
            "strategy": strategy.describe(),
            "evaluator": judge.describe(),
        }
        with Journal(folder / "journal.jsonl", config) as journal:
            loop.run(limit, {trial.number: trial for trial in journal.trials}, journal)
    result = Result(
        Trials(tuple(loop.trials)),
        regret(judge, strategy.space, loop.trials),
        loop.seconds_strategy,
        time.perf_counter() - started,
        folder,
    )
    if folder is not None:
        write_json(folder / "result.json", result.to_dict())
    return result


@dataclass(frozen=True)
class Budget:
    """When a run ends: a number of queries, seconds of training, or whichever comes first."""

    queries: int | None = None
    cost: float | None = None

    def check(self, space: SearchSpace, fidelities: int = 1) -> None:
        """Refuse a budget that cannot be spent.

        Raises
        ------
        InputError
            When there is none, it is not positive or above the number of architectures.
        """
        if self.queries is None and self.cost is None:
            raise InputError("a run needs a budget: of queries, of cost in seconds, or both")
        if self.cost is not None and not 0 < self.cost < math.inf:
            raise InputError(f"the budget of cost must be above 0 seconds, not {self.cost}")
        if self.queries is not None:
            check_budget(self.queries, space, fidelities)

    def left(self, trials: list[Trial]) -> int:
        """Return how many more queries may be asked for.

        Raises
        ------
        InputError
            When the cost alone limits the run and evaluations report none.
        """
        left = sys.maxsize if self.queries is None else self.queries - len(trials)
        if self.cost is None:
            return left
        paid = sum(trial.evaluation.cost for trial in trials)
        if self.queries is None and paid == 0 and any(trial.is_ok for trial in trials):
            raise InputError(
                "the budget is in seconds of training, but the evaluations report no cost;"
                " give a number of queries"
            )
        return left if paid < self.cost else 0


def check_budget(budget: int, space: SearchSpace, fidelities: int = 1) -> None:
    """Refuse a number of queries that cannot be spent.

    Raises
    ------
    InputError
        When the budget is below 1 or above the number of architectures, each
        counted once a fidelity.
    """
    if budget < 1:
        raise InputError(f"the budget must be at least 1 query, not {budget}")
    if not space.is_listable:
        return
    count = len(space.architecture_fingerprints)
    if budget > count * fidelities:
        levels = f" at {fidelities} fidelities" if fidelities > 1 else ""
        raise InputError(
            f"the budget of {budget} queries is above the {count} architectures of"
            f" {space.name!r}{levels} (isomorphic ones count once)"
        )


def check_fidelities(strategy: Strategy, evaluator: Evaluator) -> None:
    """Refuse a strategy that asks for fidelities which the evaluator does not have.

    An evaluator says by an attribute `fidelities` which lower ones it has; one
    without is taken to train for any number of epochs, a plain function for none.

    Raises
    ------
    InputError
        When there is such a fidelity.
    """
    wanted = [level for level in strategy.fidelities if level is not None]
    offered = [] if isinstance(evaluator, FunctionEvaluator) else wanted
    offered = list(getattr(evaluator, "fidelities", offered))
    for level in wanted:
        if level not in offered:
            raise InputError(
                f"{type(strategy).__name__} asks for the fidelity {level:g}, where the evaluator"
                f" has {', '.join(f'{f:g}' for f in offered) or 'none below full training'}"
            )


def regret(evaluator: Any, space: SearchSpace, trials: list[Trial]) -> float | None:
    """Return the optimum's mean score minus that of the incumbent, or None if unknown."""
    best = Trials(tuple(trials)).best
    if best is None or not hasattr(evaluator, "true_scores"):
        return None
    reached = evaluator.true_scores(np.array([best.architecture.genotype], dtype=np.int16))[0]
    return float(evaluator.optimum().score - reached)


class _Loop:
    """The state of one call of `run`."""

    def __init__(
        self,
        strategy: Strategy,
        evaluator: Evaluator,
        executor: Executor | None,
        progress: Progress | None,
    ) -> None:
        self.strategy, self.evaluator = strategy, evaluator
        self.executor, self.progress = executor, progress
        self.trials: list[Trial] = []
        self.seconds_strategy = 0.0

    def run(self, budget: Budget, known: dict[int, Trial], journal: Journal | None) -> None:
        """Go through the rounds; trials that are known already are not paid again."""
        number, round_index = 0, 0
        while left := budget.left(self.trials):
            begin = time.perf_counter()
            fidelity = self.strategy.round_fidelity
            batch = self.strategy.ask(min(self.strategy.round_size, left))
            self.seconds_strategy += time.perf_counter() - begin
            if not batch:
                return
            numbered = dict(enumerate(batch, start=number))
            done = {
                n: self._recall(known[n], a, fidelity) for n, a in numbered.items() if n in known
            }
            waiting = {n: a for n, a in numbered.items() if n not in known}
            if waiting and any(n > max(numbered) for n in known):
                raise InputError(f"the journal lacks the trial {min(waiting)}; nothing was changed")
            for n, evaluation, seconds in self._evaluate(waiting, fidelity):
                done[n] = Trial(n, round_index, numbered[n], evaluation, seconds)
                if journal is not None:
                    journal.append(done[n])
                self._report(done[n])
            trials = [done[n] for n in numbered]
            begin = time.perf_counter()
            self.strategy.tell(batch, [trial.score for trial in trials], fidelity)
            self.seconds_strategy += time.perf_counter() - begin
            self.trials.extend(trials)
            number, round_index = number + len(batch), round_index + 1

    def _recall(self, trial: Trial, architecture: Architecture, fidelity: float | None) -> Trial:
        if trial.architecture != architecture or trial.evaluation.fidelity != fidelity:
            raise InputError(
                f"trial {trial.number} of the journal is {trial.architecture.text!r} where the"
                f" strategy now proposes {architecture.text!r}: the run was made by another"
                " version of weaknas or its libraries and cannot be continued exactly"
            )
        self._report(trial)
        return trial

    def _report(self, trial: Trial) -> None:
        if self.progress is not None:
            self.progress(trial)

    def _evaluate(
        self, waiting: dict[int, Architecture], fidelity: float | None
    ) -> Iterator[tuple[int, Evaluation, float]]:
        """Evaluate and yield each as it completes, marked with the fidelity asked for."""
        seeds = {n: evaluation_seed(self.strategy.seed, a) for n, a in waiting.items()}
        if self.executor is None:
            for n, architecture in waiting.items():
                yield n, *_timed(self.evaluator, architecture, seeds[n], fidelity)
            return
        futures = {
            self.executor.submit(_timed, self.evaluator, a, seeds[n], fidelity): n
            for n, a in waiting.items()
        }
        for future in as_completed(futures):
            try:
                evaluation, seconds = future.result()
            except Exception as error:  # the worker died
                reason = f"the worker failed: {type(error).__name__}: {error}"
                failure = Evaluation.failure("worker-died", reason)
                evaluation, seconds = replace(failure, fidelity=fidelity), 0.0
            yield futures[future], evaluation, seconds


def _timed(
    evaluator: Evaluator, architecture: Architecture, seed: int, fidelity: float | None
) -> tuple[Evaluation, float]:
    begin = time.perf_counter()
    evaluation = evaluate_safely(evaluator, architecture, seed, fidelity)
    return replace(evaluation, fidelity=fidelity), time.perf_counter() - begin
