"""Gaussian process with a length scale a block of features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from scipy.linalg import blas, solve_triangular
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from weaknas.predictors._base import Floats, Predicted
from weaknas.predictors._gp import (
    Cholesky,
    Hyperparameters,
    Kernel,
    Points,
    Rows,
    Scaling,
    Singles,
    fit_hyperparameters,
    parts,
    trend_columns,
)
from weaknas.predictors._gp_open import OpenGaussianProcess
from weaknas.predictors.open_model import OpenModel
from weaknas.predictors.pool import PoolModel


class GaussianProcess(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Gaussian process whose kernel has one length scale a block of features.

    A Matérn-5/2 kernel of the distance in which every block is divided by its
    length scale. Length scales, variance and noise are those of largest
    posterior density: marginal likelihood times log-normal priors that are the
    same for every block and data set (Rasmussen and Williams 2006, sec. 5.4).
    The mean is constant, by generalised least squares (sec. 2.7).

    Parameters
    ----------
    groups : sequence of slice or of index arrays, optional
        The blocks; default: all columns are one.
    trend : sequence of int, optional
        Columns with which scores may go up or down over the whole space, such as
        costs: the mean is linear in them, with slopes learnt from the data.
    max_iter : int
        Steps of the optimiser of the hyperparameters.
    additive : bool
        Whether the mean is linear in all columns, so that decisions add up over the whole
        space, with a prior variance of these sums that is one more hyperparameter. For
        spaces of many decisions, of which the data know few combinations.

    Attributes
    ----------
    hyperparameters_ : Hyperparameters
        For scaled features and standardised targets.
    """

    def __init__(
        self,
        groups: Sequence[Any] | None = None,
        trend: Sequence[int] | None = None,
        max_iter: int = 15,
        additive: bool = False,
    ) -> None:
        self.groups = groups
        self.trend = trend
        self.max_iter = max_iter
        self.additive = additive

    def fit(self, X: Any, y: Any) -> Self:
        """Fit hyperparameters and condition on the data.

        Parameters
        ----------
        X : array-like, shape (n, f)
        y : array-like, shape (n,)
        """
        X, y = validate_data(self, X, y, y_numeric=True, dtype=np.float32)
        targets, self._center, self._scale = _standardize(y)
        self._scaling = Scaling(X, self.groups, trend_columns(X, self.trend, self.additive))
        self._points = self._scaling(X)
        self.hyperparameters_ = _fit(
            self._points, targets, self._scaling, None, self.max_iter, self.additive
        )
        self._kernel = Kernel(self.hyperparameters_, self._scaling)
        self._cholesky = Cholesky(self._kernel)
        self._cholesky.append(self._points)
        self._mean, self._residuals = self._cholesky.whiten(targets)
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
        points = self._scaling(X)
        cross = self._kernel(self._points, points).astype(np.float64)
        whitened = solve_triangular(self._cholesky.factor, cross, lower=True)
        mean = (self._mean + self._residuals @ whitened) * self._scale + self._center
        if not return_std:
            return np.asarray(mean)
        variance = self._kernel.variance(points) - (whitened**2).sum(axis=0)
        return mean, np.sqrt(np.maximum(variance, 1e-10)) * self._scale

    def for_pool(self, features: Any) -> PoolModel:
        """Bind to a pool: what was computed for it is kept from round to round."""
        return GaussianProcessPool(features, self.groups, self.max_iter, self.trend, self.additive)

    def for_any(self, reference: Any) -> OpenModel:
        """Return a model for any candidates, with features scaled by a sample, shape (n, f)."""
        return OpenGaussianProcess(reference, self.groups, self.max_iter, self.trend, self.additive)


