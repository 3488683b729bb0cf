"""Combinations of predictors: weights, mixtures, pools; self-training."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau
from sklearn.linear_model import LinearRegression
from sklearn.tree import DecisionTreeRegressor

from weaknas.components import fresh_predictor
from weaknas.predictors.combination import BestOfRound, Stacking, WeightedEnsemble
from weaknas.predictors.gaussian_process import GaussianProcess
from weaknas.predictors.linear import BayesianLinear
from weaknas.predictors.pool import for_pool
from weaknas.predictors.self_training import SelfTraining

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 6)).astype(np.float32)
Y = X @ np.array([3.0, 2.0, 1.0, 0.5, 0.0, 0.0]) + RNG.normal(scale=0.5, size=300)
TRAIN, TEST = np.arange(80), np.arange(80, 300)
MEMBERS = [("line", LinearRegression()), ("tree", DecisionTreeRegressor(max_depth=3))]
COMBINATIONS = [WeightedEnsemble, Stacking, BestOfRound]


class Opposite(LinearRegression):
    """Says the opposite of what it has learned."""

    def predict(self, X):
        return -super().predict(X)


@pytest.mark.parametrize("kind", COMBINATIONS)
def test_weights_sum_to_one_and_the_better_member_has_more(kind):
    model = kind(MEMBERS, random_state=0).fit(X[TRAIN], Y[TRAIN])
    assert model.weights_.sum() == pytest.approx(1)
    assert model.weights_[0] > model.weights_[1] >= 0
    expected = sum(
        weight * member.predict(X[TEST])
        for weight, member in zip(model.weights_, model.estimators_, strict=True)
        if weight > 0
    )
    np.testing.assert_allclose(model.predict(X[TEST]), expected, rtol=1e-6)


@pytest.mark.parametrize("kind", COMBINATIONS)
def test_a_member_that_is_wrong_gets_next_to_nothing(kind):
    members = [("wrong", Opposite()), ("line", LinearRegression())]
    model = kind(members, random_state=0).fit(X[TRAIN], Y[TRAIN])
    np.testing.assert_allclose(model.weights_, [0, 1], atol=0.03)


def test_the_best_of_the_round_is_that_member_alone():
    model = BestOfRound(MEMBERS, random_state=0).fit(X[TRAIN], Y[TRAIN])
    alone = LinearRegression().fit(X[TRAIN], Y[TRAIN])
    np.testing.assert_allclose(model.predict(X[TEST]), alone.predict(X[TEST]))
    _mean, std = model.predict(X[TEST], return_std=True)
    assert (std == 0).all()  # one member without a deviation


def test_the_deviation_is_that_of_the_mixture():
    members = [("bayes", BayesianLinear()), ("tree", DecisionTreeRegressor(max_depth=3))]
    model = WeightedEnsemble(members, random_state=0).fit(X[TRAIN], Y[TRAIN])
    mean, std = model.predict(X[TEST[:1]], return_std=True)
    bayes, tree = model.estimators_
    center, spread = bayes.predict(X[TEST[:1]], return_std=True)
    rng = np.random.default_rng(0)
    drawn = np.where(
        rng.random(400_000) < model.weights_[0],
        rng.normal(center, spread, 400_000),
        tree.predict(X[TEST[:1]]),
    )
    assert drawn.mean() == pytest.approx(mean[0], abs=0.01)
    assert drawn.std() == pytest.approx(std[0], rel=0.01)


def test_few_rows_give_equal_weights():
    model = WeightedEnsemble(MEMBERS, random_state=0).fit(X[:4], Y[:4])
    np.testing.assert_array_equal(model.weights_, [0.5, 0.5])


@pytest.mark.parametrize("kind", COMBINATIONS)
def test_on_a_pool_it_predicts_the_same(kind):
    combination = kind(MEMBERS, random_state=0)
    model = for_pool(combination, X)
    model.fit(TRAIN, Y[TRAIN])
    mean, std = model.predict()
    plain, plain_std = combination.fit(X[TRAIN], Y[TRAIN]).predict(X, return_std=True)
    np.testing.assert_allclose(mean, plain, rtol=1e-5)
    np.testing.assert_allclose(std, plain_std, rtol=1e-4, atol=1e-6)


def test_on_a_pool_members_are_weighed_anew_when_the_data_have_grown():
    weighed = []

    class Watched(WeightedEnsemble):
        def _weigh(self, predictions, targets):
            weighed.append(len(targets))
            return super()._weigh(predictions, targets)

    model = for_pool(Watched(MEMBERS, random_state=0), X)
    for count in (20, 22, 24, 25, 27, 40):
        model.fit(np.arange(count), Y[:count])
    assert weighed == [20, 25, 40]


def test_parameters_of_members_are_its_own_and_blocks_are_passed_on():
    model = WeightedEnsemble([("gp", GaussianProcess()), ("tree", DecisionTreeRegressor())])
    assert model.get_params()["tree__max_depth"] is None
    assert model.set_params(tree__max_depth=2).estimators[1][1].max_depth == 2
    groups = [slice(0, 3), slice(3, 6)]
    told = fresh_predictor(model, {"groups": groups, "trend": [1]}, np.random.default_rng(0))
    fitted = told.fit(X[TRAIN], Y[TRAIN])
    assert fitted.estimators_[0].groups == groups
    assert fitted.estimators_[0].trend == [1]
    assert len(fitted.estimators_[0].hyperparameters_.lengths) == 2


@pytest.mark.parametrize("kind", COMBINATIONS)
def test_default_members_rank_a_nonlinear_function(kind):
    target = X[:, 0] * (X[:, 1] > 0) + 0.5 * X[:, 2]
    model = kind(folds=2, random_state=0).fit(X[TRAIN], target[TRAIN])
    assert kendalltau(model.predict(X[TEST]), target[TEST]).statistic > 0.6


class Recorder(LinearRegression):
    """A line that remembers what it was fitted to."""

    fits: list = []  # noqa: RUF012

    def fit(self, X, y):
        Recorder.fits.append((X.copy(), y.copy()))
        return super().fit(X, y)


def test_self_training_fits_to_labels_and_to_its_own_predictions_for_others():
    Recorder.fits.clear()
    model = for_pool(SelfTraining(Recorder(), unlabelled=160, random_state=0), X)
    model.fit(TRAIN, Y[TRAIN])
    (first, labels), (both, targets) = Recorder.fits
    np.testing.assert_array_equal(first, X[TRAIN])
    # 80 labelled rows twice, 160 others once
    np.testing.assert_array_equal(both[:160], np.tile(X[TRAIN], (2, 1)))
    np.testing.assert_array_equal(targets[:160], np.tile(Y[TRAIN], 2))
    others = {row.tobytes() for row in both[160:]}
    assert len(others) == 160
    assert not others & {row.tobytes() for row in X[TRAIN]}
    teacher = LinearRegression().fit(first, labels)
    np.testing.assert_allclose(targets[160:], teacher.predict(both[160:]), rtol=1e-5)


def test_self_training_without_a_pool_is_the_estimator():
    model = SelfTraining(BayesianLinear(), random_state=0).fit(X[TRAIN], Y[TRAIN])
    plain = BayesianLinear().fit(X[TRAIN], Y[TRAIN])
    for ours, theirs in zip(
        model.predict(X[TEST], return_std=True),
        plain.predict(X[TEST], return_std=True),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)
