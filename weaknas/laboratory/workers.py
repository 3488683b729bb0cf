"""Tasks in parallel processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pyarrow as pa

from weaknas.errors import MOST_JOBS, check_whole

# One thread a process: the result must not depend on how many processes there are.
_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_Work = TypeVar("_Work")
_Done = TypeVar("_Done")


@dataclass(frozen=True)
class Outcome(Generic[_Work]):
    """What became of a task: a table of rows, or the error it raised."""

    task: _Work
    rows: pa.Table | None
    error: str = ""
    seconds: float = 0.0


def attempt(work: Callable[[_Work], pa.Table], task: _Work) -> Outcome[_Work]:
    """Do one task; what it raises is its outcome."""
    begin = time.perf_counter()
    rows, message = None, ""
    try:
        rows = work(task)
    except Exception as error:
        message = one_line(error)
    return Outcome(task, rows, message, time.perf_counter() - begin)


def run_tasks(
    work: Callable[[_Work], _Done], tasks: Sequence[_Work], jobs: int = 1
) -> Generator[_Done, None, None]:
    """Call `work` on each task in `jobs` processes and yield what it returns as it is done.

    Every process has one thread for linear algebra, and with one job too the
    tasks run in a process of their own, so that results do not depend on `jobs`.
    Closing the iterator ends the processes at once.

    Parameters
    ----------
    work : callable
        Picklable; each process has a copy of its own, which may keep what it loads.
    tasks : sequence
    jobs : int

    Raises
    ------
    InputError
        When `jobs` is below 1.
    ChildProcessError
        When a process dies, e.g. for want of memory.
    """
    check_whole("jobs", jobs, most=MOST_JOBS)
    if not tasks:
        return
    others = set(multiprocessing.active_children())
    with _one_thread():
        pool = ProcessPoolExecutor(
            min(jobs, len(tasks)),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start_worker,
            initargs=(work,),
        )
        try:
            waiting: set[Future[_Done]] = {pool.submit(_work, task) for task in tasks}
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        except BrokenProcessPool as error:
            raise ChildProcessError(
                "a process ended without a word, perhaps for want of memory; finished runs are"
                " kept, the same call continues"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Start processes with one thread each; libraries read the variables when imported."""
    before = {name: os.environ.get(name) for name in _THREAD_LIMITS}
    os.environ.update(dict.fromkeys(_THREAD_LIMITS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def one_line(error: Exception) -> str:
    """Return type and message of an error as one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]


_work_of_process: Callable[[Any], Any]


def _start_worker(work: Callable[[Any], Any]) -> None:
    global _work_of_process  # noqa: PLW0603 the state of a process of the pool
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _work_of_process = work


def _end_with_parent() -> None:
    """Do not outlive a parent that was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(task: Any) -> Any:
    return _work_of_process(task)
