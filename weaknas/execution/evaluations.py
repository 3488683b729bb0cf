"""Evaluations that are under way on an executor, with what is lost tried again."""

from __future__ import annotations

import math
import secrets
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from weaknas.errors import DeviceLost, FaultyEvaluator
from weaknas.evaluators import Evaluation, Evaluator, evaluate_safely
from weaknas.execution.errors import WorkerLost
from weaknas.files import is_disk_full
from weaknas.spaces import Architecture

#: What may go well another time: a neighbour took the memory, the machine was taken
#: away, or checkpoints make the second time shorter. An exception or a score that is no
#: number comes from the architecture and its seed and would come again.
TRANSIENT = frozenset({"worker-died", "timeout", "out-of-memory"})
_PATIENCE = 0.2  # seconds between two looks at whether to stop


@runtime_checkable
class HasWorkers(Protocol):
    """An executor that says how many calls it makes at a time."""

    workers: int


@runtime_checkable
class ElasticExecutor(Protocol):
    """An executor whose workers come and go.

    It is given no more calls than it has workers at the moment, so that none waits
    behind another one and is lost with its worker.
    """

    def capacity(self) -> int:
        """Return how many calls its workers can make at a time now.

        Raises
        ------
        BrokenExecutor
            When there can be none any more, or was none for too long.
        """


@dataclass(frozen=True)
class Task:
    """One evaluation to make.

    Parameters
    ----------
    number : int
        That of its trial.
    architecture : Architecture
    seed : int
    fidelity : float, optional
    """

    number: int
    architecture: Architecture
    seed: int
    fidelity: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a task, and after how many seconds."""

    task: Task
    evaluation: Evaluation
    seconds: float


class Evaluations:
    """Makes evaluations on an executor, at most `workers` at a time.

    Parameters
    ----------
    evaluator : Evaluator
    executor : concurrent.futures.Executor, optional
        Default: here, one after the other.
    workers : int, optional
        How many the executor is given at a time; default: all.
    retries : int
        How often an evaluation is made again whose status is in `TRANSIENT`.
    stop : callable, optional
        When it returns True nothing is begun any more, and what was lost is neither
        tried again nor reported.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        executor: Executor | None = None,
        workers: int | None = None,
        retries: int = 0,
        stop: Callable[[], bool] | None = None,
    ) -> None:
        # Others get a copy that keeps what it loads; here it is the evaluator itself.
        self._evaluator: Any = evaluator if executor is None else _Shared(evaluator)
        self._executor = executor or _Here()
        self._workers = 1 if executor is None else workers
        self._retries, self._stop = retries, stop
        self._waiting: deque[Task] = deque()
        self._running: dict[Future[tuple[Evaluation, float]], Task] = {}
        self._attempts: dict[int, int] = {}

    def add(self, task: Task) -> None:
        """Make an evaluation as soon as there is room."""
        self._waiting.append(task)

    def next(self) -> Outcome | None:
        """Return the next that is done; None when there is nothing more, or stopped.

        Raises
        ------
        ChildProcessError
            When the executor can make no more evaluations.
        FaultyEvaluator
            When it is the evaluator that cannot be used, whatever the architecture.
        OSError
            When an evaluation finds the disk full, or its process can use the GPU no more
            and is not one that is replaced.
        """
        is_elastic = isinstance(self._executor, ElasticExecutor)
        patience = None if self._stop is None and not is_elastic else _PATIENCE
        while True:
            capacity = self._capacity()
            self._fill(capacity)
            if self.is_stopping and (capacity == 0 or not self._running):
                return None  # what was lost with the last worker is not waited for
            if not self._running:
                if not self._waiting:
                    return None
                time.sleep(_PATIENCE)  # for a worker
                continue
            done, _ = wait(self._running, patience, FIRST_COMPLETED)
            for future in done:
                self._capacity()  # raises where it is not the fault of what was running
                outcome = self._collect(future)
                if outcome is not None:
                    return outcome

    @property
    def is_stopping(self) -> bool:
        """Whether nothing more shall be begun."""
        return self._stop is not None and self._stop()

    # -- inside -------------------------------------------------------------------

    def _capacity(self) -> float:
        """Return how many evaluations can be under way now."""
        most = math.inf if self._workers is None else self._workers
        if not isinstance(self._executor, ElasticExecutor):
            return most
        try:
            return min(most, self._executor.capacity())
        except BrokenExecutor as error:
            raise _broken(error) from error

    def _fill(self, capacity: float) -> None:
        while self._waiting and len(self._running) < capacity:
            if self.is_stopping:
                return
            task = self._waiting.popleft()
            try:
                future = self._executor.submit(evaluate_timed, self._evaluator, task)
            except BrokenExecutor as error:
                raise _broken(error) from error
            self._running[future] = task

    def _collect(self, future: Future[tuple[Evaluation, float]]) -> Outcome | None:
        task = self._running.pop(future)
        evaluation, seconds = _result(future)
        evaluation = replace(evaluation, fidelity=task.fidelity)
        if evaluation.status in TRANSIENT:
            if self.is_stopping:
                return None
            failures = self._attempts[task.number] = self._attempts.get(task.number, 0) + 1
            if failures <= self._retries:
                self._waiting.appendleft(task)
                return None
        return Outcome(task, evaluation, seconds)


def evaluate_timed(evaluator: Any, task: Task) -> tuple[Evaluation, float]:
    """Evaluate, in whatever process, and return the evaluation and its seconds."""
    judge = evaluator.value if isinstance(evaluator, _Shared) else evaluator
    begin = time.perf_counter()
    evaluation = evaluate_safely(judge, task.architecture, task.seed, task.fidelity)
    return evaluation, time.perf_counter() - begin


def _result(future: Future[tuple[Evaluation, float]]) -> tuple[Evaluation, float]:
    try:
        return future.result()
    except BrokenExecutor as error:
        raise _broken(error) from error
    except WorkerLost as lost:
        return Evaluation.failure(lost.status, lost.reason, lost.seconds), lost.seconds
    except Exception as error:
        if is_disk_full(error) or isinstance(error, DeviceLost | FaultyEvaluator):
            raise
        reason = f"the worker failed: {type(error).__name__}: {error}"
        return Evaluation.failure("worker-died", reason), 0.0


def _broken(error: BrokenExecutor) -> ChildProcessError:
    """Neither is it the fault of what was running, nor can anything else be run."""
    standard = isinstance(error, BrokenProcessPool)
    hint = "; weaknas.execution.ProcessPool replaces workers that die" if standard else ""
    return ChildProcessError(
        f"the executor is broken: {error}; what was measured is kept, the same call continues{hint}"
    )


class _Here(Executor):
    """Calls at once, in this thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


class _Shared:
    """An evaluator of which a process keeps the first copy, with what that has loaded."""

    _kept: tuple[str, Any] = ("", None)

    def __init__(self, value: Any) -> None:
        self.value, self._token = value, secrets.token_hex(8)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Shared._restore, (self._token, self.value)

    @staticmethod
    def _restore(token: str, value: Any) -> _Shared:
        if _Shared._kept[0] != token:
            _Shared._kept = token, _Shared(value)
        kept: _Shared = _Shared._kept[1]
        return kept
