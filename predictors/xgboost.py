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
    members : int
        Boosted models fitted to bootstrap samples; 1 fits a single one to all rows.
    n_jobs : int
        One thread is many times faster than several on a few hundred rows.
    random_state : int or RandomState, optional
    """

    def __init__(
        self,
        n_estimators: int = 200,
        max_depth: int = 6,
        learning_rate: float = 0.1,
        members: int = 5,
        n_jobs: int = 1,
        random_state: Any = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.members = members
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _member(self, seed: int) -> Any:
        from xgboost import XGBRegressor

        return XGBRegressor(
            n_estimators=self.n_estimators,
            max_depth=self.max_depth,
            learning_rate=self.learning_rate,
            n_jobs=self.n_jobs,
            random_state=seed,
        )
