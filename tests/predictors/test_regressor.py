"""What comes from a regressor is one finite number a row, wherever predictions enter."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import LinearRegression
from xgboost import XGBRegressor

import weaknas
from weaknas.components import _BOUNDS, fresh_predictor
from weaknas.errors import InputError, MissingDependencyError
from weaknas.predictors.combination import BestOfRound, Stacking, WeightedEnsemble
from weaknas.predictors.open_model import OpenModel, for_any
from weaknas.predictors.pool import PoolModel, for_pool
from weaknas.predictors.regressor import predict, predict_mean
from weaknas.predictors.self_training import SelfTraining
from weaknas.spaces import ChoiceSpace

optuna.logging.set_verbosity(optuna.logging.ERROR)

CELLS = weaknas.get_space("nasbench201")
CHAIN = ChoiceSpace({f"layer{i}": ["skip", "conv3", "conv5", "pool"] for i in range(25)})
X = np.random.default_rng(0).random((60, 4)).astype(np.float32)
Y = X @ np.arange(4.0)


class Answering(RegressorMixin, BaseEstimator):
    """Predicts what it is told to, as a function of the number of rows."""

    def __init__(self, answer):
        self.answer = answer

    def fit(self, X, y):
        return self

    def predict(self, X):
        return self.answer(len(X))


class AnsweringBoth(Answering):
    """The same with a standard deviation."""

    def predict(self, X, return_std=False):
        return self.answer(len(X)) if return_std else self.answer(len(X))[0]


class MeanAlone(Answering):
    """Takes ``return_std`` and ignores it."""

    def predict(self, X, return_std=False):
        return self.answer(len(X))


def nan_at_the_end(n):
    return np.append(np.arange(n - 1.0), np.nan)


def refused(n):
    raise ValueError("no such column")


WRONG_MEANS = {
    "nan": (Answering(nan_at_the_end), r"predicted a score of nan for 1 of \d+ rows"),
    "infinity": (Answering(lambda n: np.full(n, -np.inf)), r"a score of -inf for (\d+) of \1 rows"),
    "too few": (Answering(lambda n: np.zeros(n - 1)), r"of shape \(\d+,\) for \d+ rows; one score"),
    "one for all": (Answering(lambda n: 3.5), r"of shape \(\) for \d+ rows"),
    "two columns": (Answering(lambda n: np.zeros((n, 2))), r"of shape \(\d+, 2\)"),
    "words": (Answering(lambda n: ["good"] * n), "predicted no numbers, but"),
    "complex numbers": (Answering(lambda n: np.zeros(n) + 1j), "predicted no numbers, but"),
    "times": (Answering(lambda n: np.zeros(n, dtype="m8[s]")), "predicted no numbers, but"),
    "texts of numbers": (Answering(lambda n: ["1"] * n), "predicted no numbers, but"),
    "nothing": (Answering(lambda n: None), "Answering predicted"),
    "refusal": (Answering(refused), "Answering cannot predict: no such column"),
}
WRONG_DEVIATIONS = {
    "nan deviation": (
        AnsweringBoth(lambda n: (np.zeros(n), np.full(n, np.nan))),
        "predicted a standard deviation of nan",
    ),
    "negative deviation": (
        AnsweringBoth(lambda n: (np.zeros(n), np.full(n, -0.5))),
        "a standard deviation of -0.5; 0 or more",
    ),
    "few deviations": (
        AnsweringBoth(lambda n: (np.zeros(n), np.zeros(3))),
        r"of shape \(3,\) for \d+ rows; one standard deviation",
    ),
    "mean alone": (
        MeanAlone(np.zeros),
        "ndarray for return_std=True; a pair of mean and standard deviation",
    ),
}
WRONG = WRONG_MEANS | WRONG_DEVIATIONS


def wrong(cases):
    return pytest.mark.parametrize(("predictor", "message"), cases.values(), ids=list(cases))


@wrong(WRONG)
@pytest.mark.parametrize("space", [CELLS, CHAIN], ids=["listed", "evolved"])
def test_a_search_names_the_predictor_and_what_it_returned(space, predictor, message):
    search = weaknas.WeakNAS(space, predictor=predictor, encoder="one-hot", seed=0)
    with pytest.raises(InputError, match=message) as caught:
        weaknas.run(search, lambda a: float(sum(a.genotype)), budget=20)
    assert type(predictor).__name__ in str(caught.value)
    assert "\n" not in str(caught.value)


@wrong(WRONG_MEANS)
@pytest.mark.parametrize("kind", [WeightedEnsemble, Stacking, BestOfRound])
def test_members_that_are_weighed_are_named(kind, predictor, message):
    rows, combined = np.arange(30), kind([("a", LinearRegression()), ("b", predictor)])
    with pytest.raises(InputError, match=message):
        for_pool(combined, X).fit(rows, Y[rows])
    with pytest.raises(InputError, match=message):
        combined.fit(X, Y)


@wrong(WRONG)
def test_members_of_combinations_are_named(predictor, message):
    rows = np.arange(5)  # too few to be weighed: all count
    combined = WeightedEnsemble([("a", LinearRegression()), ("b", predictor)])
    model = for_pool(combined, X)
    model.fit(rows, Y[rows])
    with pytest.raises(InputError, match=message):
        model.predict()
    combined.fit(X[rows], Y[rows])
    with pytest.raises(InputError, match=message):
        combined.predict(X, return_std=True)


@wrong(WRONG_MEANS)
def test_the_teacher_of_self_training_is_named(predictor, message):
    model = for_pool(SelfTraining(predictor, unlabelled=10), X)
    with pytest.raises(InputError, match=message):
        model.fit(np.arange(30), Y[:30])


@wrong(WRONG)
def test_the_estimator_of_self_training_is_named(predictor, message):
    fitted = SelfTraining(predictor).fit(X, Y)
    with pytest.raises(InputError, match=message):
        fitted.predict(X, return_std=True)


@wrong(WRONG)
def test_the_predictor_of_a_study_is_named(predictor, message):
    def objective(trial):
        return sum(trial.suggest_int(name, 0, 9) for name in "abcd")

    sampler = weaknas.WeakNASSampler(predictor=predictor, seed=0)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    with pytest.raises(InputError, match=message):
        study.optimize(objective, n_trials=20)


class OwnModels(LinearRegression):
    """A predictor whose models of a pool and of any candidates are its own."""

    def for_pool(self, features):
        class Model(PoolModel):
            def fit(self, rows, targets, counts=None):
                pass

            def predict(self):
                return nan_at_the_end(len(features)), np.zeros(len(features))

        return Model()

    def for_any(self, reference):
        class Model(OpenModel):
            def fit(self, features, targets, counts=None):
                pass

            def predict(self, features):
                return nan_at_the_end(len(features)), np.zeros(len(features))

        return Model()


@pytest.mark.parametrize("space", [CELLS, CHAIN], ids=["listed", "evolved"])
def test_models_of_others_are_looked_at_too(space):
    search = weaknas.WeakNAS(space, predictor=OwnModels(), encoder="one-hot", seed=0)
    with pytest.raises(InputError, match="OwnModels predicted a score of nan for 1 of"):
        weaknas.run(search, lambda a: float(sum(a.genotype)), budget=20)


def test_what_is_right_passes_as_it_is():
    linear = LinearRegression().fit(X, Y)
    np.testing.assert_array_equal(predict_mean(linear, X), linear.predict(X))
    mean, std = predict(linear, X)
    assert (std == 0).all()
    assert mean.shape == std.shape == (60,)
    column = Answering(lambda n: np.ones((n, 1), dtype=np.float32))
    assert predict(column, X)[0].shape == (60,)
    assert for_any(column, X).predict(X[:0])[0].shape == (0,)


# -- how much it makes --------------------------------------------------------------------


@pytest.mark.parametrize("name", weaknas.list_predictors())
def test_no_more_is_made_than_a_machine_can(name):
    """Trees, members, steps, ...: a number that never ends is refused before it begins."""
    try:
        parameters = weaknas.get_predictor(name).get_params(deep=False)
    except MissingDependencyError as error:
        pytest.skip(str(error))
    for parameter in set(parameters) & set(_BOUNDS):
        for size in (10**20, -(10**20), 1.5):
            predictor = weaknas.get_predictor(name, **{parameter: size})
            with pytest.raises(InputError, match=f"^{parameter} must be") as caught:
                predictor.fit(X, Y)
            assert "\n" not in str(caught.value)
            with pytest.raises(InputError, match=f"^{parameter} must be"):
                weaknas.WeakNAS(CELLS, predictor=predictor)


def test_nor_by_regressors_of_others_and_those_inside():
    inside = Stacking([("trees", GradientBoostingRegressor(n_estimators=10**20))])
    for predictor in (GradientBoostingRegressor(n_estimators=10**20), inside):
        with pytest.raises(InputError, match="n_estimators must be at most 100,000, not 1000"):
            weaknas.WeakNAS(CELLS, predictor=predictor)
        with pytest.raises(InputError, match="n_estimators must be at most"):
            fresh_predictor(predictor, {}, np.random.default_rng(0))
    weaknas.WeakNAS(CELLS, predictor=XGBRegressor())  # whose numbers are None
