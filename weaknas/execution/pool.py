"""An executor of worker processes that survives the death of any of them."""

from __future__ import annotations

import atexit
import math
import pickle
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from multiprocessing.connection import Pipe, wait
from types import TracebackType
from typing import ParamSpec, TypeVar

from weaknas.errors import MOST_JOBS, MOST_NUMBER, InputError, check_number, check_whole
from weaknas.execution.placement import default_workers, environments, visible_gpus
from weaknas.execution.slot import Call, Slot
from weaknas.execution.worker import DEFINE, block_signals

_P = ParamSpec("_P")
_T = TypeVar("_T")
_MAX_FAILED_STARTS = 3
_LONGEST_WAIT = 3600.0  # seconds; what the system counts in milliseconds has 31 bits


class ProcessPool(Executor):
    """Worker processes, each replaced when it dies or exceeds its time.

    `concurrent.futures.ProcessPoolExecutor` fails all calls when one of its processes
    dies. Here that call alone fails, with `WorkerLost`, and a new process takes the
    place. Processes are spawned, when there is a call for them; leave the pool by an
    exception, e.g. a second Ctrl-C, and they are killed. They end also when this process is killed.

    pebble has such a pool, too, which would not do here (5.2.3): a worker that dies while
    no call is under way breaks the pool for good; all workers are started alike, so that
    none can be given a GPU of its own; of a worker that exceeds its time the process is
    ended, but not those that it started, such as loaders of data; its ``submit`` is not
    that of `concurrent.futures.Executor`; and its licence is the LGPL.

    Parameters
    ----------
    workers : int, optional
        Default: one a GPU, or as many as `workers_per_gpu` says; one without GPUs.
    workers_per_gpu : int, optional
        Worker k is started with ``CUDA_VISIBLE_DEVICES`` naming GPU
        k // workers_per_gpu; default: as few as give every worker a GPU. Cores are
        shared out as threads.
    time_limit : float, optional
        Seconds that a call may take once its process has imported what it needs, for which
        there is a minute at least.

    Raises
    ------
    InputError
        When `workers` is below 1 or more than the GPUs take, or the time limit not
        positive.

    Examples
    --------
    >>> with ProcessPool(2, time_limit=3600) as pool:  # doctest: +SKIP
    ...     weaknas.run(search, train, budget=100, executor=pool)
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        workers_per_gpu: int | None = None,
        time_limit: float | None = None,
    ) -> None:
        gpus = visible_gpus()
        most = default_workers(gpus, workers_per_gpu)
        self.workers = most if workers is None else check_whole("workers", workers, most=MOST_JOBS)
        self.time_limit = time_limit
        check_time_limit(time_limit)
        self._environments = environments(self.workers, gpus, workers_per_gpu)
        self._calls: deque[Call] = deque()
        self._lock = threading.Lock()
        self._is_closed = self._is_killed = False
        self._broken: str | None = None
        self._receiver, self._sender = Pipe(duplex=False)
        # Daemonic, for else the interpreter would wait for it before `atexit`.
        self._thread = threading.Thread(target=self._manage, name="weaknas-pool", daemon=True)
        self._thread.start()
        atexit.register(self.kill)

    # -- what users call ----------------------------------------------------------------

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Call a function in a free worker process.

        Raises
        ------
        InputError
            When the function or an argument cannot be sent to another process.
        BrokenExecutor
            When no process can be started.
        RuntimeError
            When the pool is closed.
        """
        try:
            payload = pickle.dumps((fn, args, kwargs))
        except Exception as error:
            raise InputError(f"cannot be sent to a worker process: {error}; {DEFINE}") from error
        call = Call(payload)
        with self._lock:
            if self._broken is not None:
                raise BrokenExecutor(self._broken)
            if self._is_closed:
                raise RuntimeError("the pool is closed")
            self._calls.append(call)
            self._sender.send_bytes(b".")
        return call.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; the processes end when all are answered."""
        with self._lock:
            if cancel_futures:
                for call in self._calls:
                    call.future.cancel()
            self._close()
        if wait:
            self._thread.join()

    def kill(self) -> None:
        """End all processes at once; calls that are not answered fail."""
        with self._lock:
            self._is_killed = True
            self._close()
        self._thread.join()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.shutdown()
        else:
            self.kill()

    # -- the thread that owns the processes -------------------------------------------------

    def _close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            atexit.unregister(self.kill)
        if self._thread.is_alive():
            self._sender.send_bytes(b".")

    def _manage(self) -> None:
        block_signals()  # interrupts are the main thread's; the processes inherit this
        slots: list[Slot] = []
        try:
            while not self._is_killed:
                self._start(slots)
                self._assign(slots)
                if self._is_done(slots):
                    break
                self._wait(slots)
                self._calls.extendleft(filter(None, [slot.attend() for slot in slots]))
                self._give_up(slots)
        except Exception as error:
            self._broken = str(error)
        finally:
            self._end(slots)

    def _start(self, slots: list[Slot]) -> None:
        """Start processes, as many as there are calls that no other one is there for."""
        limit = math.inf if self.time_limit is None else self.time_limit
        wanting = len(self._calls) - sum(slot.call is None for slot in slots)
        for environment in self._environments[len(slots) :][: max(0, wanting)]:
            slots.append(Slot(environment, limit))

    def _is_done(self, slots: list[Slot]) -> bool:
        return self._is_closed and not self._calls and all(slot.call is None for slot in slots)

    def _assign(self, slots: list[Slot]) -> None:
        for slot in slots:
            while slot.is_free and self._calls:
                call = self._calls.popleft()
                if call.start():
                    slot.give(call)

    def _wait(self, slots: list[Slot]) -> None:
        """Sleep until there is something to do."""
        patience = min((slot.seconds_left for slot in slots), default=math.inf)
        wait(
            [self._receiver]
            + [slot.connection for slot in slots]
            + [slot.process.sentinel for slot in slots],
            None if patience == math.inf else min(max(0.0, patience), _LONGEST_WAIT),
        )
        while self._receiver.poll():
            self._receiver.recv_bytes()

    def _give_up(self, slots: list[Slot]) -> None:
        """Break when processes end again and again before they can work."""
        for slot in slots:
            if slot.failed_starts < _MAX_FAILED_STARTS:
                continue
            raise BrokenExecutor(
                f"worker processes do not start ({slot.last_end}); a script that uses them"
                ' is a file that needs the line: if __name__ == "__main__":'
            )

    def _end(self, slots: list[Slot]) -> None:
        ended_well = not self._is_killed and self._broken is None
        for slot in slots:
            if ended_well:
                slot.close()
            else:
                slot.kill()
        with self._lock:
            self._is_closed = True
            lost = [call.future for call in self._calls if call.start()]
            self._calls.clear()
        lost += [slot.call.future for slot in slots if slot.call is not None]
        for future in lost:
            future.set_exception(BrokenExecutor(self._broken or "the pool was closed"))


def check_time_limit(seconds: float | None) -> None:
    """Refuse a time limit that is not positive.

    Raises
    ------
    InputError
        When it is none.
    """
    if seconds is not None:
        check_number("time_limit", seconds, above=0, most=MOST_NUMBER)
