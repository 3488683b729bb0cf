"""Histogram-based gradient boosting of scikit-learn."""

from __future__ import annotations

from typing import Any

from sklearn.ensemble import HistGradientBoostingRegressor

from weaknas.predictors._base import Ensemble


class HistogramBoosting(Ensemble):
    """A bagged ensemble of scikit-learn's histogram-based boosted trees.

    Parameters
    ----------
    n_estimators : int
        Trees of each member.
    max_leaf_nodes : int
    min_samples_leaf : int
    max_features : float
        Share of the columns tried at a split.
    learning_rate : float
    members : int
        Boosted models fitted to bootstrap samples; 1 fits a single one to all rows.
    random_state : int or RandomState, optional
    """

    def __init__(
        self,
        n_estimators: int = 100,
        *,
        max_leaf_nodes: int = 8,
        min_samples_leaf: int = 3,
        max_features: float = 0.33,
        learning_rate: float = 0.1,
        members: int = 3,
        random_state: Any = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_leaf_nodes = max_leaf_nodes
        self.min_samples_leaf = min_samples_leaf
        self.max_features = max_features
        self.learning_rate = learning_rate
        self.members = members
        self.random_state = random_state

    def _member(self, seed: int) -> Any:
        return HistGradientBoostingRegressor(
            max_iter=self.n_estimators,
            max_leaf_nodes=self.max_leaf_nodes,
            min_samples_leaf=self.min_samples_leaf,
            max_features=self.max_features,
            learning_rate=self.learning_rate,
            early_stopping=False,
            random_state=seed,
        )
