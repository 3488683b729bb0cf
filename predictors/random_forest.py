"""Random forests with the spread of their trees."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.utils.validation import check_is_fitted, validate_data

from weaknas.components import check_sizes
from weaknas.predictors._base import Predicted


class TreeSpread:
    """Of a forest of scikit-learn: the standard deviation over its trees."""

    estimators_: list[Any]

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit all trees.

        Parameters
        ----------
        X : array-like, shape (n, f)
        y : array-like, shape (n,)
        sample_weight : array-like, shape (n,), optional

        Raises
        ------
        InputError
            When the number of trees or of threads is out of bounds.
        """
        check_sizes(self)
        return super().fit(X, y, sample_weight)  # type: ignore[misc,no-any-return]

    def predict(self, X: Any, return_std: bool = False) -> Predicted:
        """Predict mean and, if wanted, standard deviation over the trees.

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
        if not return_std:
            return np.asarray(super().predict(X))  # type: ignore[misc]
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float32)
        each = np.stack([tree.predict(X, check_input=False) for tree in self.estimators_])
        return each.mean(axis=0), each.std(axis=0)


class RandomForest(TreeSpread, RandomForestRegressor):  # type: ignore[misc]
    """scikit-learn's random forest; the standard deviation is that over its trees.

    Parameters
    ----------
    n_estimators : int
        Number of trees.
    max_depth : int, optional
    n_jobs : int
    random_state : int or RandomState, optional
    """

    def __init__(
        self,
        n_estimators: int = 100,
        max_depth: int | None = None,
        n_jobs: int = 1,
        random_state: Any = None,
    ) -> None:
        super().__init__(
            n_estimators=n_estimators, max_depth=max_depth, n_jobs=n_jobs, random_state=random_state
        )
