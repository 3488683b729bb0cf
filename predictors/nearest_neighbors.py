"""Nearest neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.neighbors import KNeighborsRegressor

from weaknas.predictors._base import Predicted
from weaknas.predictors._standardized import StandardizedWithSpread
from weaknas.predictors.labels import Floats


class NearestNeighbors(StandardizedWithSpread):
    """Mean of the nearest rows by inverse distance; their spread is the uncertainty.

    Parameters
    ----------
    neighbors : int
        How many rows count; all where there are fewer.
    """

    def __init__(self, neighbors: int = 8) -> None:
        self.neighbors = neighbors

    def _regressor(self, rows: int, columns: int) -> Any:
        return _Neighbors(min(self.neighbors, rows), weights="distance")


class _Neighbors(KNeighborsRegressor):  # type: ignore[misc]
    """scikit-learn's neighbours with the weighted standard deviation of their targets."""

    def fit(self, X: Floats, y: Floats) -> _Neighbors:
        self._targets = y
        super().fit(X, y)
        return self

    def predict(self, X: Floats, return_std: bool = False) -> Predicted:
        distances, rows = self.kneighbors(X)
        exact = distances == 0
        with np.errstate(divide="ignore"):
            weights = np.where(exact.any(axis=1)[:, None], exact, 1.0 / distances)
        weights /= weights.sum(axis=1, keepdims=True)
        targets = self._targets[rows]
        mean = (weights * targets).sum(axis=1)
        if not return_std:
            return np.asarray(mean)
        return mean, np.sqrt((weights * (targets - mean[:, None]) ** 2).sum(axis=1))
