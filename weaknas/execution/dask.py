"""Evaluations on the workers of a Dask cluster: many hosts, or many GPUs."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from weaknas.errors import InputError, check_whole, optional_import
from weaknas.execution.errors import WorkerLost
from weaknas.execution.pool import check_time_limit

_P = ParamSpec("_P")
_T = TypeVar("_T")
_PATIENCE = 0.1  # seconds between two looks for a worker that is free


class DaskExecutor(Executor):
    """Calls functions on the workers of a Dask cluster.

    A thin layer over ``Client.get_executor()``. No more calls are given to the
    cluster than its workers have threads at the moment, so that none waits behind
    another one and is lost with its worker. Workers should have one thread each, and
    a nanny, which replaces those that are lost.

    Parameters
    ----------
    client : distributed.Client
        Stays open.
    workers : int, optional
        Calls at a time; default: the threads that all workers have now.
    time_limit : float, optional
        Seconds that a call may take; its worker process is then ended.

    Raises
    ------
    InputError
        When there is no worker, or a number is out of range.
    """

    def __init__(
        self, client: Any, workers: int | None = None, time_limit: float | None = None
    ) -> None:
        self.client, self._inner = client, client.get_executor(pure=False)
        if workers is None:
            workers = self._threads()
            if not workers:
                raise InputError(
                    "the Dask scheduler has no worker yet; start some, or say by"
                    " `workers` how many evaluations to make at a time"
                )
        self.workers, self.time_limit = check_whole("workers", workers), time_limit
        check_time_limit(time_limit)
        self._under_way: set[Future[Any]] = set()

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Call a function on a worker, after waiting until there is one for it."""
        while len(self._under_way) >= self._threads():
            time.sleep(_PATIENCE)
        answer: Future[_T] = Future()
        answer.set_running_or_notify_cancel()
        self._under_way.add(answer)
        begin = time.monotonic()
        inner = self._inner.submit(call_within, self.time_limit, fn, args, kwargs)
        inner.add_done_callback(lambda done: self._answer(done, answer, begin))
        return answer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for what runs, or cancel it; the cluster stays."""
        self._inner.shutdown(wait=wait and not cancel_futures)

    # -- inside -------------------------------------------------------------------

    def _threads(self) -> int:
        return sum(self.client.nthreads().values())

    def _answer(self, done: Future[Any], answer: Future[Any], begin: float) -> None:
        self._under_way.discard(answer)
        seconds = time.monotonic() - begin
        try:
            value = done.result()
        except BaseException as error:
            answer.set_exception(self._explain(error, seconds))
        else:
            answer.set_result(value)

    def _explain(self, error: BaseException, seconds: float) -> BaseException:
        if type(error).__name__ != "KilledWorker":
            return error
        if self.time_limit is not None and seconds >= self.time_limit:
            reason = f"not done after {self.time_limit:g} s, the time limit"
            return WorkerLost("timeout", reason, seconds)
        return WorkerLost("worker-died", f"the Dask worker died: {error}", seconds)


def call_within(
    seconds: float | None,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Call a function; end this process, which is one of Dask's, if it takes longer."""
    if seconds is None:
        return function(*args, **kwargs)
    watch = threading.Timer(seconds, os._exit, [1])
    watch.daemon = True
    watch.start()
    try:
        return function(*args, **kwargs)
    finally:
        watch.cancel()


@contextlib.contextmanager
def open_dask(
    scheduler: str | None = None, workers: int | None = None, time_limit: float | None = None
) -> Iterator[DaskExecutor]:
    """Connect to a Dask scheduler, or start a cluster of worker processes on this machine.

    Parameters
    ----------
    scheduler : str, optional
        Its address, such as ``tcp://10.0.0.1:8786``, or its scheduler file; default:
        a cluster of our own.
    workers : int, optional
        Calls at a time; default: the scheduler's workers, or one.
    time_limit : float, optional
        Seconds that a call may take.

    Raises
    ------
    MissingDependencyError
        When `distributed` is not installed.
    InputError
        When there is no scheduler at the address, or a number is out of range.
    """
    distributed = optional_import("distributed", "dask")
    if scheduler is not None:
        with _connect(distributed, scheduler) as client:
            yield DaskExecutor(client, workers, time_limit)
        return
    count = 1 if workers is None else check_whole("workers", workers)
    check_time_limit(time_limit)
    config = optional_import("dask.config", "dask")
    # What is lost is a matter of our retries, which count and report it.
    with (
        config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(
            n_workers=count, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.run(_leave_interrupts)
        yield DaskExecutor(client, count, time_limit)


def _connect(distributed: Any, scheduler: str) -> Any:
    try:
        if Path(scheduler).is_file():
            return distributed.Client(scheduler_file=scheduler)
        return distributed.Client(scheduler)
    except (OSError, ValueError) as error:
        raise InputError(f"no Dask scheduler at {scheduler!r}: {error}") from error


def _leave_interrupts() -> None:
    """Leave Ctrl-C, which the terminal sends to all processes, to the one that searches."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