class GaussianProcessPool(PoolModel):
    """A Gaussian process on a fixed pool.

    New rows extend the Cholesky factor and the whitened covariance with the pool,
    which is exact and cheap. All is computed anew only when the hyperparameters
    are fitted again: whenever the data have grown by a quarter.

    Parameters
    ----------
    features : ndarray of float32, shape (N, f)
    groups, trend : sequence, optional
    max_iter : int
    additive : bool
    """

    _GROWTH = 1.25

    def __init__(
        self,
        features: Any,
        groups: Sequence[Any] | None,
        max_iter: int,
        trend: Sequence[int] | None = None,
        additive: bool = False,
    ) -> None:
        self._points = Points(features, groups, trend_columns(features, trend, additive))
        self._max_iter, self._additive = max_iter, additive
        self._fitted_at = 0
        # Rows of the whitened covariance with the pool, and room for more.
        self._buffer: Singles = np.empty((0, len(features)), dtype=np.float32)
        self._start(Hyperparameters.typical(len(self._points.scaling.blocks)))

    def _start(self, hyper: Hyperparameters) -> None:
        self._kernel = Kernel(hyper, self._points.scaling)
        self._cholesky = Cholesky(self._kernel)
        self._rows: Rows = np.empty(0, dtype=np.int64)
        self._variance = np.full(len(self._points), hyper.variance, dtype=np.float32)
        for part in parts(len(self._points), 1):
            trend = self._points.linear(part, self._kernel)
            self._variance[part] += np.einsum("ij,ij->i", trend, trend)

    def fit(self, rows: Rows, targets: Floats) -> None:
        """Condition on the rows, shape (n,), with targets, shape (n,)."""
        scaled, self._center, self._scale = _standardize(targets)
        if len(rows) >= self._GROWTH * self._fitted_at:
            self._fitted_at = len(rows)
            data, hyper = self._points[rows], self._kernel.hyper
            self._start(
                _fit(data, scaled, self._points.scaling, hyper, self._max_iter, self._additive)
            )
        self._keep(_common_prefix(self._rows, rows))
        self.condition(rows[len(self._rows) :])
        self._mean, self._residuals = self._cholesky.whiten(scaled)

    def predict(self) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of every row of the pool."""
        residuals = self._residuals.astype(np.float32)
        mean = self._mean + residuals @ self._buffer[: len(residuals)]
        std = np.sqrt(np.maximum(self._variance, 1e-10))
        mean, std = mean.astype(np.float64), std.astype(np.float64)
        return np.asarray(mean * self._scale + self._center), std * self._scale

    def condition(self, rows: Rows) -> None:
        """Take rows for queried: means stay, deviations shrink."""
        if len(rows) == 0:
            return
        known, data = len(self._rows), self._points[rows]
        across, corner = self._cholesky.append(data)
        inverse = solve_triangular(corner, np.eye(len(corner)), lower=True)
        mix, inverse = (inverse @ across).astype(np.float32), inverse.astype(np.float32)
        old, new = self._reserve(len(rows))
        covariance = self._points.covariance(self._kernel, data)
        for part in parts(len(self._points), max(len(rows), known)):
            added = new[:, part]
            added[...] = blas.strmm(1.0, inverse, covariance(part).T, lower=1, overwrite_b=1)
            if known:
                added -= mix @ old[:, part]
            self._variance[part] -= np.einsum("ij,ij->j", added, added)
        self._rows = np.concatenate([self._rows, rows])

    def covariance(self, rows: Rows) -> tuple[Floats, float]:
        """Return the covariance of rows, shape (m, m), and the variance of the noise."""
        points, whitened = self._points[rows], self._buffer[: len(self._rows), rows]
        exact = self._kernel(points, points) - whitened.T @ whitened
        return exact * self._scale**2, self._kernel.hyper.noise * self._scale**2

    def _reserve(self, count: int) -> tuple[Singles, Singles]:
        """Return the rows of the buffer in use, and so many after them that are not."""
        known = len(self._rows)
        if known + count > len(self._buffer):
            # What is never written to takes no memory: room until the next start.
            grown = np.empty((2 * (known + count), len(self._points)), dtype=np.float32)
            grown[:known] = self._buffer[:known]
            self._buffer = grown
        return self._buffer[:known], self._buffer[known : known + count]

    def _keep(self, count: int) -> None:
        """Forget all rows after the first `count`."""
        dropped = self._buffer[count : len(self._rows)]
        if len(dropped):
            self._variance += np.einsum("ij,ij->j", dropped, dropped)
            self._rows = self._rows[:count]
            self._cholesky.truncate(count)


def _fit(
    data: Singles,
    targets: Floats,
    scaling: Scaling,
    start: Hyperparameters | None,
    max_iter: int,
    learn_trend: bool,
) -> Hyperparameters:
    start = start or Hyperparameters.typical(len(scaling.blocks))
    linear = data[:, scaling.trend] * np.float32(scaling.slope) if len(scaling.trend) else None
    return fit_hyperparameters(
        data, scaling.blocks, targets, start, max_iter, linear=linear, learn_trend=learn_trend
    )


def _common_prefix(first: Rows, second: Rows) -> int:
    length = min(len(first), len(second))
    same = first[:length] == second[:length]
    return length if same.all() else int(np.argmin(same))


def _standardize(targets: Any) -> tuple[Floats, float, float]:
    """Return targets of mean 0 and standard deviation 1, and how to go back."""
    values = np.asarray(targets, dtype=np.float64)
    center, scale = float(values.mean()), float(values.std())
    scale = scale if scale > 0 else 1.0
    return (values - center) / scale, center, scale
