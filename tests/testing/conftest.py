"""What the tests of the contract kit share: how a planted fault is found."""

from __future__ import annotations

import unittest
from collections.abc import Callable, Iterable

import pytest

from weaknas.spaces import ChoiceSpace
from weaknas.testing import Check


def _broken(checks: Iterable[Check]) -> dict[str, str]:
    failed = {}
    for check in checks:
        try:
            check()
        except unittest.SkipTest:
            continue
        except AssertionError as error:
            failed[check.name] = str(error)
    return failed


@pytest.fixture(name="broken")
def _broken_fixture() -> Callable[[Iterable[Check]], dict[str, str]]:
    """Name and message of every check that fails."""
    return _broken


@pytest.fixture(name="assert_found")
def _assert_found() -> Callable[[Iterable[Check], str], None]:
    """Assert that a check fails, with a message that says which promise is broken."""

    def assert_found(checks: Iterable[Check], expected: str) -> None:
        failed = _broken(checks)
        assert expected in failed, f"{expected} is not among {sorted(failed)}"
        assert f"breaks the promise of {expected}: " in failed[expected]
        assert " Seen: " in failed[expected]

    return assert_found


@pytest.fixture(name="bits")
def _bits() -> ChoiceSpace:
    """A small, sound space."""
    return ChoiceSpace({f"bit{i}": [0, 1] for i in range(6)}, name="bits")
