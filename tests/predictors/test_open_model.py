"""Predictors for candidates that come and go agree with those of a fixed pool and with sklearn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import BayesianRidge, LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from weaknas.predictors.combination import WeightedEnsemble
from weaknas.predictors.gaussian_process import GaussianProcess
from weaknas.predictors.labels import Repeats
from weaknas.predictors.open_model import OpenPool, PlainOpenModel, for_any
from weaknas.predictors.pool import for_pool
from weaknas.predictors.self_training import SelfTraining

RNG = np.random.default_rng(0)
X = RNG.random((60, 8)).astype(np.float32)
Y = np.sin(3 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.01 * RNG.normal(size=60)
NEW = RNG.random((40, 8)).astype(np.float32)


def gaussian_process(**options):
    return GaussianProcess(groups=[slice(0, 3), slice(3, 8)], **options)


@pytest.mark.parametrize("options", [{}, {"trend": [0, 5]}, {"additive": True}])
def test_it_predicts_as_the_estimator_does(options):
    model = for_any(gaussian_process(**options), X)
    model.fit(X, Y)
    exact = gaussian_process(**options).fit(X, Y)
    mean, std = model.predict(NEW)
    expected, deviation = exact.predict(NEW, return_std=True)
    np.testing.assert_allclose(mean, expected, atol=2e-3)
    np.testing.assert_allclose(std, deviation, atol=2e-3)
    covariance, noise = model.covariance(NEW)
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), std, atol=2e-3)
    np.testing.assert_allclose(covariance, covariance.T, atol=1e-6)
    assert noise == pytest.approx(exact.hyperparameters_.noise * Y.var(), rel=1e-6)


def test_what_is_pending_shrinks_deviations_and_leaves_means():
    model = for_any(gaussian_process(), X)
    model.fit(X, Y)
    mean, std = model.predict(NEW)
    covariance, noise = model.covariance(NEW)
    model.condition(NEW[:3])
    after, shrunk = model.predict(NEW)
    np.testing.assert_allclose(after, mean, atol=1e-5)
    known = np.linalg.inv(covariance[:3, :3] + noise * np.eye(3))
    expected = np.diag(covariance - covariance[:, :3] @ known @ covariance[:3])
    np.testing.assert_allclose(shrunk**2, expected, atol=2e-4)
    assert (shrunk <= std + 1e-4).all()
    model.condition(NEW[:0])
    np.testing.assert_array_equal(model.predict(NEW)[1], shrunk)


def test_hyperparameters_are_fitted_again_as_data_grow(monkeypatch):
    import weaknas.predictors._gp_open as module

    fits, fit = [], module.fit_hyperparameters

    def counted(data, *others, **options):
        fits.append(len(data))
        return fit(data, *others, **options)

    monkeypatch.setattr(module, "fit_hyperparameters", counted)
    model = for_any(gaussian_process(), X)
    for n in (40, 41, 43, 44, 45, 60):
        model.fit(X[:n], Y[:n])
    assert fits == [40, 44, 60]


def test_equal_targets_and_constant_features():
    model = for_any(gaussian_process(), X)
    model.fit(np.ones((4, 8), np.float32), np.full(4, 2.0))
    mean, std = model.predict(NEW)
    np.testing.assert_allclose(mean, 2.0)
    assert np.isfinite(std).all()


@pytest.mark.parametrize("estimator", [BayesianRidge(), RandomForestRegressor(5, random_state=0)])
def test_any_regressor(estimator):
    model = for_any(clone(estimator), X)
    assert isinstance(model, PlainOpenModel)
    model.fit(X, Y)
    mean, std = model.predict(NEW)
    fitted = clone(estimator).fit(X, Y)
    np.testing.assert_allclose(mean, fitted.predict(NEW))
    has_std = isinstance(estimator, BayesianRidge)
    expected = fitted.predict(NEW, return_std=True)[1] if has_std else np.zeros(40)
    np.testing.assert_allclose(std, expected)
    assert model.covariance(NEW) is None


def test_as_a_pool():
    model = for_any(gaussian_process(), X)
    pool = OpenPool(model, NEW)
    pool.fit(np.arange(30), np.arange(30.0))
    other = for_any(gaussian_process(), X)
    other.fit(NEW[:30], np.arange(30.0))
    np.testing.assert_array_equal(pool.predict(), other.predict(NEW))
    pool.condition(np.array([35]))
    other.condition(NEW[35:36])
    np.testing.assert_array_equal(pool.predict(), other.predict(NEW))
    rows = np.array([1, 36])
    np.testing.assert_array_equal(pool.covariance(rows)[0], other.covariance(NEW[rows])[0])


class Unweighted(BayesianRidge):
    """A regressor whose ``fit`` takes no weights."""

    def fit(self, X, y):
        return super().fit(X, y)


@pytest.mark.parametrize(
    "estimator",
    [BayesianRidge(), make_pipeline(StandardScaler(), BayesianRidge()), Unweighted()],
    ids=["regressor", "pipeline", "no weights"],
)
@pytest.mark.parametrize("bind", [for_any, for_pool])
def test_the_number_of_trainings_of_a_label_is_its_weight(estimator, bind):
    rows, counts = np.arange(30), np.arange(30) % 3 + 1.0
    model = bind(clone(estimator), X)
    if bind is for_any:
        model = OpenPool(model, X)
    model.fit(rows, Y[rows], Repeats.counted(counts))
    expected = clone(estimator)
    if isinstance(estimator, Unweighted):
        expected.fit(X[rows], Y[rows])
    elif isinstance(estimator, BayesianRidge):
        expected.fit(X[rows], Y[rows], sample_weight=counts)
    else:
        expected.fit(X[rows], Y[rows], bayesianridge__sample_weight=counts)
    np.testing.assert_allclose(model.predict()[0], expected.predict(X))


@pytest.mark.parametrize(
    "estimator",
    [WeightedEnsemble([("linear", LinearRegression()), ("ridge", BayesianRidge())]),
     SelfTraining(BayesianRidge(), unlabelled=5, random_state=0)],
    ids=["ensemble", "self-training"],
)  # fmt: skip
def test_models_of_models_pass_the_weights_on(estimator):
    rows, counts = np.arange(30), np.where(np.arange(30) < 15, 1.0, 50.0)
    plain, weighted = (for_pool(clone(estimator), X) for _ in range(2))
    plain.fit(rows, Y[rows])
    weighted.fit(rows, Y[rows], Repeats.counted(counts))
    before, after = (np.abs(m.predict()[0][15:30] - Y[15:30]).mean() for m in (plain, weighted))
    assert after < before  # what is known better is fitted more closely
