"""The promises of an evaluator."""

from __future__ import annotations

import json
import math
import numbers
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from weaknas.evaluators import Evaluation, Evaluator, as_evaluator, evaluate_safely
from weaknas.spaces import Architecture, SearchSpace
from weaknas.testing._check import (
    Check,
    global_random_state_untouched,
    name_of,
    promises,
    require,
    run_all,
)
from weaknas.testing._process import call_in_new_process


def check_evaluator(evaluator: Any, space: SearchSpace, *, queries: int = 6) -> None:
    """Check every promise of an evaluator.

    Parameters
    ----------
    evaluator : Evaluator or callable
    space : SearchSpace
        Architectures that it can evaluate are drawn from it.
    queries : int
        How many different architectures are evaluated; each several times.

    Raises
    ------
    AssertionError
        With the first promise that is broken.
    """
    run_all(evaluator_checks(evaluator, space, queries=queries))


def evaluator_checks(evaluator: Any, space: SearchSpace, *, queries: int = 6) -> list[Check]:
    """Return the checks of `check_evaluator` one by one, for ``pytest.mark.parametrize``."""
    return promises(
        f"the evaluator {name_of(evaluator)}", _CHECKS, _Case(evaluator, space, queries)
    )


class _Case:
    def __init__(self, evaluator: Any, space: SearchSpace, queries: int) -> None:
        self.evaluator: Evaluator = as_evaluator(evaluator)
        self.space, self.queries = space, queries

    @cached_property
    def architectures(self) -> list[Architecture]:
        """What is evaluated."""
        drawn = self.space.sample(self.queries, np.random.default_rng(0))
        return self.space.architectures(drawn)

    @cached_property
    def results(self) -> list[Evaluation]:
        """Their evaluations with seed 7."""
        return evaluations(self.evaluator, self.architectures, 7)


def evaluations(
    evaluator: Evaluator, architectures: list[Architecture], seed: int
) -> list[Evaluation]:
    """Evaluate one after the other, in order."""
    return [evaluator.evaluate(item, seed=seed) for item in architectures]


def check_an_evaluation_is_returned(case: _Case) -> None:
    """`evaluate` returns an `Evaluation` whose score and metrics are numbers."""
    for result in case.results:
        require(isinstance(result, Evaluation), f"a {type(result).__name__} is returned")
        for name, value in {"score": result.score, "cost": result.cost, **result.metrics}.items():
            require(isinstance(value, numbers.Real), f"{name} is {value!r}")


def check_successes_are_finite(case: _Case) -> None:
    """An evaluation whose status is ok has a finite score and a cost that is not negative."""
    for architecture, result in zip(case.architectures, case.results, strict=True):
        if result.is_ok:
            require(math.isfinite(result.score), f"{architecture} has the score {result.score}")
            require(result.cost >= 0, f"{architecture} costs {result.cost}")


def check_something_succeeds(case: _Case) -> None:
    """Not every evaluation fails."""
    message = case.results[0].message
    require(any(result.is_ok for result in case.results), f"all failed, the first with {message!r}")


def check_the_seed_decides(case: _Case) -> None:
    """The same architecture and seed give the same evaluation, without global random state."""
    with global_random_state_untouched():
        again = evaluations(case.evaluator, case.architectures, 7)
    _require_equal(case, again, "the second time")


def check_the_order_does_not_matter(case: _Case) -> None:
    """An evaluation does not depend on what was evaluated before, nor with which seed."""
    evaluations(case.evaluator, case.architectures[:2], 8)
    backwards = evaluations(case.evaluator, case.architectures[::-1], 7)[::-1]
    _require_equal(case, backwards, "in another order")


def check_another_process_agrees(case: _Case) -> None:
    """An evaluator can be sent to another process and gives the same evaluations there."""
    there = call_in_new_process(evaluations, case.evaluator, case.architectures, 7)
    _require_equal(case, there, "in another process")


def check_failures_are_evaluations(case: _Case) -> None:
    """What cannot be evaluated becomes a failed evaluation with a message, and stops nothing."""
    foreign = Architecture("no such space", (0,), "0", "no such architecture")
    failed = evaluate_safely(case.evaluator, foreign, 0)
    require(failed.is_ok or failed.message, f"{failed} says nothing of what went wrong")
    require(failed.is_ok or math.isnan(failed.score), f"a failure has the score {failed.score}")
    after = evaluations(case.evaluator, case.architectures, 7)
    _require_equal(case, after, "after a failure")


def check_description_is_plain(case: _Case) -> None:
    """`describe` returns plain JSON types."""
    description = case.evaluator.describe()
    require(json.loads(json.dumps(description)) == description, f"JSON changes {description}")


def _require_equal(case: _Case, others: list[Evaluation], when: str) -> None:
    for architecture, one, other in zip(case.architectures, case.results, others, strict=True):
        # The cost is measured time, where it is not from a table.
        same = one.status == other.status and (
            one.score == other.score or (math.isnan(one.score) and math.isnan(other.score))
        )
        require(same, f"{architecture} has the score {one.score}, {when} {other.score}")


_CHECKS: tuple[Callable[[_Case], None], ...] = (
    check_an_evaluation_is_returned,
    check_successes_are_finite,
    check_something_succeeds,
    check_the_seed_decides,
    check_the_order_does_not_matter,
    check_another_process_agrees,
    check_failures_are_evaluations,
    check_description_is_plain,
)
