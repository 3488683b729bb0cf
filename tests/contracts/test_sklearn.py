"""Every registered predictor passes the checks of scikit-learn, but for the reasons given here."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import estimator_checks_generator

import weaknas
from weaknas.errors import MissingDependencyError

_BOOTSTRAP = "a row of weight two and two rows are drawn differently by the bootstrap"
#: Fails or not with the processor, so not strictly.
_ROUNDING = "sums of 32 bits differ with the place in the batch, here in the 6th digit"
#: Checks that fail, by predictor, and why that is right.
EXPECTED_FAILURES: dict[str, dict[str, str]] = {
    "gp": {
        "check_non_transformer_estimators_n_iter": "max_iter is of the hyperparameters, not a fit",
        "check_methods_subset_invariance": _ROUNDING,
        "check_methods_sample_order_invariance": _ROUNDING,
    },
    "random-forest": {
        "check_sample_weight_equivalence_on_dense_data": _BOOTSTRAP,
        "check_sample_weight_equivalence_on_sparse_data": _BOOTSTRAP,
    },
}

#: Smaller than the defaults, where the checks would take long.
_SMALL: dict[str, dict[str, Any]] = {
    "extra-trees": {"n_estimators": 20},
    "histogram-boosting": {"n_estimators": 20},
    "mlp": {"hidden": (16,)},
    "random-forest": {"n_estimators": 20},
    "xgboost": {"n_estimators": 20, "members": 2},
    "xgboost-ranking": {"n_estimators": 20, "members": 2},
}


def _cases() -> Iterator[Any]:
    for name in weaknas.list_predictors():
        try:
            predictor = weaknas.get_predictor(name, **_SMALL.get(name, {}))
        except MissingDependencyError as error:
            yield pytest.param(name, None, id=name, marks=pytest.mark.skip(reason=str(error)))
            continue
        reasons = EXPECTED_FAILURES.get(name, {})
        for estimator, check in estimator_checks_generator(predictor, legacy=True):
            called = getattr(check, "func", check).__name__
            marks = []
            if called in reasons:
                reason = reasons[called]
                marks.append(pytest.mark.xfail(reason=reason, strict=reason is not _ROUNDING))
            yield pytest.param(estimator, check, id=f"{name}-{called}", marks=marks)


@pytest.mark.parametrize(("estimator", "check"), list(_cases()))
def test_predictor(estimator: Any, check: Callable[[Any], None]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(clone(estimator))
