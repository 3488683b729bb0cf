"""Every registered predictor keeps the promises of `weaknas.testing` and of scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import estimator_checks_generator

import weaknas
from weaknas.errors import MissingDependencyError
from weaknas.predictors.extra_trees import ExtraTrees
from weaknas.predictors.linear import Linear
from weaknas.testing import predictor_checks

_BOOTSTRAP = "a row of weight two and two rows are drawn differently by the bootstrap"
_MEAN = "the label of a row of weight two is a mean; two equal rows tell that there is no noise"
#: Checks of scikit-learn that fail, by predictor, and why that is right.
EXPECTED_FAILURES: dict[str, dict[str, str]] = {
    "gp": {
        "check_non_transformer_estimators_n_iter": "max_iter is of the hyperparameters, not a fit",
        "check_sample_weight_equivalence_on_dense_data": _MEAN,
    },
    "random-forest": {
        "check_sample_weight_equivalence_on_dense_data": _BOOTSTRAP,
        "check_sample_weight_equivalence_on_sparse_data": _BOOTSTRAP,
    },
}

_MEMBERS = [("linear", Linear()), ("trees", ExtraTrees(20))]
#: Smaller than the defaults, where the checks would take minutes; those of scikit-learn are slow.
_SMALL: dict[str, dict[str, Any]] = {
    "auto": {"estimators": _MEMBERS, "folds": 2},
    "bayesian-last-layer": {"hidden": (16,), "max_iter": 100, "members": 2},
    "deep-ensemble": {"steps": 60, "members": 2},
    "ensemble": {"estimators": _MEMBERS, "folds": 2},
    "extra-trees": {"n_estimators": 20},
    "gcn": {"steps": 60, "members": 2},
    "graph-ensemble": {"estimators": _MEMBERS, "folds": 2},
    "graph-transformer": {"steps": 60, "members": 2},
    "histogram-boosting": {"n_estimators": 20},
    "mlp": {"hidden": (16,), "max_iter": 150, "members": 2},
    "pairwise-relation": {"steps": 60, "members": 2},
    "random-forest": {"n_estimators": 20},
    "self-training": {"estimator": ExtraTrees(20)},
    "stacking": {"estimators": _MEMBERS, "folds": 2},
    "xgboost": {"n_estimators": 30, "members": 2},
    "xgboost-ranking": {"n_estimators": 30, "members": 2},
}


def _cases(checks: Callable[[str, Any], Iterator[Any]]) -> Iterator[Any]:
    for name in weaknas.list_predictors():
        try:
            predictor = weaknas.get_predictor(name, **_SMALL.get(name, {}))
        except MissingDependencyError as error:
            yield pytest.param(None, id=name, marks=pytest.mark.skip(reason=str(error)))
            continue
        yield from checks(name, predictor)


def _ours(name: str, predictor: Any) -> Iterator[Any]:
    for check in predictor_checks(predictor):
        yield pytest.param(check, id=f"{name}-{check}")


def _of_scikit_learn(name: str, predictor: Any) -> Iterator[Any]:
    reasons = EXPECTED_FAILURES.get(name, {})
    for estimator, check in estimator_checks_generator(predictor, legacy=True):
        called = getattr(check, "func", check).__name__
        marks: list[Any] = [pytest.mark.slow] if name in _SMALL else []
        if called in reasons:
            marks.append(pytest.mark.xfail(reason=reasons[called], strict=True))
        yield pytest.param((estimator, check), id=f"{name}-{called}", marks=marks)


@pytest.mark.parametrize("check", list(_cases(_ours)))
def test_promises(check: Any) -> None:
    check()


@pytest.mark.parametrize("case", list(_cases(_of_scikit_learn)))
def test_scikit_learn(case: Any) -> None:
    estimator, check = case
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(clone(estimator))
