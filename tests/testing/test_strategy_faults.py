"""Faults that are planted in strategies are found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from weaknas.spaces import SearchSpace
from weaknas.strategies import RandomSearch, Strategy
from weaknas.testing import (
    check_strategy,
    strategy_checks,
)


class Repeats(RandomSearch):
    def ask(self, n: int | None = None) -> Any:
        self._seen.clear()
        return super().ask(n)


class RepeatsIsomorphic(RandomSearch):
    """Proposes other genotypes of the cell it began with."""

    def ask(self, n: int | None = None) -> Any:
        rows = self.space.enumerate()
        same = rows[self.space.fingerprint(rows) == self.space.fingerprint(rows[:1])]
        self.asked = getattr(self, "asked", -1) + 1
        return super().ask(n) if self.asked % 3 else self.space.architectures(same[[self.asked]])


class IgnoresSeeds(RandomSearch):
    def __init__(self, space: SearchSpace, *, seed: int = 0) -> None:
        super().__init__(space, seed=seed)
        self._rng = np.random.default_rng()


class OneSeed(RandomSearch):
    def __init__(self, space: SearchSpace, *, seed: int = 0) -> None:
        super().__init__(space, seed=0)


class FailsOnFailures(RandomSearch):
    def tell(self, architectures: Any, scores: Any) -> None:
        if np.isnan(scores).any():
            raise ValueError("no NaN, please")
        super().tell(architectures, scores)


class WaitsForScores(RandomSearch):
    def ask(self, n: int | None = None) -> Any:
        if len(self.pending):
            raise RuntimeError("tell me first")
        return super().ask(n)


class ForgetsTold(RandomSearch):
    def tell(self, architectures: Any, scores: Any) -> None:
        """Keep nothing of what was not asked for."""


class GivesUpEarly(RandomSearch):
    def ask(self, n: int | None = None) -> Any:
        return super().ask(n) if len(self._seen) < 8 else []


class NeverGivesUp(Repeats):
    def ask(self, n: int | None = None) -> Any:
        self._seen.clear()
        return super().ask(n)


class AsksForAnything(RandomSearch):
    def ask(self, n: int | None = None) -> Any:
        return super().ask(n) if n else []


class TooMany(RandomSearch):
    def ask(self, n: int | None = None) -> Any:
        return super().ask((n or 1) + 1)


class NoSeedInTheDescription(RandomSearch):
    def describe(self) -> dict[str, Any]:
        return {"strategy": "random"}


class GlobalStrategy(RandomSearch):
    def _propose(self, n: int) -> Any:
        np.random.random()  # noqa: NPY002
        return super()._propose(n)


def test_nothing_is_found_in_a_sound_strategy(bits: Any) -> None:
    check_strategy(RandomSearch)
    check_strategy(RandomSearch, bits)


@pytest.mark.parametrize(
    ("strategy", "check"),
    [
        (Repeats, "nothing_is_proposed_twice"),
        (RepeatsIsomorphic, "nothing_is_proposed_twice"),
        (IgnoresSeeds, "proposals_are_seeded"),
        (OneSeed, "proposals_are_seeded"),
        (GlobalStrategy, "proposals_are_seeded"),
        (FailsOnFailures, "failures_are_tolerated"),
        (WaitsForScores, "asking_does_not_wait_for_telling"),
        (ForgetsTold, "unasked_architectures_can_be_told"),
        (GivesUpEarly, "the_space_is_exhausted"),
        (NeverGivesUp, "the_space_is_exhausted"),
        (AsksForAnything, "wrong_calls_are_refused"),
        (TooMany, "proposals_are_inside"),
        (NoSeedInTheDescription, "description_is_plain"),
    ],
)
def test_faults_of_strategies_are_found(
    assert_found: Any, bits: Any, strategy: type[Strategy], check: str
) -> None:
    space = bits if strategy in (ForgetsTold, Repeats) else None
    checks = [c for c in strategy_checks(strategy, space) if "another_process" not in c.name]
    assert_found(checks, check)
