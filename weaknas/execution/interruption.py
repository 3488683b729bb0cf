"""Ctrl-C once: finish what runs, and leave. Twice: leave now."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any, Self

_MESSAGE = b"\nstopping: what is running is finished and kept; interrupt again to leave now\n"


class Interruption:
    """Counts Ctrl-C and SIGTERM while a run goes on.

    Pass it to `weaknas.run` as `stop`. The first signal makes it true; with the
    second one KeyboardInterrupt is raised. Only the main thread gets signals; in
    another one nothing is changed.

    Examples
    --------
    >>> with Interruption() as interruption:  # doctest: +SKIP
    ...     result = weaknas.run(search, train, budget=100, stop=interruption)
    """

    def __init__(self) -> None:
        self._is_stopping = False
        self._before: dict[int, Any] = {}

    def __call__(self) -> bool:
        """Whether a signal came."""
        return self._is_stopping

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._is_stopping:
            raise KeyboardInterrupt
        self._is_stopping = True
        # Not by print, which may just be at work where the signal came.
        with contextlib.suppress(OSError, ValueError):
            os.write(sys.stderr.fileno(), _MESSAGE)
