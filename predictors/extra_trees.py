"""Extremely randomised trees with their spread."""

from __future__ import annotations

from typing import Any

from sklearn.ensemble import ExtraTreesRegressor

from weaknas.predictors.random_forest import TreeSpread


class ExtraTrees(TreeSpread, ExtraTreesRegressor):  # type: ignore[misc]
    """scikit-learn's extra trees; the standard deviation is that over the trees.

    Trees split at random thresholds (Geurts et al., Machine Learning 2006).

    Parameters
    ----------
    n_estimators : int
        Number of trees.
    max_features : float
        Share of the columns tried at a split.
    max_depth : int, optional
    n_jobs : int
    random_state : int or RandomState, optional
    """

    def __init__(
        self,
        n_estimators: int = 200,
        *,
        max_features: float = 0.33,
        max_depth: int | None = None,
        n_jobs: int = 1,
        random_state: Any = None,
    ) -> None:
        super().__init__(
            n_estimators=n_estimators,
            max_features=max_features,
            max_depth=max_depth,
            n_jobs=n_jobs,
            random_state=random_state,
        )
