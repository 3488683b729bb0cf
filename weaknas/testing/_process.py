"""Calling a function in a fresh Python process."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import unittest
from collections.abc import Callable
from typing import Any

# Reads a pickled call from standard input and writes the pickled outcome.
_CHILD = """
import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
output, sys.stdout = sys.stdout.buffer, sys.stderr
try:
    function, arguments = pickle.load(sys.stdin.buffer)
except Exception as error:
    outcome = ("unreadable", f"{type(error).__name__}: {error}")
else:
    outcome = ("done", function(*arguments))
pickle.dump(outcome, output)
"""


def call_in_new_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a module-level function in a new process with another hash seed.

    Raises
    ------
    unittest.SkipTest
        When the call cannot be sent: something in it is a lambda, or is defined
        in a module that the new process cannot import.
    AssertionError
        When the call fails there.
    """
    try:
        call = pickle.dumps((function, arguments))
    except Exception as error:
        raise unittest.SkipTest(f"it cannot be sent to another process: {error}") from error
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONHASHSEED"}
    done = subprocess.run(
        [sys.executable, "-c", _CHILD],
        input=pickle.dumps(sys.path) + call,
        capture_output=True,
        env=environment,
        check=False,
    )
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise AssertionError(f"the call failed in another process: {' '.join(last)}")
    status, outcome = pickle.loads(done.stdout)  # noqa: S301  # written by our own child
    if status == "unreadable":
        raise unittest.SkipTest(f"another process cannot import what it needs: {outcome}")
    return outcome
