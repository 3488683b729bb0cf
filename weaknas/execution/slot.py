"""One place of a `ProcessPool`: a worker process, and the call that it is at."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from weaknas.execution.errors import WorkerLost
from weaknas.execution.worker import BEGUN, READY, serve

_SPAWN = multiprocessing.get_context("spawn")
_STARTING = threading.Lock()
_MAX_TRIES = 2
_IMPORTS = 60.0  # seconds at least that a process has to import what a call needs


@dataclass(eq=False)
class Call:
    """A pickled call and the future that waits for it."""

    payload: bytes
    future: Future[Any] = field(default_factory=Future)
    has_begun: bool = False
    tries: int = 0

    def start(self) -> bool:
        """Take it up; return False where it was cancelled, which it cannot be from now on."""
        self.tries += 1
        return self.future.running() or self.future.set_running_or_notify_cancel()


class Slot:
    """A worker process that is replaced when it is lost.

    Used by one thread alone, that of the pool.

    Parameters
    ----------
    environment : mapping
        Variables that the process is started with, beside those of this one.
    time_limit : float
        Seconds after which a call that has begun is given up and its process killed.
    """

    def __init__(self, environment: Mapping[str, str], time_limit: float = math.inf) -> None:
        self.environment, self.time_limit = environment, time_limit
        self.call: Call | None = None
        self.is_ready = False
        #: Processes in a row that ended before they were ready, and how the last one did.
        self.failed_starts, self.last_end = 0, ""
        self._begin = math.nan
        self._start()

    @property
    def is_free(self) -> bool:
        """Whether the process waits for a call."""
        return self.is_ready and self.call is None

    @property
    def seconds_left(self) -> float:
        """How long the call may still take, or take to begin; infinity where there is none."""
        return math.inf if self.call is None else self._begin + self._limit - time.monotonic()

    @property
    def _limit(self) -> float:
        """Seconds from `_begin`, which is when the call began or else when it was sent."""
        has_begun = self.call is not None and self.call.has_begun
        return self.time_limit if has_begun else max(self.time_limit, _IMPORTS)

    def give(self, call: Call) -> None:
        """Send a call to the waiting process."""
        self.call, self._begin = call, time.monotonic()
        with contextlib.suppress(OSError):  # it died: its sentinel tells
            self.connection.send_bytes(call.payload)

    def attend(self) -> Call | None:
        """Take what the process sent; replace it when it died or exceeds its time.

        Returns the call that a process was given while it was dying, to be made by
        another one: it has not begun.
        """
        try:
            while self.connection.poll():
                self._take(self.connection.recv_bytes())
        except (EOFError, OSError):
            # Its end of the pipe is closed, so that it is dead or can be of no more use.
            return self._replace("worker-died")
        if not self.process.is_alive():
            return self._replace("worker-died")
        if self.seconds_left <= 0:
            return self._replace("timeout", f"not done after {self._limit:g} s, the time limit")
        return None

    def close(self) -> None:
        """Let the waiting process end by itself, or kill it if it does not."""
        self.connection.close()
        self.process.join(5)
        self.kill()

    def kill(self) -> None:
        """End the process at once, with the processes that it started."""
        self.connection.close()
        if self.process.pid is None:  # the system refused to start it
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            # A process that is not ready may not have a group of its own yet.
            if sys.platform != "win32" and self.is_ready:
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.join()

    # -- inside -------------------------------------------------------------------

    def _start(self) -> None:
        self.connection, theirs = _SPAWN.Pipe()
        self.process: SpawnProcess = _SPAWN.Process(target=serve, args=(theirs,))
        self.is_ready = False
        self._oom_kills = oom_kills()
        with _variables(self.environment):
            self.process.start()
        theirs.close()

    def _take(self, message: bytes) -> None:
        if message == READY:
            self.is_ready, self.failed_starts = True, 0
            return
        if message == BEGUN:
            if self.call is not None:
                self.call.has_begun, self._begin = True, time.monotonic()
            return
        call, self.call = self.call, None
        if call is None:
            return
        try:
            value, error = pickle.loads(message)  # noqa: S301  # of our own making
        except Exception as trouble:
            value, error = None, trouble
        if error is None:
            call.future.set_result(value)
        else:
            call.future.set_exception(error)

    def _replace(self, status: str, reason: str = "") -> Call | None:
        started, seconds = self.is_ready, time.monotonic() - self._begin
        if not reason:
            self.process.join(1)  # so that it has an exit code
        code = self.process.exitcode
        self.kill()
        if not reason:
            status, reason = self._explain(status, code)
        if not started:
            self.failed_starts, self.last_end = self.failed_starts + 1, reason
        self._start()  # which may fail: the call is still held then, for the pool to answer
        call, self.call = self.call, None
        # A call that arrives nowhere twice may be what ends the processes.
        again = call is not None and not call.has_begun and call.tries < _MAX_TRIES
        if call is not None and not again:
            call.future.set_exception(WorkerLost(status, reason, seconds))
        return call if again else None

    def _explain(self, status: str, code: int | None) -> tuple[str, str]:
        if code is None:
            return status, "the worker process closed its connection"
        if code >= 0:
            return status, f"the worker process ended by itself with exit code {code}"
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        if name == "SIGKILL" and oom_kills() > self._oom_kills:
            return "out-of-memory", "the system killed the worker process for want of memory"
        return status, f"the worker process was killed by {name}"


def oom_kills(path: Path = Path("/proc/vmstat")) -> int:
    """Return how many processes Linux has killed for want of memory; elsewhere 0."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


@contextlib.contextmanager
def _variables(environment: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process while another one is started, which inherits them.

    Set inside the new process they would come too late: it imports the main module
    first, and with it perhaps torch.
    """
    with _STARTING:
        before = {name: os.environ.get(name) for name in environment}
        os.environ.update(environment)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
