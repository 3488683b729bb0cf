"""A Gaussian process for candidates that come and go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.linalg import lapack

from weaknas.predictors._base import Floats
from weaknas.predictors._gp import (
    Cholesky,
    Hyperparameters,
    Kernel,
    Scaling,
    Singles,
    fit_hyperparameters,
    trend_columns,
)
from weaknas.predictors.open_model import OpenModel


class OpenGaussianProcess(OpenModel):
    """`GaussianProcess` with features scaled by a sample of the space, once for all rounds.

    A search closes in on a region where distances are short; scaled by its own
    data, it would take them for typical and forget what it learnt of the rest.
    The hyperparameters are fitted again whenever the data have grown by a tenth.

    Parameters
    ----------
    reference : ndarray of float32, shape (n, f)
        Features of a sample of the space.
    groups, trend : sequence, optional
    max_iter : int
    additive : bool
    """

    _GROWTH = 1.1

    def __init__(
        self,
        reference: Any,
        groups: Sequence[Any] | None,
        max_iter: int,
        trend: Sequence[int] | None = None,
        additive: bool = False,
    ) -> None:
        reference = np.asarray(reference, dtype=np.float32)
        self._scaling = Scaling(reference, groups, trend_columns(reference, trend, additive))
        self._max_iter, self._additive = max_iter, additive
        self._hyper: Hyperparameters
        self._fitted_at = 0

    @property
    def hyperparameters(self) -> Hyperparameters:
        """For scaled features and standardised targets."""
        return self._hyper

    def fit(self, features: Any, targets: Floats) -> None:
        """Condition on features, shape (n, f), with targets, shape (n,)."""
        values = np.asarray(targets, dtype=np.float64)
        self._center, spread = float(values.mean()), float(values.std())
        self._scale = spread if spread > 0 else 1.0
        values = (values - self._center) / self._scale
        points = self._scaling(features)
        if len(points) >= self._GROWTH * self._fitted_at:
            self._fitted_at = len(points)
            start = Hyperparameters.typical(len(self._scaling.blocks))
            linear = points[:, self._scaling.trend] * np.float32(self._scaling.slope)
            self._hyper = fit_hyperparameters(
                points,
                self._scaling.blocks,
                values,
                start,
                self._max_iter,
                linear=linear,
                learn_trend=self._additive,
            )
        self._kernel = Kernel(self._hyper, self._scaling)
        self._cholesky = Cholesky(self._kernel)
        self._cholesky.append(points)
        self._mean, residuals = self._cholesky.whiten(values)
        self._residuals = residuals.astype(np.float32)
        self._invert()

    def condition(self, features: Any) -> None:
        """Take features for queried: means stay, deviations shrink."""
        if len(features):
            self._cholesky.append(self._scaling(features))
            self._invert()

    def predict(self, features: Any) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of the noise-free score, each shape (m,)."""
        points = self._scaling(features)
        whitened = self._whiten(points)
        mean = self._mean + self._residuals @ whitened[: len(self._residuals)]
        variance = self._kernel.variance(points) - np.einsum("ij,ij->j", whitened, whitened)
        std = np.sqrt(np.maximum(variance, 1e-10)).astype(np.float64)
        return mean.astype(np.float64) * self._scale + self._center, std * self._scale

    def covariance(self, features: Any) -> tuple[Floats, float]:
        """Return the covariance of features, shape (m, m), and the variance of the noise."""
        points = self._scaling(features)
        whitened = self._whiten(points)
        exact = (self._kernel(points, points) - whitened.T @ whitened).astype(np.float64)
        return exact * self._scale**2, self._hyper.noise * self._scale**2

    def _whiten(self, points: Singles) -> Singles:
        return np.asarray(self._inverse @ self._kernel(self._cholesky.points, points))

    def _invert(self) -> None:
        # A product with the inverse is several times faster than solving, and there
        # are many products a round.
        inverse, _ = lapack.dtrtri(self._cholesky.factor, lower=1)
        self._inverse = np.tril(inverse).astype(np.float32)
