"""Gradient-boosted trees by XGBoost."""

from __future__ import annotations

from typing import Any

from weaknas.predictors._base import Ensemble


class XGBoost(Ensemble):
    """A bagged ensemble of gradient-boosted trees.

    Parameters
    ----------
    n_estimators : int
        Trees of each member.
    max_depth : int
    learning_rate : float
    subsample : float
        Share of the rows a tree sees.
    colsample : float
        Share of the columns a tree sees; about 0.3 ranks best where there are
        hundreds of columns.
    min_child_weight : float
        Rows a leaf needs at least.
    members : int
        Boosted models fitted to bootstrap samples; 1 fits a single one to all rows.
    n_jobs : int
        One thread is many times faster than several on a few hundred rows.
    random_state : int or RandomState, optional
    """

    def __init__(
        self,
        n_estimators: int = 200,
        *,
        max_depth: int = 6,
        learning_rate: float = 0.1,
        subsample: float = 1.0,
        colsample: float = 1.0,
        min_child_weight: float = 1.0,
        members: int = 5,
        n_jobs: int = 1,
        random_state: Any = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.subsample = subsample
        self.colsample = colsample
        self.min_child_weight = min_child_weight
        self.members = members
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _member(self, seed: int) -> Any:
        from xgboost import XGBRegressor

        return XGBRegressor(
            n_estimators=self.n_estimators,
            max_depth=self.max_depth,
            learning_rate=self.learning_rate,
            subsample=self.subsample,
            colsample_bytree=self.colsample,
            min_child_weight=self.min_child_weight,
            n_jobs=self.n_jobs,
            random_state=seed,
        )
