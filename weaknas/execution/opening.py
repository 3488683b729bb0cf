"""The executor that a command line asks for."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

from weaknas.errors import InputError, check_whole, unknown
from weaknas.execution.pool import ProcessPool, check_time_limit

EXECUTORS = ("process", "thread", "dask")


@contextlib.contextmanager
def open_executor(
    kind: str | None = None,
    jobs: int | None = None,
    *,
    scheduler: str | None = None,
    workers_per_gpu: int | None = None,
    time_limit: float | None = None,
    worker_timeout: float | None = None,
) -> Iterator[Executor | None]:
    """Open what evaluations run on, and close it; left by an exception, end it at once.

    Parameters
    ----------
    kind : str, optional
        One of `EXECUTORS`. Default: none, evaluations are made by this process, one
        after the other; worker processes where an option needs them.
    jobs : int, optional
        Evaluations at a time; default: what the GPUs or the Dask scheduler take, or one.
    scheduler : str, optional
        Address or file of a Dask scheduler.
    workers_per_gpu : int, optional
        Of worker processes.
    time_limit : float, optional
        Seconds that an evaluation may take.
    worker_timeout : float, optional
        Seconds that are waited while a Dask scheduler has no worker; default: that of
        `DaskExecutor`.

    Raises
    ------
    InputError
        When the kind is unknown, or an option is out of range or not one of the kind.
    """
    if kind is None and (workers_per_gpu is not None or time_limit is not None or (jobs or 1) > 1):
        kind = "process"
    _check(kind, scheduler, workers_per_gpu, time_limit, worker_timeout)
    if jobs is not None:
        check_whole("jobs", jobs)
    check_time_limit(time_limit)
    if kind is None:
        yield None
    elif kind == "process":
        with ProcessPool(jobs, workers_per_gpu=workers_per_gpu, time_limit=time_limit) as pool:
            yield pool
    elif kind == "thread":
        with _threads(jobs or 1) as threads:
            yield threads
    else:
        from weaknas.execution.dask import open_dask

        patience = {} if worker_timeout is None else {"worker_timeout": worker_timeout}
        with open_dask(scheduler, jobs, time_limit, **patience) as cluster:
            yield cluster


def _check(
    kind: str | None,
    scheduler: str | None,
    workers_per_gpu: int | None,
    time_limit: float | None,
    worker_timeout: float | None,
) -> None:
    if kind is not None and kind not in EXECUTORS:
        raise unknown("executor", kind, EXECUTORS)
    if scheduler is not None and kind != "dask":
        raise InputError(f"scheduler {scheduler} goes with the executor 'dask'")
    if worker_timeout is not None and kind != "dask":
        raise InputError("worker_timeout goes with the executor 'dask'")
    if workers_per_gpu is not None and kind != "process":
        raise InputError("workers_per_gpu goes with the executor 'process'")
    if time_limit is not None and kind == "thread":
        raise InputError("time_limit: a thread cannot be ended; use the executor 'process'")


class _Threads(ThreadPoolExecutor):
    """Threads that say how many they are."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self.workers = workers


@contextlib.contextmanager
def _threads(workers: int) -> Iterator[Executor]:
    threads = _Threads(workers)
    try:
        yield threads
    except KeyboardInterrupt:
        # Threads cannot be ended, and the interpreter would wait for them.
        print("interrupted; what was written is kept", file=sys.stderr, flush=True)
        os._exit(130)
    except BaseException:
        threads.shutdown(wait=False, cancel_futures=True)
        raise
    else:
        threads.shutdown()
