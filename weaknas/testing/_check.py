"""What a check is: one promise, one function that finds out whether it is kept."""

from __future__ import annotations

import contextlib
import random
import unittest
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np


class CheckSkippedWarning(UserWarning):
    """A promise could not be looked at; the message says why."""


@dataclass(frozen=True)
class Check:
    """One promise of one implementation; call it to find out whether it is kept.

    Parameters
    ----------
    name : str
        Name of the check, e.g. ``"sample_is_seeded"``.
    promise : str
        The promise in words.
    subject : str
        Who made it, for the message.
    """

    name: str
    promise: str
    subject: str
    _run: Callable[[], None] = field(repr=False)

    def __call__(self) -> None:
        """Look at the promise.

        Raises
        ------
        AssertionError
            When it is broken: the check, the promise and what was seen.
        unittest.SkipTest
            When it cannot be looked at here.
        """
        try:
            self._run()
        except unittest.SkipTest:
            raise
        except AssertionError as error:
            raise AssertionError(self._message(str(error))) from None
        except Exception as error:
            seen = f"{type(error).__name__} was raised: {error}"
            raise AssertionError(self._message(seen)) from error

    def __str__(self) -> str:
        return self.name

    def _message(self, seen: str) -> str:
        return f"{self.subject} breaks the promise of {self.name}: {self.promise} Seen: {seen}"


def require(kept: object, seen: str) -> None:
    """Raise AssertionError with what was seen, also under ``python -O``."""
    if not kept:
        raise AssertionError(seen)


def promises(subject: str, checks: Iterable[Callable[..., None]], *arguments: Any) -> list[Check]:
    """Bind check functions to what they look at.

    The promise is the docstring of the function, the name that of the function
    without ``check_``.
    """
    return [
        Check(
            name=function.__name__.removeprefix("check_"),
            promise=" ".join((function.__doc__ or "").split()),
            subject=subject,
            _run=partial(function, *arguments),
        )
        for function in checks
    ]


def name_of(subject: Any) -> str:
    """Return what an implementation or a factory of it is called in messages."""
    if isinstance(subject, partial):
        return " ".join([name_of(subject.func), *map(str, subject.args)])
    return str(getattr(subject, "name", getattr(subject, "__name__", type(subject).__name__)))


def run_all(checks: Iterable[Check]) -> None:
    """Run checks one after the other; the first broken promise raises.

    What has to be skipped is warned of as `CheckSkippedWarning`.
    """
    for check in checks:
        try:
            check()
        except unittest.SkipTest as reason:
            warnings.warn(
                f"{check.subject}: {check.name} was skipped: {reason}",
                CheckSkippedWarning,
                stacklevel=3,
            )


@contextlib.contextmanager
def global_random_state_untouched() -> Iterator[None]:
    """Fail when the block draws from, or seeds, the global generators of numpy or Python.

    They are put where no seed of a check leads, and put back afterwards.
    """
    found = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        random.seed("watched")
        np.random.seed(4_021_976_331)  # noqa: NPY002
        before = _global_state()
        yield
        require(_global_state() == before, "the global random state of numpy or Python has changed")
    finally:
        random.setstate(found[0])
        np.random.set_state(found[1])  # noqa: NPY002


def _global_state() -> tuple[Any, ...]:
    _, keys, *rest = np.random.get_state()  # noqa: NPY002
    return random.getstate(), np.asarray(keys).tobytes(), tuple(rest)
