"""Gaussian process with one kernel a block of features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from scipy.linalg import solve_triangular
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from weaknas.predictors._base import Floats, Predicted
from weaknas.predictors._gp import (
    Cholesky,
    Hyperparameters,
    Scaling,
    Singles,
    fit_hyperparameters,
    kernel,
)
from weaknas.predictors.pool import PoolModel, Rows


class GaussianProcess(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Gaussian process whose kernel is a sum over blocks of features.

    Each block has a Matérn-3/2 kernel on the Euclidean distance of its columns,
    with its own amplitude and length scale. Amplitudes, length scales and the
    noise are those of largest posterior density: marginal likelihood times
    log-normal priors that are the same for every block and every data set
    (Rasmussen and Williams 2006, sec. 5.4). The mean is constant, by generalised
    least squares (sec. 2.7).

    Parameters
    ----------
    groups : sequence of slice or of index arrays, optional
        The blocks; default: all columns are one.
    max_iter : int
        Steps of the optimiser of the hyperparameters.

    Attributes
    ----------
    hyperparameters_ : Hyperparameters
        For scaled features and standardised targets.
    """

    def __init__(self, groups: Sequence[Any] | None = None, max_iter: int = 15) -> None:
        self.groups = groups
        self.max_iter = max_iter

    def fit(self, X: Any, y: Any) -> Self:
        """Fit hyperparameters and condition on the data.

        Parameters
        ----------
        X : array-like, shape (n, f)
        y : array-like, shape (n,)
        """
        X, y = validate_data(self, X, y, y_numeric=True, dtype=np.float32)
        targets, self._center, self._scale = _standardize(y)
        self._scaling = Scaling(X, self.groups)
        self._points = self._scaling(X)
        start = Hyperparameters.typical(len(self._scaling.groups))
        self.hyperparameters_ = fit_hyperparameters(self._points, targets, start, self.max_iter)
        self._cholesky = Cholesky(self.hyperparameters_, self._points)
        self._cholesky.append(np.arange(len(X)))
        self._mean, self._residuals = self._cholesky.weights(targets)
        return self

    def predict(self, X: Any, return_std: bool = False) -> Predicted:
        """Predict the noise-free score.

        Parameters
        ----------
        X : array-like, shape (m, f)
        return_std : bool

        Returns
        -------
        mean : ndarray, shape (m,)
        std : ndarray, shape (m,)
            Only with ``return_std=True``.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float32)
        cross = kernel(self._points, self._scaling(X), self.hyperparameters_).astype(np.float64)
        whitened = solve_triangular(self._cholesky.factor, cross, lower=True)
        mean = (self._mean + self._residuals @ whitened) * self._scale + self._center
        if not return_std:
            return np.asarray(mean)
        variance = self.hyperparameters_.variance - (whitened**2).sum(axis=0)
        return mean, np.sqrt(np.maximum(variance, 1e-10)) * self._scale

    def for_pool(self, features: Any) -> PoolModel:
        """Bind to a pool: what was computed for it is kept from round to round."""
        return GaussianProcessPool(features, self.groups, self.max_iter)


class GaussianProcessPool(PoolModel):
    """A Gaussian process on a fixed pool.

    New rows extend the Cholesky factor and the whitened covariance with the pool
    (exact, and cheap for a few rows); everything is computed anew only when the
    hyperparameters are fitted again, which is whenever the data have grown by a
    quarter.

    Parameters
    ----------
    features : ndarray of float32, shape (N, f)
    groups : sequence, optional
    max_iter : int
    """

    _GROWTH = 1.25
    _CHUNK = 8192  # columns at a time, so that temporaries stay in the processor's cache

    def __init__(self, features: Any, groups: Sequence[Any] | None, max_iter: int) -> None:
        self._points = Scaling(features, groups)(features)
        self._max_iter = max_iter
        self._fitted_at = 0
        self._start(Hyperparameters.typical(len(self._points.coordinates)))

    def _start(self, hyper: Hyperparameters) -> None:
        self._cholesky = Cholesky(hyper, self._points)
        self._whitened: Singles = np.empty((0, len(self._points)), dtype=np.float32)
        self._variance = np.full(len(self._points), hyper.variance, dtype=np.float32)

    def fit(self, rows: Rows, targets: Floats) -> None:
        """Condition on the rows, shape (n,), with targets, shape (n,)."""
        self._targets, self._center, self._scale = _standardize(targets)
        if len(rows) >= self._GROWTH * self._fitted_at:
            self._fitted_at = len(rows)
            hyper = self._cholesky.hyper
            data = self._points[rows]
            self._start(fit_hyperparameters(data, self._targets, hyper, self._max_iter))
        known = self._cholesky.rows
        same = known[: len(rows)] == rows[: len(known)]
        self._truncate(len(same) if same.all() else int(np.argmin(same)))
        self.condition(rows[len(self._cholesky.rows) :])
        self._mean, self._residuals = self._cholesky.weights(self._targets)

    def predict(self) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of every row of the pool."""
        residuals = self._residuals.astype(np.float32)
        mean = self._mean + residuals @ self._whitened[: len(residuals)]
        std = np.sqrt(np.maximum(self._variance, 1e-10))
        scaled = mean * self._scale + self._center, std * self._scale
        return scaled[0].astype(np.float64), scaled[1].astype(np.float64)

    def condition(self, rows: Rows) -> None:
        """Add rows as if their labels were as predicted: means stay, deviations shrink."""
        if len(rows) == 0:
            return
        across, corner = self._cholesky.append(rows)
        inverse = solve_triangular(corner, np.eye(len(corner)), lower=True)
        mix = (inverse @ across).astype(np.float32)
        inverse = inverse.astype(np.float32)
        old = self._whitened
        grown = np.empty((len(old) + len(rows), len(self._points)), dtype=np.float32)
        grown[: len(old)] = old
        data = self._points[rows]
        for start in range(0, len(self._points), self._CHUNK):
            part = slice(start, start + self._CHUNK)
            cross = kernel(data, self._points[part], self._cholesky.hyper)
            added = inverse @ cross
            added -= mix @ old[:, part]
            grown[len(old) :, part] = added
            self._variance[part] -= np.einsum("ij,ij->j", added, added)
        self._whitened = grown

    def _truncate(self, count: int) -> None:
        """Forget all rows after the first `count`."""
        dropped = self._whitened[count:]
        if len(dropped):
            self._variance += np.einsum("ij,ij->j", dropped, dropped)
            self._whitened = self._whitened[:count]
            self._cholesky.truncate(count)


def _standardize(targets: Any) -> tuple[Floats, float, float]:
    """Return targets of mean 0 and standard deviation 1, and how to go back."""
    values = np.asarray(targets, dtype=np.float64)
    center, scale = float(values.mean()), float(values.std())
    scale = scale if scale > 0 else 1.0
    return (values - center) / scale, center, scale
