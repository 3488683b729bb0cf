"""What runs inside a worker process of a `ProcessPool`."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any

from weaknas.errors import DeviceLost, FaultyEvaluator
from weaknas.execution.errors import WorkerLost

#: The first message of a worker: it is up and waits for calls.
READY = b"ready"
#: The message before an answer: the call has arrived, with all that it imports, and begins.
BEGUN = b"begun"
#: What to do about a call that worker processes cannot be given.
DEFINE = "define functions and classes at the top of a module, not in a notebook or a session"
_HANDLED = (signal.SIGINT, signal.SIGTERM)


def serve(connection: Connection) -> None:
    """Answer calls, one after the other, until the other end is closed."""
    _detach()
    with contextlib.suppress(EOFError, OSError):
        connection.send_bytes(READY)
        while True:
            payload = connection.recv_bytes()
            try:
                connection.send_bytes(answer(payload, lambda: connection.send_bytes(BEGUN)))
            except DeviceLost as error:
                connection.send_bytes(_pickled(WorkerLost("worker-died", str(error))))
                return  # for another process, which can use the GPU


def answer(payload: bytes, begin: Callable[[], None] = lambda: None) -> bytes:
    """Make the pickled call ``(function, arguments, keywords)``; pickle its result or error.

    Parameters
    ----------
    payload : bytes
    begin : callable
        Called when everything is imported that the call needs.

    Raises
    ------
    DeviceLost
        When the call does.
    """
    try:
        function, arguments, keywords = pickle.loads(payload)  # noqa: S301  # of our own making
    except (AttributeError, ImportError) as error:  # defined in a notebook or a session
        return _pickled(FaultyEvaluator(f"cannot be found by a worker process: {error}; {DEFINE}"))
    begin()
    return perform(function, arguments, keywords)


def perform(
    function: Callable[..., Any], arguments: Sequence[Any], keywords: Mapping[str, Any]
) -> bytes:
    """Make a call; pickle the pair of its result, or None, and its error, or None.

    Raises
    ------
    DeviceLost
        When the call does.
    """
    try:
        return pickle.dumps((function(*arguments, **keywords), None))
    except DeviceLost:
        raise
    except Exception as error:
        return _pickled(error)
    except BaseException as error:  # sys.exit() in somebody's training
        return _pickled(WorkerLost("failed", f"{type(error).__name__}: {error}"))


def block_signals() -> None:
    """Leave interrupts to the other threads, also in the processes started from this one."""
    if sys.platform != "win32":
        # Started with the first process otherwise, upon which it would unblock them.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)


def _pickled(error: Exception) -> bytes:
    try:
        data = pickle.dumps((None, error))
        pickle.loads(data)  # noqa: S301  # many an exception cannot be rebuilt
    except Exception:
        return pickle.dumps((None, RuntimeError(f"{type(error).__name__}: {error}")))
    return data


def _detach() -> None:
    """Leave Ctrl-C to the parent, and do not outlive it.

    A session of its own keeps the terminal's signals from the worker and from the
    processes that an evaluation starts (loaders of data), and lets all of them be
    ended together. Handlers that do nothing, rather than ignored signals, are not
    inherited by other programs.
    """
    if sys.platform != "win32":
        os.setsid()
    for number in _HANDLED:
        signal.signal(number, lambda *_: None)
    if sys.platform != "win32":  # blocked while this process was started
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        if sys.platform != "win32":
            os.killpg(os.getpgrp(), signal.SIGKILL)
        os._exit(1)
