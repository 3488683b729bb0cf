"""Linear models, kernels, neighbours and the ranker: against definitions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau
from sklearn.linear_model import BayesianRidge
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from weaknas.predictors.kernel_ridge import KernelRidge
from weaknas.predictors.linear import Linear, PairwiseRidge
from weaknas.predictors.nearest_neighbors import NearestNeighbors
from weaknas.predictors.svr import SVR
from weaknas.predictors.xgboost_ranking import XGBoostRanking

RNG = np.random.default_rng(0)
X = RNG.integers(0, 2, size=(200, 10)).astype(np.float32)
Y = 60 + 5 * X[:, 0] + 6 * X[:, 1] * X[:, 2] - 4 * X[:, 3] * X[:, 4]
Y = Y + RNG.normal(scale=0.3, size=len(Y))
TRAIN, TEST = slice(0, 120), slice(120, 200)


def test_pairwise_ridge_is_bayesian_ridge_on_the_products():
    model = PairwiseRidge().fit(X[TRAIN], Y[TRAIN])
    scaler = StandardScaler().fit(X[TRAIN])
    products = PolynomialFeatures(2)
    width = X.shape[1]

    def expand(rows):
        # (1 + x.z / f)^2 = 1 + 2 x.z / f + (sum of products of products) / f^2
        columns = products.fit_transform(scaler.transform(rows))
        degree = products.powers_.sum(axis=1)
        squares = (products.powers_ == 2).any(axis=1)
        weight = np.select([degree == 0, degree == 1, squares], [1.0, 2 / width, 1 / width**2])
        return columns * np.sqrt(np.where(weight > 0, weight, 2 / width**2))

    plain = BayesianRidge().fit(expand(X[TRAIN]), (Y[TRAIN] - Y[TRAIN].mean()) / Y[TRAIN].std())
    expected, std = plain.predict(expand(X[TEST]), return_std=True)
    mean, ours = model.predict(X[TEST], return_std=True)
    np.testing.assert_allclose(mean, expected * Y[TRAIN].std() + Y[TRAIN].mean(), rtol=1e-4)
    np.testing.assert_allclose(ours, std * Y[TRAIN].std(), rtol=0.05)


def test_products_are_learned_by_pairs_and_not_by_columns():
    def error(model):
        return np.abs(model.fit(X[TRAIN], Y[TRAIN]).predict(X[TEST]) - Y[TEST]).mean()

    assert error(PairwiseRidge()) < 0.5
    assert error(Linear()) > 1


def test_neighbours_by_hand():
    model = NearestNeighbors(3).fit([[0.0], [1.0], [3.0], [100.0]], [1.0, 2.0, 4.0, 1000.0])
    mean, std = model.predict([[2.0], [1.0]], return_std=True)
    weights = np.array([1 / 2, 1, 1]) / 2.5  # of the rows 0, 1 and 3
    expected = weights @ [1, 2, 4]
    spread = np.sqrt(weights @ (np.array([1, 2, 4]) - expected) ** 2)
    np.testing.assert_allclose(mean, [expected, 2])
    np.testing.assert_allclose(std, [spread, 0], atol=1e-9)


@pytest.mark.parametrize("model", [SVR(), KernelRidge(), KernelRidge(kernel="rbf"), Linear()])
def test_scale_of_scores_and_of_columns_does_not_matter(model):
    plain = model.fit(X[TRAIN], Y[TRAIN]).predict(X[TEST])
    other = model.fit(50 * X[TRAIN] - 7, 1000 * Y[TRAIN] - 5).predict(50 * X[TEST] - 7)
    np.testing.assert_allclose(other, 1000 * plain - 5, rtol=1e-3)
    assert kendalltau(plain, Y[TEST]).statistic > 0.4


def test_the_ranker_sees_the_order_alone_and_answers_on_the_scale_of_the_scores():
    model = XGBoostRanking(30, members=2, random_state=0)
    plain = model.fit(X[TRAIN], Y[TRAIN]).predict(X[TEST])
    bent = model.fit(X[TRAIN], np.exp(Y[TRAIN] / 10)).predict(X[TEST])
    # one order: what differs is where a member's scores lie on the other scale
    assert kendalltau(plain, bent).statistic > 0.95
    assert kendalltau(plain, Y[TEST]).statistic > 0.7
    assert Y[TRAIN].mean() - 2 < plain.mean() < Y[TRAIN].mean() + 2
    assert 0.5 < plain.std() / Y[TRAIN].std() < 1.5
