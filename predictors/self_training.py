"""Learning from architectures without labels."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from weaknas.components import check_sizes
from weaknas.predictors._base import Predicted
from weaknas.predictors.labels import Floats, Repeats, counts_of
from weaknas.predictors.pool import PoolModel, Rows, for_pool
from weaknas.predictors.regressor import fit_weighted, predict, predict_mean
from weaknas.predictors.xgboost import XGBoost


class SelfTraining(RegressorMixin, MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """A predictor that learns from its own predictions for architectures without labels.

    As in SemiNAS (Luo et al., NeurIPS 2020, arXiv:2002.10389): fit to the labelled
    rows, predict unlabelled ones, fit anew to both. Labelled rows are repeated, so
    that they have half of the weight. Unlabelled rows come from the pool of a
    search, see `for_pool`; `fit` alone has none and fits the estimator as it is.

    Parameters
    ----------
    estimator : regressor, optional
        Default: `XGBoost`.
    unlabelled : int
        Rows that are drawn from the pool in each fit.
    groups, trend : sequence, optional
        Blocks of columns and columns with a trend, for an estimator with a parameter of
        this name that is None.
    random_state : int or RandomState, optional
        Seeds the draws and the estimator, where its own ``random_state`` is None.
    """

    def __init__(
        self,
        estimator: Any = None,
        unlabelled: int = 500,
        groups: Any = None,
        trend: Any = None,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.unlabelled = unlabelled
        self.groups = groups
        self.trend = trend
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Fit to labelled rows alone.

        Parameters
        ----------
        X : array-like, shape (n, f)
        y : array-like, shape (n,)
        """
        check_sizes(self)
        X, y = validate_data(self, X, y, y_numeric=True, dtype=np.float32)
        self.estimator_ = self._fresh(check_random_state(self.random_state)).fit(X, y)
        return self

    def predict(self, X: Any, return_std: bool = False) -> Predicted:
        """Predict mean and, if wanted, standard deviation, 0 where the estimator has none.

        Parameters
        ----------
        X : array-like, shape (n, f)
        return_std : bool

        Returns
        -------
        mean : ndarray, shape (n,)
        std : ndarray, shape (n,)
            Only with ``return_std=True``.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float32)
        return predict(self.estimator_, X) if return_std else predict_mean(self.estimator_, X)

    def for_pool(self, features: Any) -> PoolModel:
        """Bind to a pool, whose rows without labels are learned from."""
        return SelfTrainingPool(self, features)

    def _fresh(self, rng: np.random.RandomState) -> Any:
        fresh = XGBoost() if self.estimator is None else clone(self.estimator)
        unset = {name for name, value in fresh.get_params(deep=False).items() if value is None}
        if "random_state" in unset:
            fresh.set_params(random_state=int(rng.randint(2**31 - 1)))
        layout = {"groups": self.groups, "trend": self.trend}
        return fresh.set_params(**{name: layout[name] for name in unset & set(layout)})


class SelfTrainingPool(PoolModel):
    """Self-training on a fixed pool.

    Parameters
    ----------
    parameters : SelfTraining
    features : array, shape (N, f)
    """

    def __init__(self, parameters: SelfTraining, features: Any) -> None:
        self._parameters, self._features = parameters, features
        self._model: PoolModel

    def fit(self, rows: Rows, targets: Floats, repeats: Repeats | None = None) -> None:
        """Fit to the rows, predict others, fit to both."""
        rng = check_random_state(self._parameters.random_state)
        teacher = self._parameters._fresh(rng)
        fit_weighted(teacher, self._features[rows], targets, counts_of(repeats))
        others = np.setdiff1d(np.arange(len(self._features)), rows)
        count = min(self._parameters.unlabelled, len(others))
        drawn = rng.choice(others, size=count, replace=False)
        copies = max(1, round(count / len(rows)))
        training_rows = np.concatenate([np.tile(rows, copies), drawn])
        labels = [np.tile(targets, copies)]
        if count:
            labels.append(predict_mean(teacher, self._features[drawn]))
        self._model = for_pool(self._parameters._fresh(rng), self._features)
        together = None
        if repeats is not None:
            counts = np.concatenate([np.tile(repeats.counts, copies), np.ones(len(drawn))])
            together = Repeats.counted(counts)
        self._model.fit(training_rows, np.concatenate(labels), together)

    def predict(self) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of every row of the pool."""
        return self._model.predict()
