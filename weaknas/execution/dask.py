"""Evaluations on the workers of a Dask cluster: many hosts, or many GPUs."""

from __future__ import annotations

import contextlib
import operator
import os
import pickle
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from weaknas.errors import FaultyEvaluator, InputError, check_number, check_whole, optional_import
from weaknas.execution.errors import WorkerLost
from weaknas.execution.pool import check_time_limit
from weaknas.execution.worker import perform

_P = ParamSpec("_P")
_T = TypeVar("_T")
#: Seconds without any worker after which it is said, and by default given up.
_NOTICE, _WORKER_TIMEOUT = 5.0, 600.0


class DaskExecutor(Executor):
    """Calls functions on the workers of a Dask cluster.

    A thin layer over ``Client.get_executor()``. Workers should have one thread each, and
    a nanny, which replaces those that are lost. They need weaknas and the modules of what
    is called; the scheduler needs neither.

    Parameters
    ----------
    client : distributed.Client
        Stays open.
    workers : int, optional
        Calls at a time; default: the threads that all workers have now.
    time_limit : float, optional
        Seconds that a call may take; its worker process is then ended.
    worker_timeout : float
        Seconds that are waited while the scheduler has no worker.

    Raises
    ------
    InputError
        When there is no worker, or a number is out of range.
    """

    def __init__(
        self,
        client: Any,
        workers: int | None = None,
        time_limit: float | None = None,
        worker_timeout: float = _WORKER_TIMEOUT,
    ) -> None:
        self.client, self._inner = client, client.get_executor(pure=False)
        self._address = str(client.scheduler.address)  # a client that is closed has none
        if workers is None:
            workers = self._threads()
            if not workers:
                raise InputError(
                    "the Dask scheduler has no worker yet; start some, or say how many"
                    " evaluations to make at a time"
                )
        self.workers, self.time_limit = check_whole("workers", workers), time_limit
        check_time_limit(time_limit)
        self.worker_timeout = check_number("worker_timeout", worker_timeout, least=0)
        self._empty_since: float | None = None

    def capacity(self) -> int:
        """Return how many threads the workers have now.

        Raises
        ------
        BrokenExecutor
            When the scheduler is gone, or has had no worker for `worker_timeout` seconds.
        """
        threads = self._threads()
        if threads:
            self._empty_since = None
            return threads
        now = time.monotonic()
        if self._empty_since is None:
            self._empty_since, self._is_noted = now, False
        waited = now - self._empty_since
        if waited >= self.worker_timeout:
            raise BrokenExecutor(
                f"the Dask scheduler at {self._address} had no worker for"
                f" {self.worker_timeout:g} s, the time that is waited"
            )
        if waited >= _NOTICE and not self._is_noted:
            self._is_noted = True
            message = f"waiting for a worker: the Dask scheduler at {self._address} has none"
            warnings.warn(message, RuntimeWarning, stacklevel=2)
        return 0

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Call a function on a worker."""
        answer: Future[_T] = Future()
        answer.set_running_or_notify_cancel()
        begin = time.monotonic()
        inner = self._inner.submit(*_sealed(call_within, self.time_limit, fn, args, kwargs))
        inner.add_done_callback(lambda done: self._answer(done, answer, begin))
        return answer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for what runs, or cancel it; the cluster stays."""
        self._inner.shutdown(wait=wait and not cancel_futures)

    # -- inside -------------------------------------------------------------------

    def _threads(self) -> int:
        try:
            return sum(self.client.nthreads().values())
        except (OSError, RuntimeError, ValueError) as error:  # closed, or no connection
            raise BrokenExecutor(f"the Dask scheduler at {self._address} is gone") from error

    def _answer(self, done: Future[bytes], answer: Future[Any], begin: float) -> None:
        seconds = time.monotonic() - begin
        try:
            value, error = pickle.loads(done.result())  # noqa: S301  # of our own making
        except BaseException as trouble:
            value, error = None, self._explain(trouble, seconds)
        if error is None:
            answer.set_result(value)
        else:
            answer.set_exception(error)

    def _explain(self, error: BaseException, seconds: float) -> BaseException:
        if isinstance(error, ImportError | AttributeError):
            return FaultyEvaluator(
                f"a Dask worker cannot load what it should call: {error}; weaknas and the"
                " modules of the evaluator are needed on every host, in the same versions"
            )
        if type(error).__name__ != "KilledWorker":
            return error
        if self.time_limit is not None and seconds >= self.time_limit:
            reason = f"not done after {self.time_limit:g} s, the time limit"
            return WorkerLost("timeout", reason, seconds)
        return WorkerLost("worker-died", f"the Dask worker died: {error}", seconds)


def _sealed(function: Callable[..., bytes], *arguments: Any) -> tuple[Callable[..., Any], bytes]:
    """Return a call that Dask can carry without reading it, as a function and its argument.

    What is imported to read it is imported where it is made, in the task: a worker that
    lacks it would else break its connection at every try, and a scheduler refuse the call.
    """
    cloudpickle = optional_import("cloudpickle", "dask")
    toolz = optional_import("toolz", "dask")
    payload = cloudpickle.dumps(partial(function, *arguments))
    return toolz.compose(operator.call, pickle.loads), payload


def call_within(
    seconds: float | None,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> bytes:
    """Make a call as `perform` does; end this process, one of Dask's, if it takes longer."""
    if seconds is None:
        return perform(function, args, kwargs)
    watch = threading.Timer(seconds, os._exit, [1])
    watch.daemon = True
    watch.start()
    try:
        return perform(function, args, kwargs)
    finally:
        watch.cancel()


@contextlib.contextmanager
def open_dask(
    scheduler: str | None = None,
    workers: int | None = None,
    time_limit: float | None = None,
    worker_timeout: float = _WORKER_TIMEOUT,
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
    worker_timeout : float
        Seconds that are waited while the scheduler has no worker.

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
            yield DaskExecutor(client, workers, time_limit, worker_timeout)
        return
    count = 1 if workers is None else check_whole("workers", workers)
    check_time_limit(time_limit)
    config = optional_import("dask.config", "dask")
    settings = {
        # What is lost is a matter of our retries, which count and report it.
        "distributed.scheduler.allowed-failures": 0,
        # A worker that is long in starting again, on a busy machine, is not given up before.
        "distributed.deploy.lost-worker-timeout": worker_timeout,
    }
    with (
        config.set(settings),
        distributed.LocalCluster(
            n_workers=count, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.run(_leave_interrupts)
        yield DaskExecutor(client, count, time_limit, worker_timeout)


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
