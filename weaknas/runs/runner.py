"""The loop between a strategy and an evaluator, with a journal and exact resume."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from weaknas.errors import MOST_JOBS, InputError, check_whole
from weaknas.evaluators import Evaluation, Evaluator, KeepsFiles, KnowsOptimum, as_evaluator
from weaknas.execution.evaluations import Evaluations, HasWorkers
from weaknas.files import prepare_folder, write_json
from weaknas.runs.budget import Budget, check_fidelities
from weaknas.runs.journal import Journal
from weaknas.runs.loop import Loop
from weaknas.runs.progress import Audience, Progress, duration
from weaknas.runs.status import StatusFile
from weaknas.runs.trials import Trial, Trials
from weaknas.spaces import Costs
from weaknas.strategies import Contender, Strategy

if TYPE_CHECKING:
    from weaknas.runs.front import Front

__all__ = ["Budget", "Progress", "Result", "run"]


@dataclass(frozen=True, repr=False)
class Result:
    """Result of a run: trials, the returned architecture, regret, times.

    Parameters
    ----------
    trials : Trials
        Every training, in order of proposal.
    regret : float, optional
        Best possible mean score minus that of the returned architecture; None where
        the best is not known.
    seconds_strategy : float
        Time spent in the strategy.
    seconds_total : float
        Time of this call; evaluations of an earlier, interrupted call not included.
    output : path, optional
        The run folder, as it was given.
    front : Front, optional
        What no other query dominates, where there are objectives beside the score.
    evaluated : int
        How many evaluations this call made: 0 where the run was finished already.
    contenders : tuple of Contender
        The trained architectures that are expected to be the best, the best first.
    returned : tuple of (int, Contender)
        What would have been returned after so many trainings, in order.
    """

    trials: Trials
    regret: float | None
    seconds_strategy: float
    seconds_total: float
    output: Path | None = None
    front: Front | None = None
    evaluated: int = 0
    contenders: tuple[Contender, ...] = ()
    returned: tuple[tuple[int, Contender], ...] = ()

    def __repr__(self) -> str:
        """Return what a screen holds: who leads, how much was paid, where it is kept."""
        queries = sum(trial.repeat == 0 for trial in self.trials)
        failed = sum(not trial.is_ok for trial in self.trials)
        lines = [
            f"Result of {len(self.trials)} trainings of {queries} architectures"
            + (f", {failed} of them failed" if failed else ""),
            *(
                f"  {leader.score:.5g} {leader.architecture.text} (trained {leader.trainings}x)"
                for leader in self.contenders[:5]
            ),
            f"  paid {duration(self.cost)}, strategy {self.seconds_strategy:.2f} s,"
            f" regret {'unknown' if self.regret is None else format(self.regret, '.4g')},"
            f" folder {self.output or 'none'}",
        ]
        return "\n".join(lines)

    @property
    def best(self) -> Contender:
        """The returned architecture: of those trained the one with the best expected score.

        Raises
        ------
        InputError
            When no evaluation succeeded.
        """
        if not self.contenders:
            raise self._no_score()
        return self.contenders[0]

    @property
    def best_observed(self) -> Trial:
        """The trial with the best observed score: the luckiest one, where trainings differ.

        Raises
        ------
        InputError
            When no evaluation succeeded.
        """
        best = self.trials.best_observed
        if best is None:
            raise self._no_score()
        return best

    def _no_score(self) -> InputError:
        message = self.trials[-1].evaluation.message if self.trials else "no query was made"
        return InputError(f"no evaluation succeeded; the last one: {message}")

    @property
    def cost(self) -> float:
        """Seconds of training that were paid, as the evaluations report them."""
        return float(self.trials.costs.sum())

    @property
    def rounds(self) -> int:
        """How many rounds there were; asynchronously each proposal after a result is one."""
        return 1 + max((trial.round for trial in self.trials), default=-1)

    def to_dict(self) -> dict[str, Any]:
        """Return queries, trainings, best, regret and times as plain JSON types."""
        observed = self.trials.best_observed
        return {
            "queries": sum(trial.repeat == 0 for trial in self.trials),
            "trainings": len(self.trials),
            "best": self.contenders[0].to_dict() if self.contenders else None,
            "best_observed": None
            if observed is None
            else {
                "architecture": observed.architecture.text,
                "id": observed.architecture.id,
                "score": observed.score,
            },
            "contenders": [contender.to_dict() for contender in self.contenders],
            "regret": self.regret,
            "rounds": self.rounds,
            "seconds_strategy": round(self.seconds_strategy, 4),
            "seconds_total": round(self.seconds_total, 4),
            "output": None if self.output is None else str(self.output),
        } | ({} if self.front is None else self.front.to_dict())


def run(  # noqa: PLR0913 what a command line can set, and its hooks
    strategy: Strategy,
    evaluator: Evaluator | Callable[..., float | Evaluation],
    budget: int | None = None,
    *,
    budget_cost: float | None = None,
    executor: Executor | None = None,
    workers: int | None = None,
    asynchronous: bool = False,
    retries: int = 1,
    retry_failed: bool = False,
    stop: Callable[[], bool] | None = None,
    output: str | Path | None = None,
    progress: Progress | bool | None = None,
    callbacks: Sequence[Progress] = (),
    objectives: Sequence[str] | None = None,
) -> Result:
    """Search until the budget is spent.

    Each round the strategy proposes a batch, the batch is evaluated at the fidelity
    that the strategy names, and it is told the scores. An architecture that is
    asked for again at another fidelity is another query, paid in full. With
    `output` every trial is on the disk before the strategy learns of it: kill the
    process at any moment, call again with the same arguments, and the run continues
    as if nothing had happened. Called with a larger budget a run, finished or not,
    continues to that one, and ends with the trials that it had had with this budget
    from the beginning: rounds are proposed whole, the budget cuts what is evaluated
    of the last one.

    Asynchronously nobody waits for a round to be complete: whenever an evaluation
    is done the strategy is told, and proposes one more with those in mind that are
    still pending. What is proposed then depends on the order in which evaluations
    end; a run that is continued takes that order from its journal. With a larger
    budget it goes on as if that had been the budget and the last evaluations had
    ended before any further one.

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
        executor, so that the cost paid exceeds it by less than that round (or, in
        the asynchronous mode, by what is under way).
    executor : concurrent.futures.Executor, optional
        Evaluates architectures side by side, e.g. `weaknas.execution.ProcessPool`.
    workers : int, optional
        How many evaluations the executor is given at a time; default: its attribute
        `workers`, else a whole round.
    asynchronous : bool
        Propose one whenever one is done, rather than in rounds.
    retries : int
        How often an evaluation is made again when its worker died, it took more time
        than it may, or memory ran out; after that it is a failed trial.
    retry_failed : bool
        Before anything else evaluate the failed trials of `output` once more, with
        their seeds, e.g. when a fault in the evaluator has been mended. What was
        proposed since is not taken back: the strategy was told of the failure, and is
        now told the score. A trial that was tried again counts once in the budget of
        queries, and costs what both evaluations did.
    stop : callable, optional
        Asked often; once it returns True nothing new is begun, what is under way is
        finished and kept, and the run ends early.
    output : path, optional
        Folder of the run: ``journal.jsonl``, ``result.json``, and ``status.json`` with
        what is under way, which ``weaknas watch`` shows.
    progress : callable or bool, optional
        Called with every trial, those of an earlier call included. True shows a bar on
        standard error, or writes lines to it where it is no terminal.
    callbacks : sequence of callable
        Called after it in the same way, e.g. to pass scores on to a tracker.
    objectives : sequence of str, optional
        Costs of the space whose front with the score is to be told, and which trials
        carry as metrics; default: those of the strategy, if it has any.

    Returns
    -------
    Result

    Raises
    ------
    InputError
        When no budget is given, it is not positive or above the number of
        architectures (times the fidelities of the strategy), when the evaluator
        lacks a fidelity of the strategy or reports no cost where the budget is in
        seconds, when the number of workers of an asynchronous run is not known, when
        the output folder cannot be written, is damaged, holds another run or more
        trials than the budget allows.
    ChildProcessError
        When the executor is broken for good; what was measured is kept.
    OSError
        When a trial cannot be written, e.g. on a full disk; those before are kept.

    Examples
    --------
    >>> import weaknas
    >>> space = weaknas.ChoiceSpace({"width": [16, 32, 64], "depth": [2, 4, 8]}, name="mine")
    >>> def train(architecture):
    ...     choice = space.decode(architecture)
    ...     return choice["width"] / choice["depth"]
    >>> search = weaknas.get_strategy("random", space, seed=0)
    >>> result = weaknas.run(search, train, budget=9)
    >>> result.best.architecture.text, result.best.score
    ('width=64,depth=2', 32.0)
    """
    started = time.perf_counter()
    judge = as_evaluator(evaluator)
    spending = Budget(budget, budget_cost).begin(strategy, judge)
    check_fidelities(strategy, judge)
    workers = simultaneous_evaluations(executor, workers)
    pending = _check_pending(workers) if asynchronous else None
    retries = check_whole("retries", retries, 0, MOST_JOBS)
    costs = _costs(strategy, objectives)
    with ExitStack() as stack:
        folder = None if output is None else _prepare(output)
        journal = status = None
        if folder is not None:
            config = _describe(strategy, judge, spending, pending, costs)
            journal = stack.enter_context(Journal(folder / "journal.jsonl", config))
            if isinstance(judge, KeepsFiles):
                judge.keep_in(folder)
            status = StatusFile(folder, workers)
        audience = Audience(
            progress,
            callbacks,
            title=f"search of {strategy.space.name}",
            budget=spending,
            folder=folder,
            recorded=0 if journal is None else len(journal.trials),
        )
        loop = Loop(
            strategy,
            Evaluations(_with_costs(judge, costs), executor, workers, retries, stop),
            spending,
            pending=pending,
            journal=journal,
            retry_failed=retry_failed,
            audience=stack.enter_context(audience),
            status=status,
        )
        loop.run()
    result = _summarize(loop, judge, costs, started, output)
    if folder is not None:
        _write(result, folder)
    return result


def _prepare(output: str | Path) -> Path:
    """Make the run folder; refuse that of a comparison, whose report would leave the search out."""
    folder = prepare_folder(output)
    if (folder / "config.json").exists() and not (folder / "journal.jsonl").exists():
        raise InputError(f"{folder} holds other results; choose another output folder")
    return folder


def _describe(
    strategy: Strategy,
    evaluator: Evaluator,
    budget: Budget,
    pending: int | None,
    costs: Costs | None,
) -> dict[str, Any]:
    """Return what the run is, for its journal."""
    return {
        "budget": budget.queries,
        "budget_cost": budget.cost,
        "space": strategy.space.describe(),
        "strategy": strategy.describe(),
        "evaluator": evaluator.describe(),
        **({} if pending is None else {"asynchronous": pending}),
        **({} if costs is None else {"objectives": list(costs.names)}),
    }


def _with_costs(evaluator: Evaluator, costs: Costs | None) -> Evaluator:
    if costs is None:
        return evaluator
    from weaknas.runs.front import WithCosts

    return WithCosts(evaluator, costs)


def _summarize(
    loop: Loop, evaluator: Evaluator, costs: Costs | None, started: float, output: str | Path | None
) -> Result:
    trials = Trials(tuple(sorted(loop.trials, key=lambda trial: trial.number)))
    contenders = tuple(_with_metrics(item, trials) for item in loop.strategy.contenders())
    return Result(
        trials,
        _regret(evaluator, contenders),
        loop.seconds_strategy,
        time.perf_counter() - started,
        None if output is None else Path(output),
        _front(trials, costs),
        loop.evaluated,
        contenders,
        tuple(loop.returned),
    )


def _write(result: Result, folder: Path) -> None:
    returned = [{"trainings_paid": n} | leader.to_dict() for n, leader in result.returned]
    write_json(folder / "result.json", result.to_dict() | {"returned": returned})


def _costs(strategy: Strategy, objectives: Sequence[str] | None) -> Costs | None:
    wanted = strategy.objectives if objectives is None else objectives
    if not wanted:
        return None
    return Costs(strategy.space, wanted)


def _front(trials: Sequence[Trial], costs: Costs | None) -> Front | None:
    if costs is None:
        return None
    from weaknas.runs.front import find_front

    return find_front(trials, costs)


def simultaneous_evaluations(executor: Executor | None, workers: int | None) -> int | None:
    """Return how many evaluations are made at a time, None where the executor does not say it.

    Raises
    ------
    InputError
        When the number is below 1.
    """
    if executor is None:
        return 1
    if workers is None and isinstance(executor, HasWorkers):
        workers = executor.workers
    return None if workers is None else check_whole("workers", workers)


def _check_pending(workers: int | None) -> int:
    if workers is None:
        raise InputError(
            "an asynchronous run needs to know how many evaluations are made at a time: pass"
            " workers, for the executor does not say"
        )
    return workers


def _with_metrics(contender: Contender, trials: Trials) -> Contender:
    """Return a contender with the means of the metrics of its trainings."""
    ours = [t for t in trials if t.architecture.id == contender.architecture.id and t.is_ok]
    if not ours:  # told by a source
        return contender
    level = max(trial.level for trial in ours)
    measured = [trial.evaluation.metrics for trial in ours if trial.level == level]
    names = [name for name in measured[0] if all(name in metrics for metrics in measured)]
    means = {name: float(np.mean([metrics[name] for metrics in measured])) for name in names}
    return replace(contender, metrics=means)


def _regret(evaluator: Evaluator, contenders: Sequence[Contender]) -> float | None:
    """Return the optimum's mean score minus that of what is returned, or None if unknown."""
    if not contenders or not isinstance(evaluator, KnowsOptimum):
        return None
    genotype = np.array([contenders[0].architecture.genotype])
    return float(evaluator.optimum().score - evaluator.true_scores(genotype)[0])
