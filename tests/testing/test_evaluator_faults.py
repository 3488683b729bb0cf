"""Faults that are planted in evaluators are found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from weaknas.errors import InputError
from weaknas.evaluators import Evaluation
from weaknas.spaces import Architecture
from weaknas.testing import (
    CheckSkippedWarning,
    check_evaluator,
    evaluator_checks,
)


def sound(architecture: Architecture) -> float:
    return float(sum(architecture.genotype))


class Evaluates:
    """An evaluator that is all right; its subclasses are not."""

    name = "broken"

    def evaluate(
        self, architecture: Architecture, *, seed: int, fidelity: float | None = None
    ) -> Any:
        noise = np.random.default_rng([seed, *architecture.genotype]).normal()
        return Evaluation(sound(architecture) + noise, cost=1.0)

    def describe(self) -> dict[str, Any]:
        return {"evaluator": self.name}


class IgnoresItsSeed(Evaluates):
    def evaluate(self, architecture: Any, *, seed: int, fidelity: Any = None) -> Any:
        return super().evaluate(architecture, seed=int(np.random.default_rng().integers(2**32)))


class Counts(Evaluates):
    calls = 0

    def evaluate(self, architecture: Any, *, seed: int, fidelity: Any = None) -> Any:
        self.calls += seed == 8
        return Evaluation(sound(architecture) + self.calls)


class GlobalEvaluator(Evaluates):
    def evaluate(self, architecture: Any, *, seed: int, fidelity: Any = None) -> Any:
        np.random.seed(seed)  # noqa: NPY002
        return Evaluation(np.random.random())  # noqa: NPY002


class Infinite(Evaluates):
    def evaluate(self, architecture: Any, *, seed: int, fidelity: Any = None) -> Any:
        return Evaluation(float("inf"))


class Undescribed(Evaluates):
    def describe(self) -> dict[str, Any]:
        return {"evaluator": self}


class ReturnsFloats(Evaluates):
    def evaluate(self, architecture: Any, *, seed: int, fidelity: Any = None) -> Any:
        return 0.5


class AlwaysFails(Evaluates):
    def evaluate(self, architecture: Any, *, seed: int, fidelity: Any = None) -> Any:
        return Evaluation.failure("failed", "no GPU")


class BreaksAfterAFailure(Evaluates):
    failed = 0

    def evaluate(self, architecture: Any, *, seed: int, fidelity: Any = None) -> Any:
        if architecture.space != "bits":
            self.failed = 1
            raise InputError("not mine")
        return Evaluation(sound(architecture) + self.failed)


class SilentFailure(Evaluates):
    def evaluate(self, architecture: Any, *, seed: int, fidelity: Any = None) -> Any:
        if architecture.space != "bits":
            return Evaluation.failure("failed", "")
        return super().evaluate(architecture, seed=seed)


def test_nothing_is_found_in_a_sound_evaluator(broken: Any, bits: Any) -> None:
    assert broken(evaluator_checks(Evaluates(), bits)) == {}
    with pytest.warns(CheckSkippedWarning, match="another_process_agrees was skipped: it cannot"):
        check_evaluator(lambda _: 1.0, bits)


@pytest.mark.parametrize(
    ("evaluator", "check"),
    [
        (IgnoresItsSeed, "the_seed_decides"),
        (GlobalEvaluator, "the_seed_decides"),
        (Counts, "the_order_does_not_matter"),
        (Infinite, "successes_are_finite"),
        (Undescribed, "description_is_plain"),
        (ReturnsFloats, "an_evaluation_is_returned"),
        (AlwaysFails, "something_succeeds"),
        (BreaksAfterAFailure, "failures_are_evaluations"),
        (SilentFailure, "failures_are_evaluations"),
    ],
)
def test_faults_of_evaluators_are_found(
    assert_found: Any, bits: Any, evaluator: Any, check: str
) -> None:
    checks = [c for c in evaluator_checks(evaluator(), bits) if "another_process" not in c.name]
    assert_found(checks, check)
