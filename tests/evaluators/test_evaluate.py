"""Evaluations that fail, lie or are of the wrong kind become trials, never crashes."""

from __future__ import annotations

import json
import math
import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

import weaknas
from weaknas.errors import DeviceLost, FaultyEvaluator, InputError
from weaknas.evaluators import (
    Evaluation,
    FunctionEvaluator,
    as_evaluator,
    evaluate_safely,
    evaluation_seed,
)
from weaknas.runs.trials import Trial
from weaknas.spaces import ChoiceSpace

SPACE = ChoiceSpace({"a": list("xyz"), "b": [1, 2]})
ONE, OTHER = SPACE.architectures(SPACE.enumerate()[:2])


def evaluate(function):
    return evaluate_safely(as_evaluator(function), ONE, seed=0)


def returns(value):
    return lambda _: value


def raises(error):
    def function(_):
        raise error

    return function


@pytest.mark.parametrize(
    "value", [0.5, 1, True, np.float32(0.5), np.int64(3), np.array(2.0), np.array([2.0])[0]]
)
def test_numbers(value):
    evaluation = evaluate(returns(value))
    assert evaluation == Evaluation(float(value))
    assert type(evaluation.score) is float


@pytest.mark.parametrize(
    ("function", "status", "message"),
    [
        (raises(type("OutOfMemoryError", (RuntimeError,), {})()), "out-of-memory", "OutOfMemory"),
        (raises(RuntimeError("DefaultCPUAllocator: no")), "out-of-memory", "DefaultCPUAllocator"),
        (returns(math.nan), "invalid", "the score is nan"),
        (returns(math.inf), "invalid", "the score is inf"),
        (returns(-1e308), "invalid", "the score is -1e+308, beyond 1e+300"),
        (returns(-math.inf), "invalid", "the score is -inf"),
        (raises(ValueError("line one\nline two")), "failed", "ValueError: line one line two"),
        (raises(MemoryError()), "out-of-memory", "out of memory"),
        (raises(MemoryError("CUDA")), "out-of-memory", "CUDA"),
        (returns(Evaluation(1.0, cost=math.nan)), "invalid", "the cost is nan"),
        (returns(Evaluation(1.0, cost=-2.0)), "invalid", "the cost is -2.0"),
        (returns(Evaluation(None, status="timeout", message="late")), "timeout", "late"),
        (returns(Evaluation.failure("timeout", "60 s", 60.0)), "timeout", "60 s"),
        # a score beside a failure is not one
        (returns(Evaluation(0.9, status="timeout", message="late")), "timeout", "late"),
    ],
)
def test_failures(function, status, message):
    evaluation = evaluate(function)
    assert evaluation.status == status
    assert message in evaluation.message
    assert "\n" not in evaluation.message
    assert not evaluation.is_ok
    assert math.isnan(evaluation.score)
    assert math.isfinite(evaluation.cost)
    json.dumps(Trial(0, 0, ONE, evaluation).to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: 1.0, "too many positional arguments"),
        (lambda architecture, epochs: 1.0, "missing a required argument: 'epochs'"),
        (lambda architecture, *, epochs: 1.0, "missing a required"),
        (lambda seed: 1.0, "multiple values for argument 'seed'"),
    ],
    ids=["none", "two", "keyword", "seed alone"],
)
def test_what_no_architecture_can_be_given_is_refused_before_the_first(function, message):
    with pytest.raises(InputError, match=f"with an architecture alone: .*{message}"):
        weaknas.run(weaknas.get_strategy("random", SPACE), function, 3)


@pytest.mark.parametrize(
    "function",
    [
        lambda architecture, epochs=3: 1.0,
        lambda *anything, **named: 1.0,
        lambda architecture, *, seed: 1.0,
        partial(lambda architecture, epochs: 1.0, epochs=1),
        hash,
        id,
    ],
    ids=range(6),
)
def test_what_can_be_called_with_an_architecture(function):
    assert isinstance(as_evaluator(function), FunctionEvaluator)


def test_the_cost_of_a_failure_is_kept():
    assert evaluate(returns(Evaluation(math.nan, cost=3.0))).cost == 3.0
    assert evaluate(returns(Evaluation.failure("timeout", "", 60.0))).cost == 60.0


def test_interrupts_are_not_failures():
    with pytest.raises(KeyboardInterrupt):
        evaluate(raises(KeyboardInterrupt()))


def test_the_end_of_a_script_is_a_failure():
    """A search would else end with its exit code, without a word."""
    evaluation = evaluate(raises(SystemExit(0)))
    assert (evaluation.status, evaluation.message) == ("failed", "SystemExit: 0")


