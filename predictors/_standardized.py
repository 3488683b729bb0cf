"""Regressors that mind scale: features and targets of mean 0 and variance 1 around them."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, validate_data

from weaknas.components import check_sizes
from weaknas.predictors._base import Predicted, standardize
from weaknas.predictors.labels import Floats


class _Scaled(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """What both kinds share: subclasses say what the regressor is."""

    @abstractmethod
    def _regressor(self, rows: int, columns: int) -> Any:
        """Return a new regressor for so many rows and columns."""

    def fit(self, X: Any, y: Any) -> Self:
        """Fit the regressor.

        Parameters
        ----------
        X : array-like, shape (n, f)
        y : array-like, shape (n,)
        """
        check_sizes(self)
        X, y = validate_data(self, X, y, y_numeric=True, dtype=np.float64)
        targets, self._center, self._scale = standardize(y)
        self._scaler = StandardScaler().fit(X)
        self.regressor_ = self._regressor(*X.shape).fit(self._scaler.transform(X), targets)
        return self

    def _mean(self, X: Any) -> Floats:
        mean = self.regressor_.predict(self._scaled(X))
        return np.asarray(mean * self._scale + self._center, dtype=np.float64)

    def _scaled(self, X: Any) -> Floats:
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return np.asarray(self._scaler.transform(X), dtype=np.float64)


class Standardized(_Scaled):
    """A scikit-learn regressor that sees standardised features and targets."""

    def predict(self, X: Any) -> Floats:
        """Predict the mean of rows, shape (n, f); shape (n,)."""
        check_is_fitted(self)
        return self._mean(X)


class StandardizedWithSpread(_Scaled):
    """The same for regressors whose ``predict`` takes ``return_std``."""

    def predict(self, X: Any, return_std: bool = False) -> Predicted:
        """Predict mean and, if wanted, standard deviation.

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
        if not return_std:
            return self._mean(X)
        mean, std = self.regressor_.predict(self._scaled(X), return_std=True)
        return mean * self._scale + self._center, std * self._scale
