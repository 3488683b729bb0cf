"""The promises of a predictor."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats
from sklearn.base import clone

from weaknas.testing._check import (
    Check,
    global_random_state_untouched,
    name_of,
    promises,
    require,
    run_all,
)
from weaknas.testing._evidence import same_values

_TRAIN = 60  # rows that are fitted; the others are predicted


def check_predictor(predictor: Any, features: Any = None, targets: Any = None) -> None:
    """Check every promise of a predictor.

    Parameters
    ----------
    predictor : estimator
        Unfitted; it is cloned and not changed.
    features : array or GraphBatch, optional
        What the predictor sees, 80 rows or more. Default: 12 columns of zeros and ones.
    targets : ndarray, shape (n,), optional
        Something easy to learn from the features. Default: a weighted sum of columns.

    Raises
    ------
    AssertionError
        With the first promise that is broken.
    """
    run_all(predictor_checks(predictor, features, targets))


def predictor_checks(predictor: Any, features: Any = None, targets: Any = None) -> list[Check]:
    """Return the checks of `check_predictor` one by one, for ``pytest.mark.parametrize``."""
    rng = np.random.default_rng(0)
    if features is None:
        features = rng.integers(2, size=(120, 12)).astype(np.float32)
        targets = features @ np.linspace(-1, 2, 12) + 0.01 * rng.standard_normal(120)
    case = _Case(predictor, features, np.asarray(targets, dtype=np.float64))
    return promises(f"the predictor {name_of(predictor)}", _CHECKS, case)


class _Case:
    def __init__(self, predictor: Any, features: Any, targets: npt.NDArray[np.float64]) -> None:
        self.predictor, self.targets = predictor, targets
        self.train, self.rest = features[slice(0, _TRAIN)], features[slice(_TRAIN, None)]

    def fresh(self) -> Any:
        """Return an unfitted clone with fixed seeds."""
        estimator = clone(self.predictor)
        seeds = {n: 0 for n in estimator.get_params() if n.rpartition("__")[2] == "random_state"}
        return estimator.set_params(**seeds) if seeds else estimator

    def fit(self, rows: int = _TRAIN, targets: Any = None) -> Any:
        """Return a clone that was fitted to the first rows."""
        values = self.targets if targets is None else targets
        return self.fresh().fit(self.train[slice(0, rows)], values[:rows])

    @cached_property
    def fitted(self) -> Any:
        """One fitted predictor."""
        return self.fit()

    @property
    def offers_std(self) -> bool:
        """Whether `predict` takes ``return_std``."""
        return "return_std" in inspect.signature(self.predictor.predict).parameters

    def outputs(self, estimator: Any) -> list[npt.NDArray[np.floating[Any]]]:
        """Mean and, where it is offered, standard deviation of the rows that were not fitted."""
        mean = [estimator.predict(self.rest)]
        return mean + (
            [estimator.predict(self.rest, return_std=True)[1]] if self.offers_std else []
        )


def check_parameters_can_be_set(case: _Case) -> None:
    """`set_params` with what `get_params` returned changes nothing."""
    estimator = clone(case.predictor)
    before = estimator.get_params(deep=False)
    estimator.set_params(**before)
    after = estimator.get_params(deep=False)
    require(before.keys() == after.keys(), f"{sorted(before)} become {sorted(after)}")
    changed = [name for name in before if after[name] is not before[name]]
    require(not changed, f"set_params changes {changed}")


def check_fit_returns_itself(case: _Case) -> None:
    """`fit` returns the predictor."""
    estimator = case.fresh()
    require(estimator.fit(case.train, case.targets[:_TRAIN]) is estimator, "something else")


def check_predictions_are_finite_numbers(case: _Case) -> None:
    """`predict` returns one finite number a row, for one row as for many."""
    for mean in case.outputs(case.fitted):
        require(mean.shape == (len(case.rest),), f"the shape is {mean.shape}")
        require(np.issubdtype(mean.dtype, np.floating), f"the type is {mean.dtype}")
        require(np.isfinite(mean).all(), "a number is not finite")
    one = case.fitted.predict(case.rest[slice(0, 1)])
    require(one.shape == (1,), f"one row is predicted with the shape {one.shape}")


def check_standard_deviation_is_not_negative(case: _Case) -> None:
    """Where ``return_std`` is offered, a standard deviation comes that is never negative."""
    if not case.offers_std:
        return
    mean, std = case.fitted.predict(case.rest, return_std=True)
    require(np.asarray(std).shape == np.asarray(mean).shape, "mean and deviation differ in shape")
    require((std >= 0).all(), f"the smallest standard deviation is {np.min(std)}")
    alone = case.fitted.predict(case.rest)
    require(np.allclose(alone, mean, rtol=1e-4, atol=1e-6), "return_std changes the mean")


def check_something_is_learned(case: _Case) -> None:
    """After 60 easy rows unseen ones are ranked better than by chance (Spearman above 0.3)."""
    correlation = stats.spearmanr(case.fitted.predict(case.rest), case.targets[_TRAIN:]).statistic
    require(correlation > 0.3, f"the rank correlation is {correlation:.2f}")


def check_a_row_is_predicted_by_itself(case: _Case) -> None:
    """The prediction of a row does not depend on the rows around it."""
    together = case.fitted.predict(case.rest)
    for index in range(5):
        alone = case.fitted.predict(case.rest[slice(index, index + 1)])[0]
        near = np.isclose(alone, together[index], rtol=1e-4, atol=1e-5)
        require(near, f"row {index} is {together[index]} among others, {alone} alone")


def check_fit_is_seeded(case: _Case) -> None:
    """With its ``random_state`` set, a predictor gives the same numbers each time."""
    with global_random_state_untouched():
        one, other = case.outputs(case.fit()), case.outputs(case.fit())
    require(same_values(one, other), "two fits with one seed predict differently")
    require(same_values(case.outputs(case.fitted), one), "the same predictor predicts differently")


def check_fit_forgets(case: _Case) -> None:
    """A second `fit` starts anew: nothing of the first is left."""
    twice = case.fit(targets=-case.targets).fit(case.train, case.targets[:_TRAIN])
    near = np.allclose(
        twice.predict(case.rest), case.fit().predict(case.rest), rtol=1e-4, atol=1e-4
    )
    require(near, "a predictor that was fitted before predicts differently")


def check_inputs_are_not_modified(case: _Case) -> None:
    """Features and targets that are given to a predictor are not changed, and may be read-only."""
    before = pickle.dumps((case.train, case.rest, case.targets))
    train, rest, targets = pickle.loads(before)  # noqa: S301  # of our own making
    for array in (train, rest, targets):
        if isinstance(array, np.ndarray):
            array.flags.writeable = False
    case.fresh().fit(train, targets[:_TRAIN]).predict(rest)
    require(pickle.dumps((case.train, case.rest, case.targets)) == before, "an input has changed")


def check_two_rows_are_enough(case: _Case) -> None:
    """Two training rows are enough for finite predictions."""
    for values in case.outputs(case.fit(rows=2)):
        require(np.isfinite(values).all(), "a number is not finite")


def check_constant_targets_are_predicted(case: _Case) -> None:
    """Where all targets are equal, so are the predictions, and they are finite."""
    constant = np.full(len(case.targets), 3.5)
    mean, *std = case.outputs(case.fit(targets=constant))
    require(np.allclose(mean, 3.5, atol=0.2), f"3.5 is predicted as {mean.min()} to {mean.max()}")
    require(all(np.isfinite(values).all() for values in std), "a deviation is not finite")


def check_both_precisions_are_accepted(case: _Case) -> None:
    """Features of 32 and of 64 bits give about the same predictions."""
    if not isinstance(case.train, np.ndarray):
        return
    other = case.fresh().fit(case.train.astype(np.float64), case.targets[:_TRAIN])
    one = case.fitted.predict(case.rest)
    two = other.predict(case.rest.astype(np.float64))
    near = np.allclose(one, two, rtol=1e-2, atol=1e-2 * np.std(case.targets))
    require(near, f"predictions differ by up to {np.abs(one - two).max()}")


def check_pickle_keeps_the_predictor(case: _Case) -> None:
    """A fitted predictor can be pickled and predicts the same afterwards."""
    again = pickle.loads(pickle.dumps(case.fitted))  # noqa: S301  # of our own making
    require(same_values(case.outputs(again), case.outputs(case.fitted)), "the predictions change")


_CHECKS: tuple[Callable[[_Case], None], ...] = (
    check_parameters_can_be_set,
    check_fit_returns_itself,
    check_predictions_are_finite_numbers,
    check_standard_deviation_is_not_negative,
    check_something_is_learned,
    check_a_row_is_predicted_by_itself,
    check_fit_is_seeded,
    check_fit_forgets,
    check_inputs_are_not_modified,
    check_two_rows_are_enough,
    check_constant_targets_are_predicted,
    check_both_precisions_are_accepted,
    check_pickle_keeps_the_predictor,
)