def test_numbers_of_numpy_become_plain():
    given = Evaluation(
        np.float32(0.5), {"a": np.int32(3), "b": np.nan}, np.float64(2), np.int64(12)
    )
    evaluation = evaluate(returns(given))
    assert evaluation == Evaluation(0.5, {"a": 3.0}, 2.0, 12.0)
    json.dumps(Trial(0, 0, ONE, evaluation).to_dict(), allow_nan=False)


class NotAnEvaluation:
    def evaluate(self, architecture, *, seed, fidelity=None):
        return 0.5

    def describe(self):
        return {}


class Several:
    """Like a tensor of several numbers."""

    ndim = 1

    def __float__(self):
        raise RuntimeError("a Tensor with 3 elements cannot be converted to Scalar")


@pytest.mark.parametrize(
    ("evaluator", "message"),
    [
        (returns(None), "returned None as a score, which is not a number"),
        (returns("good"), "returned 'good' as a score"),
        (returns("0.9"), "returned '0.9' as a score"),
        (returns((0.9, 12.0)), "returned (0.9, 12.0) as a score"),
        (returns({"accuracy": 0.9}), "returned {'accuracy': 0.9} as a score"),
        (returns([0.9]), "returned [0.9] as a score"),
        (returns(1j), "returned 1j as a score"),
        (returns(10**400), "as a score"),
        (returns(np.ones((2, 3))), "returned array([[1., 1...[1., 1., 1.]]) as a score"),
        (returns(Several()), "as a score"),
        (returns(Evaluation((1.0, 2.0))), "returned (1.0, 2.0) as a score"),
        (returns(Evaluation(1.0, cost="long")), "returned 'long' as a cost"),
        (returns(Evaluation(1.0, metrics={"a": "b"})), "returned 'b' as the metric 'a'"),
        (returns(Evaluation(1.0, metrics=None)), "returned None as metrics"),
        (returns(Evaluation(1.0, fidelity="all")), "returned 'all' as a fidelity"),
        (NotAnEvaluation(), "returned 0.5, where an Evaluation is wanted"),
    ],
)
def test_what_no_architecture_is_to_blame_for_ends_the_run(evaluator, message, tmp_path):
    paid = []
    with pytest.raises(FaultyEvaluator, match=re.escape(message)) as caught:
        weaknas.run(weaknas.WeakNAS(SPACE), evaluator, 5, output=tmp_path, progress=paid.append)
    assert "\n" not in str(caught.value)
    assert paid == []
    with ThreadPoolExecutor(2) as executor, pytest.raises(FaultyEvaluator):
        weaknas.run(weaknas.WeakNAS(SPACE), evaluator, 5, executor=executor)


def test_it_may_come_late_and_the_run_continue(tmp_path):
    def objective(architecture):
        return None if architecture == OTHER and is_faulty else 1.0

    is_faulty = True
    with pytest.raises(FaultyEvaluator):
        weaknas.run(weaknas.WeakNAS(SPACE), objective, 6, output=tmp_path)
    is_faulty = False
    assert weaknas.run(weaknas.WeakNAS(SPACE), objective, 6, output=tmp_path).evaluated < 6


def test_a_device_that_fails_on_reading_the_score_is_not_the_evaluators_fault():
    class Lost(Several):
        ndim = 0

        def __float__(self):
            raise RuntimeError("CUDA error: an illegal memory access")

    with pytest.raises(DeviceLost):
        evaluate_safely(as_evaluator(returns(Lost())), ONE, seed=0)


@pytest.mark.parametrize("value", [3, None, "name", [1]])
def test_what_is_no_evaluator(value):
    with pytest.raises(InputError, match="is neither"):
        as_evaluator(value)


def test_functions_are_described_by_name():
    def train(architecture, epochs=1):
        return 0.0

    assert as_evaluator(train).describe()["function"].endswith("train")
    bound = as_evaluator(partial(train, epochs=2)).describe()
    assert bound == as_evaluator(train).describe() | {"arguments": {"epochs": 2}}
    benchmark = weaknas.TabularBenchmark(
        SPACE, {"genotype": SPACE.enumerate(), "score": np.arange(6)}
    )
    assert as_evaluator(benchmark) is benchmark
    assert isinstance(as_evaluator(train), FunctionEvaluator)


def test_evaluation_seeds_depend_on_run_and_architecture_alone():
    assert evaluation_seed(0, ONE) == evaluation_seed(0, ONE) == 8224978028083428068
    assert len({evaluation_seed(s, a) for s in range(100) for a in (ONE, OTHER)}) == 200
    assert all(0 <= evaluation_seed(s, ONE) < 2**63 for s in range(100))


def test_isomorphic_architectures_have_one_seed():
    cells = weaknas.get_space("nasbench201").architectures(
        np.array([[3, 0, 0, 0, 1, 0], [3, 4, 0, 0, 1, 0], [0, 3, 0, 0, 0, 1]])
    )
    assert len({evaluation_seed(7, cell) for cell in cells}) == 1
