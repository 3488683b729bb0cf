"""Gradient-boosted trees that learn the order of pairs."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, RegressorMixin

from weaknas.predictors._base import Ensemble
from weaknas.predictors.labels import Floats


class XGBoostRanking(Ensemble):
    """A bagged ensemble of XGBoost's rankers: LambdaMART with a pairwise loss.

    Each member is fitted to the ranks of the targets, all rows being one query
    (Burges, MSR-TR-2010-82); its scores are shifted and stretched to mean and
    standard deviation of the targets, which keeps their order.

    Parameters
    ----------
    n_estimators : int
        Trees of each member.
    max_depth : int
    learning_rate : float
    pairs : int
        Pairs drawn a row and tree.
    members : int
        Rankers fitted to bootstrap samples; 1 fits a single one to all rows.
    n_jobs : int
        One thread is many times faster than several on a few hundred rows.
    random_state : int or RandomState, optional
    """

    def __init__(
        self,
        n_estimators: int = 100,
        *,
        max_depth: int = 4,
        learning_rate: float = 0.1,
        pairs: int = 8,
        members: int = 5,
        n_jobs: int = 1,
        random_state: Any = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.pairs = pairs
        self.members = members
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _member(self, seed: int) -> Any:
        return _Ranker(
            n_estimators=self.n_estimators,
            max_depth=self.max_depth,
            learning_rate=self.learning_rate,
            lambdarank_pair_method="mean",
            lambdarank_num_pair_per_sample=self.pairs,
            n_jobs=self.n_jobs,
            random_state=seed,
        )


class _Ranker(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """One ranker on the scale of its targets."""

    def __init__(self, **options: Any) -> None:
        self.options = options

    def fit(self, X: Any, y: Floats) -> Self:
        from xgboost import XGBRanker

        self._ranker = XGBRanker(objective="rank:pairwise", **self.options)
        self._ranker.fit(X, rankdata(y, method="dense") - 1, qid=np.zeros(len(y), dtype=np.int64))
        scores = self._ranker.predict(X)
        spread = float(scores.std())
        self._slope = float(y.std()) / spread if spread > 0 else 0.0
        self._offset = float(y.mean()) - self._slope * float(scores.mean())
        return self

    def predict(self, X: Any) -> Floats:
        return np.asarray(self._ranker.predict(X) * self._slope + self._offset, dtype=np.float64)
