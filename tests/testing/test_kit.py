"""The kit itself: checks in another process, names, isomorphism."""

from __future__ import annotations

import itertools
import sys
import types
import unittest
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import BayesianRidge

from weaknas.encoders import OneHotEncoder
from weaknas.spaces import GraphBatch
from weaknas.spaces.nasbench201 import NASBench201
from weaknas.strategies import RandomSearch
from weaknas.testing import (
    encoder_checks,
    evaluator_checks,
    predictor_checks,
    space_checks,
    strategy_checks,
)


@pytest.fixture(name="importable")
def _importable(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module that another process can import too: it inherits sys.path."""
    (tmp_path / "planted.py").write_text(
        """
import os
import numpy as np
from weaknas.evaluators import Evaluation
from weaknas.strategies import RandomSearch

class UsesHashes(RandomSearch):
    def __init__(self, space, *, seed=0):
        super().__init__(space, seed=seed)
        self._rng = np.random.default_rng(hash(f"seed {seed}") % 2**32)

class UsesTheProcess:
    def evaluate(self, architecture, *, seed, fidelity=None):
        return Evaluation(float(os.getpid()))

    def describe(self):
        return {}

class StaysAtHome(UsesTheProcess):
    def evaluate(self, architecture, *, seed, fidelity=None):
        return Evaluation(float(self.here))

    def __getstate__(self):
        return {"there": 1.0}
"""
    )
    monkeypatch.syspath_prepend(tmp_path)
    import planted  # type: ignore[import-not-found]

    return planted


def test_differences_between_processes_are_found(
    assert_found: Any, bits: Any, importable: Any
) -> None:
    name = "proposals_are_the_same_in_another_process"
    checks = [c for c in strategy_checks(importable.UsesHashes, bits) if c.name == name]
    assert_found(checks, name)
    home = importable.StaysAtHome()
    home.here = 1
    for evaluator in (importable.UsesTheProcess(), home):
        checks = [
            c for c in evaluator_checks(evaluator, bits) if c.name == "another_process_agrees"
        ]
        assert_found(checks, "another_process_agrees")


def test_what_cannot_be_sent_is_skipped_with_a_reason(
    bits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = type("Local", (RandomSearch,), {"__module__": "only_here"})
    module = types.ModuleType("only_here")
    module.Local = local  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "only_here", module)
    for factory, reason in (
        (lambda space, seed: RandomSearch(space, seed=seed), "cannot be sent to another process"),
        (local, "another process cannot import .*only_here"),
    ):
        check = next(c for c in strategy_checks(factory, bits) if "another_process" in c.name)
        with pytest.raises(unittest.SkipTest, match=reason):
            check()


def test_every_check_has_a_promise_and_a_name_of_its_own(bits: Any) -> None:
    kits = (
        space_checks(NASBench201(), reference=str),
        encoder_checks(OneHotEncoder, bits),
        predictor_checks(BayesianRidge()),
        strategy_checks(RandomSearch),
        evaluator_checks(len, bits),
    )
    for checks in kits:
        names = [check.name for check in checks]
        assert len(set(names)) == len(names)
        assert all(check.promise.endswith(".") for check in checks)


def test_isomorphism_classes_agree_with_all_permutations() -> None:
    from weaknas.testing._isomorphism import isomorphism_classes

    rng = np.random.default_rng(0)
    adjacency = np.triu(rng.random((150, 5, 5)) < 0.4, k=1)
    operations = rng.integers(2, size=(150, 5)).astype(np.int16)
    classes = isomorphism_classes(GraphBatch(adjacency, operations, ("a", "b")))
    forms = [
        min(
            (operations[i][list(p)].tobytes(), adjacency[i][np.ix_(p, p)].tobytes())
            for p in itertools.permutations(range(5))
        )
        for i in range(150)
    ]
    same_form = np.array([[a == b for b in forms] for a in forms])
    assert np.array_equal(classes[:, None] == classes[None, :], same_form)
    assert same_form.sum() > 150
