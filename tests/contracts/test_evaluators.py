"""The evaluators keep the promises of `weaknas.testing`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import weaknas
from weaknas.errors import InputError
from weaknas.testing import evaluator_checks


def _tabular(labels: Any) -> weaknas.TabularBenchmark:
    space = weaknas.ChoiceSpace({"a": [1, 2, 3], "b": ["x", "y"]})
    scores = np.random.default_rng(0).random((6, 3))
    table = {"genotype": space.enumerate(), "score": scores, "seconds": 60 * scores}
    return weaknas.TabularBenchmark(space, table, cost="seconds", labels=labels)


#: Those that are sent to another process each time, too: seconds of importing for each.
_QUICK = {"table-one-seed", "nasbench201"}


def _cases() -> Iterator[Any]:
    evaluators = {f"table-{labels}": _tabular(labels) for labels in ("one-seed", "mean")}
    for name in weaknas.list_benchmarks():
        try:
            evaluators[name] = weaknas.get_benchmark(name)
        except InputError as error:  # its tables or its package are not here
            yield pytest.param(None, id=name, marks=pytest.mark.skip(reason=str(error)))
    for name, evaluator in evaluators.items():
        for check in evaluator_checks(evaluator, evaluator.space):
            is_slow = str(check) == "another_process_agrees" and name not in _QUICK
            marks = [pytest.mark.slow] * is_slow
            yield pytest.param(check, id=f"{name}-{check}", marks=marks)


@pytest.mark.parametrize("check", list(_cases()))
def test_evaluator(check: Any) -> None:
    check()


def _score(architecture: weaknas.Architecture) -> float:
    return float(sum(architecture.genotype))


@pytest.mark.parametrize("check", evaluator_checks(_score, _tabular("mean").space), ids=str)
def test_callable(check: Any) -> None:
    check()
