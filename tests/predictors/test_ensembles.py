"""Forests, boosted trees, networks and plain regressors: means, spreads and seeds."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import BayesianRidge, LinearRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import weaknas
from weaknas.errors import MissingDependencyError
from weaknas.predictors import pool
from weaknas.predictors.linear import BayesianLinear
from weaknas.predictors.mlp import MLP
from weaknas.predictors.random_forest import RandomForest
from weaknas.predictors.regressor import has_std
from weaknas.predictors.xgboost import XGBoost

RNG = np.random.default_rng(0)
X = RNG.integers(0, 2, size=(240, 12)).astype(np.float32)
Y = 60 + 5 * X[:, 0] + 3 * X[:, 1] * X[:, 2] + RNG.normal(scale=0.3, size=240)
TRAIN, TEST = slice(0, 160), slice(160, 240)
SMALL = {
    "random-forest": RandomForest(20, random_state=0),
    "xgboost": XGBoost(30, members=4, random_state=0),
    "mlp": MLP((16,), max_iter=150, members=3, random_state=0),
}


@pytest.mark.parametrize("name", SMALL)
def test_it_learns_and_its_spread_is_that_of_its_members(name):
    model = clone(SMALL[name]).fit(X[TRAIN], Y[TRAIN])
    mean, std = model.predict(X[TEST], return_std=True)
    each = np.stack([member.predict(X[TEST]) for member in model.estimators_])
    assert len(each) > 1
    np.testing.assert_allclose(mean, each.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(std, each.std(axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model.predict(X[TEST]), mean, rtol=1e-6)
    assert (std > 0).any()
    assert np.corrcoef(mean, Y[TEST])[0, 1] > 0.9
    assert abs(mean.mean() - Y[TEST].mean()) < 1


@pytest.mark.parametrize("name", SMALL)
def test_the_seed_decides(name):
    def predict(seed):
        model = clone(SMALL[name]).set_params(random_state=seed)
        return model.fit(X[TRAIN], Y[TRAIN]).predict(X[TEST])

    np.testing.assert_array_equal(predict(1), predict(1))
    assert (predict(1) != predict(2)).any()


@pytest.mark.parametrize("model", [XGBoost(30, members=1), MLP((16,), max_iter=50, members=1)])
def test_a_single_member_sees_all_rows_and_has_no_spread(model):
    _, std = clone(model).set_params(random_state=0).fit(X, Y).predict(X, return_std=True)
    assert (std == 0).all()


def test_a_single_boosted_model_is_that_of_xgboost():
    from xgboost import XGBRegressor

    ours = XGBoost(25, max_depth=4, learning_rate=0.2, members=1, random_state=0).fit(X, Y)
    plain = XGBRegressor(n_estimators=25, max_depth=4, learning_rate=0.2, n_jobs=1).fit(X, Y)
    np.testing.assert_allclose(ours.predict(X), plain.predict(X), rtol=1e-6)


def test_the_forest_is_that_of_scikit_learn():
    ours = RandomForest(10, max_depth=4, random_state=3).fit(X, Y)
    plain = RandomForestRegressor(10, max_depth=4, random_state=3).fit(X, Y)
    np.testing.assert_array_equal(ours.predict(X), plain.predict(X))


def test_networks_do_not_mind_the_scale_of_the_scores():
    model = MLP((16,), max_iter=80, members=2, random_state=0)
    plain = clone(model).fit(X, Y).predict(X)
    shifted = clone(model).fit(X, 1000 * Y - 5e5).predict(X)
    np.testing.assert_allclose(shifted, 1000 * plain - 5e5, rtol=1e-3)


def test_bayesian_linear_regression():
    model = BayesianLinear().fit(X[TRAIN], Y[TRAIN])
    mean, std = model.predict(X[TEST], return_std=True)
    plain = make_pipeline(StandardScaler(), BayesianRidge()).fit(X[TRAIN], Y[TRAIN])
    expected, expected_std = plain.predict(X[TEST], return_std=True)
    np.testing.assert_allclose(mean, expected, rtol=1e-5)
    np.testing.assert_allclose(std, expected_std, rtol=1e-3)


@pytest.mark.parametrize("name", weaknas.list_predictors())
def test_names_give_fresh_predictors(name):
    try:
        first, second = weaknas.get_predictor(name), weaknas.get_predictor(name)
    except MissingDependencyError as error:
        pytest.skip(str(error))
    assert first is not second
    assert repr(clone(first)) == repr(first)
    assert has_std(first) == (name not in ["kernel-ridge", "linear", "svr"])


def test_an_unknown_predictor_names_the_closest():
    with pytest.raises(weaknas.InputError, match="'random_forest'; did you mean 'random-forest'"):
        weaknas.get_predictor("random_forest")


# -- on a pool ------------------------------------------------------------------------------

WITH_STD = [
    *SMALL.values(),
    BayesianLinear(),
    GaussianProcessRegressor(alpha=0.1),
    make_pipeline(StandardScaler(), GaussianProcessRegressor(alpha=0.1)),
]
WITHOUT = [LinearRegression(), KNeighborsRegressor(), RandomForestRegressor(5, random_state=0)]


@pytest.mark.parametrize("estimator", [*WITH_STD, *WITHOUT], ids=lambda e: type(e).__name__)
def test_any_regressor_on_a_pool(estimator, monkeypatch):
    monkeypatch.setattr(pool, "_CHUNK", 50)  # several, the last one short
    model = pool.for_pool(clone(estimator), X)
    rows = np.arange(60)[::-1].copy()
    for labels in (Y[rows] + 5, Y[rows]):  # the second fit forgets the first
        model.fit(rows, labels)
        model.condition(np.array([100]))  # which it may ignore
    mean, std = model.predict()
    direct = clone(estimator).fit(X[rows], Y[rows])
    # Where arrays lie in memory changes sums in the last bit, and training makes more of that.
    rtol = 1e-4 if isinstance(estimator, MLP) else 1e-6
    if estimator in WITH_STD:
        expected, expected_std = direct.predict(X, return_std=True)
        np.testing.assert_allclose(std, expected_std, rtol=rtol, atol=1e-9)
    else:
        expected = direct.predict(X)
        assert (std == 0).all()
    np.testing.assert_allclose(mean, expected, rtol=rtol, atol=1e-9)
    assert mean.dtype == std.dtype == np.float64
    assert mean.shape == std.shape == (240,)


def test_targets_of_one_column_are_flattened():
    class Column(LinearRegression):
        def predict(self, features):
            return super().predict(features)[:, None]

    model = pool.for_pool(Column(), X)
    model.fit(np.arange(50), Y[:50])
    assert model.predict()[0].shape == (240,)


def test_whether_there_is_a_deviation_is_read_off_predict():
    for estimator in WITH_STD:
        assert has_std(estimator)
    for estimator in WITHOUT:
        assert not has_std(estimator)
        assert "return_std" not in inspect.signature(estimator.predict).parameters
