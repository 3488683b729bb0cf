"""Faults that are planted in predictors are found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge

from weaknas.testing import (
    check_predictor,
    predictor_checks,
)


class Sound(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Ridge regression with the residual spread as standard deviation; its subclasses err."""

    def __init__(self, alpha: float = 1.0, random_state: Any = None) -> None:
        self.alpha = alpha
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Any:
        self.model_ = Ridge(alpha=self.alpha).fit(X, y)
        self.spread_ = float(np.std(y - self.model_.predict(X)))
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        mean = self.model_.predict(X)
        return (mean, np.full(len(mean), self.spread_)) if return_std else mean


class NegativeDeviation(Sound):
    def predict(self, X: Any, return_std: bool = False) -> Any:
        mean = super().predict(X)
        return (mean, mean - mean.max()) if return_std else mean


class ColumnOfPredictions(Sound):
    def predict(self, X: Any, return_std: bool = False) -> Any:
        mean = super().predict(X)
        return (mean[:, None], mean[:, None]) if return_std else mean[:, None]


class RandomPredictor(Sound):
    def predict(self, X: Any, return_std: bool = False) -> Any:
        mean = super().predict(X) + 0.1 * np.random.default_rng().random(len(X))
        return (mean, np.abs(mean)) if return_std else mean


class GlobalPredictor(Sound):
    def fit(self, X: Any, y: Any) -> Any:
        np.random.random()  # noqa: NPY002
        return super().fit(X, y)


class ScalesInPlace(Sound):
    def fit(self, X: Any, y: Any) -> Any:
        X -= X.mean(axis=0)
        return super().fit(X, y)


class NeedsManyRows(Sound):
    def fit(self, X: Any, y: Any) -> Any:
        if len(X) < 5:
            raise ValueError("too few")
        return super().fit(X, y)


class DividesByTheSpread(Sound):
    def fit(self, X: Any, y: Any) -> Any:
        self.scale_ = float(np.std(y))
        with np.errstate(all="ignore"):
            return super().fit(X, np.nan_to_num((y - y.mean()) / self.scale_))

    def predict(self, X: Any, return_std: bool = False) -> Any:
        mean = super().predict(X) * self.scale_
        return (mean, np.abs(mean)) if return_std else mean


class Remembers(Sound):
    def fit(self, X: Any, y: Any) -> Any:
        seen = getattr(self, "seen_", [])
        self.seen_ = [*seen, (X, y)]
        X, y = (np.concatenate(parts) for parts in zip(*self.seen_, strict=True))
        return super().fit(X, y)


class LearnsNothing(Sound):
    def predict(self, X: Any, return_std: bool = False) -> Any:
        mean = -super().predict(X)
        return (mean, np.abs(mean)) if return_std else mean


class StandardizesTheBatch(Sound):
    def predict(self, X: Any, return_std: bool = False) -> Any:
        mean = super().predict(X - X.mean(axis=0))
        return (mean, np.abs(mean)) if return_std else mean


class ReturnsNothing(Sound):
    def fit(self, X: Any, y: Any) -> Any:
        super().fit(X, y)


class ChangesParameters(Sound):
    def set_params(self, **params: Any) -> Any:
        return super().set_params(**(params | {"alpha": 10.0}))


class KeepsAGenerator(Sound):
    def fit(self, X: Any, y: Any) -> Any:
        self.rows_ = (row for row in X)
        return super().fit(X, y)


class SingleOnly(Sound):
    def predict(self, X: Any, return_std: bool = False) -> Any:
        mean = super().predict(X) * (1.0 if X.dtype == np.float32 else 2.0)
        return (mean, np.abs(mean)) if return_std else mean


def test_nothing_is_found_in_a_sound_predictor() -> None:
    check_predictor(Sound())


@pytest.mark.parametrize(
    ("predictor", "check"),
    [
        (NegativeDeviation, "standard_deviation_is_not_negative"),
        (ColumnOfPredictions, "predictions_are_finite_numbers"),
        (RandomPredictor, "fit_is_seeded"),
        (GlobalPredictor, "fit_is_seeded"),
        (ScalesInPlace, "inputs_are_not_modified"),
        (NeedsManyRows, "two_rows_are_enough"),
        (DividesByTheSpread, "constant_targets_are_predicted"),
        (Remembers, "fit_forgets"),
        (LearnsNothing, "something_is_learned"),
        (StandardizesTheBatch, "a_row_is_predicted_by_itself"),
        (ReturnsNothing, "fit_returns_itself"),
        (ChangesParameters, "parameters_can_be_set"),
        (KeepsAGenerator, "pickle_keeps_the_predictor"),
        (SingleOnly, "both_precisions_are_accepted"),
    ],
)
def test_faults_of_predictors_are_found(assert_found: Any, predictor: Any, check: str) -> None:
    assert_found(predictor_checks(predictor()), check)
