"""Evaluations on the workers of a Dask cluster: many hosts, or many GPUs."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from weaknas.errors import InputError, optional_import
from weaknas.execution.errors import WorkerLost
from weaknas.execution.pool import check_limits

_P = ParamSpec("_P")
_T = TypeVar("_T")


class DaskExecutor(Executor):
    """Calls functions on the workers of a Dask cluster.

    A thin layer over ``Client.get_executor()``. It knows the number of workers, and
    what exceeds its time ends with the worker process it is at, which the worker's
    nanny starts again. Workers should have one thread each.

    Parameters
    ----------
    client : distributed.Client
        Stays open.
    workers : int, optional
        Calls at a time; default: the threads that all workers have now.
    time_limit : float, optional
        Seconds that a call may take.

    Raises
    ------
    InputError
        When there is no worker, or a number is out of range.
    """

    def __init__(
        self, client: Any, workers: int | None = None, time_limit: float | None = None
    ) -> None:
        self._client, self._inner = client, client.get_executor(pure=False)
        if workers is None:
            workers = sum(client.nthreads().values())
            if not workers:
                raise InputError(
                    "the Dask scheduler has no worker yet; start some, or say by --jobs how"
                    " many evaluations to make at a time"
                )
        self.workers, self.time_limit = workers, time_limit
        check_limits(workers, time_limit)

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Call a function on a worker."""
        if self.time_limit is None:
            future: Future[_T] = self._inner.submit(fn, *args, **kwargs)
            return future
        answer: Future[_T] = Future()
        answer.set_running_or_notify_cancel()
        inner = self._inner.submit(_call_within, self.time_limit, fn, args, kwargs)
        inner.add_done_callback(lambda done: self._answer(done, answer))
        return answer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for what runs, or cancel it; the cluster stays."""
        self._inner.shutdown(wait=wait and not cancel_futures)

    def _answer(self, done: Future[Any], answer: Future[Any]) -> None:
        try:
            value, overdue = done.result()
        except BaseException as error:
            answer.set_exception(error)
            return
        if overdue is None:
            answer.set_result(value)
        else:  # in another thread: this one is the client's own, which does the work
            threading.Thread(target=self._end, args=(overdue, answer), daemon=True).start()

    def _end(self, worker: str, answer: Future[Any]) -> None:
        """Have the process killed that is still at a call, then say that its time is over."""
        with contextlib.suppress(Exception):  # it is gone, or has no nanny: nothing to do
            self._client.restart_workers([worker], timeout=60, raise_for_error=False)
        seconds = self.time_limit or math.nan
        reason = f"not done after {seconds:g} s, the time limit"
        answer.set_exception(WorkerLost("timeout", reason, seconds))


def _call_within(
    seconds: float, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, str | None]:
    """Return what a function returns, or the address of the worker that is still at it."""
    from distributed import get_worker

    answer: Future[Any] = Future()

    def call() -> None:
        try:
            answer.set_result(function(*args, **kwargs))
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=call, daemon=True).start()
    try:
        return answer.result(seconds), None
    except TimeoutError:
        if answer.done():  # the function's own
            raise
        return None, str(get_worker().address)


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
    count = 1 if workers is None else workers
    check_limits(count, time_limit)
    from dask import config

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
