"""Errors that are the caller's to mend, and how they are worded.

This module stands below everything else: spaces, encoders and the search raise
from it, the command line turns it into a one-line message and exit code 2.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import math
from collections.abc import Callable, Iterable, MappingView, Sequence, Set, Sized
from numbers import Integral, Real
from types import ModuleType

#: Names that a message lists; of more, so many and the number of the others.
_LISTED = 40
_LONGEST = 400  # characters of a value that a message shows

# Bounds of numbers that people give: no use is known of more, and far above, memory ends.
#: Where no other bound is stated.
MOST = 2**31 - 1
MOST_SEED = 2**63 - 1
#: Processes, threads and tries.
MOST_JOBS = 1024
#: What is kept at once: runs, architectures of a round, splits, classes, channels.
MOST_AT_ONCE = 100_000
#: What is not counted; as seconds, thirty years.
MOST_NUMBER = 1e9


class InputError(ValueError):
    """A value that cannot be used; the message names it and what is allowed."""


class MissingDependencyError(InputError, ImportError):
    """An optional package is needed; the message says which extra installs it."""


class FaultyEvaluator(InputError):
    """A fault of the evaluator that says nothing of an architecture: each would meet it."""


class DeviceLost(OSError):
    """A GPU that this process can use no more; another process may."""


def unknown(kind: str, name: object, allowed: Iterable[object]) -> InputError:
    """Build the error for a name that is not among the allowed ones.

    Parameters
    ----------
    kind : str
        What the name stands for, e.g. ``"predictor"``.
    name : object
        The name that was given.
    allowed : iterable
        All names that would have been accepted.

    Returns
    -------
    InputError
        One line: the name, the closest match if there is one, the allowed names.
    """
    names = [str(item) for item in allowed]
    text = shown(name, str)
    return InputError(f"unknown {kind} {text!r}{hint(text, names)} (allowed: {listed(names)})")


def hint(text: str, names: Sequence[str]) -> str:
    """Return the end of a message about a text that is none of the names: the closest, if any."""
    close = difflib.get_close_matches(text, names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def shown(value: object, write: Callable[[object], str] = repr) -> str:
    """Return a text of a value for a message, of very long ones the beginning."""
    try:
        text = write(value)
    except Exception:  # integers of thousands of digits, objects that are not made yet
        return f"a {type(value).__name__}"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def listed(names: Sequence[str]) -> str:
    """Join names by commas; of very many the first, and how many others there are."""
    if len(names) <= _LISTED:
        return ", ".join(names)
    return f"{', '.join(names[:_LISTED])} and {len(names) - _LISTED:,} others"


def check_whole(name: str, value: object, least: int = 1, most: int = MOST) -> int:
    """Return a whole number of any type as `int`; refuse others and those out of bounds.

    Raises
    ------
    InputError
        One line: the name, what is allowed and the value.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise InputError(f"{name} must be a whole number of at least {least}, not {shown(value)}")
    number = int(value)
    if number < least:
        raise InputError(f"{name} must be at least {least}, not {shown(number)}")
    if number > most:
        raise InputError(f"{name} must be at most {most:,}, not {shown(number)}")
    return number


def check_seed(seed: object) -> int:
    """Return a seed that numpy and torch take as `int`.

    Raises
    ------
    InputError
        When it is no whole number, negative or above 2**63 - 1.
    """
    return check_whole("seed", seed, 0, MOST_SEED)


def check_number(
    name: str,
    value: object,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    below: float = math.inf,
    most: float = math.inf,
) -> float:
    """Return a finite number of any type within bounds as `float`; refuse others.

    Raises
    ------
    InputError
        One line: the name, what is allowed and the value.
    """
    number = math.nan
    if isinstance(value, Real) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):  # a whole number beyond those of floats
            number = float(value)
    if least <= number <= most and above < number < below:
        return number
    bounds = {"at least": least, "above": above, "below": below, "at most": most}
    limits = [f"{side} {bound:,.15g}" for side, bound in bounds.items() if abs(bound) < math.inf]
    allowed = " and ".join(limits) or "and finite"
    raise InputError(f"{name} must be a number {allowed}, not {shown(value)}")


def check_switch(name: str, value: object) -> bool:
    """Return what is true or false as `bool`; refuse all else, as any text is true to Python.

    Raises
    ------
    InputError
        One line: the name and the value.
    """
    if isinstance(value, Sized) or value not in (True, False):
        raise InputError(f"{name} is true or false, not {shown(value)}")
    return bool(value)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was no memory for what was asked, of this machine or of a GPU."""
    text = str(error)  # of torch, which is not imported here
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or text.startswith("CUDA error: out of memory")
        or (isinstance(error, RuntimeError) and "DefaultCPUAllocator" in text)
    )


def check_list(name: str, values: object) -> None:
    """Refuse what is no list: one value, which a command line may give, or a text.

    Raises
    ------
    InputError
        One line: the name and the value.
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InputError(f"{name} must be a list of values, not {shown(values)}")


def refuse_set(what: str, values: object) -> None:
    """Refuse a set where the order counts: it differs between processes.

    Raises
    ------
    InputError
        When it is one; the view of a dictionary, which has an order, is none.
    """
    if isinstance(values, Set) and not isinstance(values, MappingView):
        raise InputError(f"{what} are a set, whose order differs between processes; give a list")


def optional_import(module: str, extra: str) -> ModuleType:
    """Import an optional package or say what to install.

    Raises
    ------
    MissingDependencyError
        When the package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingDependencyError(
            f"{package} is not installed; install it with: {install_command(extra)}"
        ) from error


def install_command(extra: str) -> str:
    """Return how to install what an extra has, also from a clone of the repository.

    Examples
    --------
    >>> install_command("plot")
    "pip install 'weaknas[plot]' (in a clone of weaknas: pip install '.[plot]')"
    """
    return f"pip install 'weaknas[{extra}]' (in a clone of weaknas: pip install '.[{extra}]')"
