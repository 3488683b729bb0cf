"""Linear predictors."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.linear_model import BayesianRidge, RidgeCV

from weaknas.predictors._base import Predicted
from weaknas.predictors._standardized import Standardized, StandardizedWithSpread
from weaknas.predictors.labels import Floats


class BayesianLinear(StandardizedWithSpread):
    """Bayesian ridge regression on standardised features.

    Precisions of weights and noise are those of largest evidence (MacKay, Neural
    Computation 1992).

    Parameters
    ----------
    max_iter : int
        Steps of the optimiser of the two precisions.
    """

    def __init__(self, max_iter: int = 300) -> None:
        self.max_iter = max_iter

    def _regressor(self, rows: int, columns: int) -> Any:
        return BayesianRidge(max_iter=self.max_iter)

    @property
    def n_iter_(self) -> int:
        """Steps that were taken."""
        return int(self.regressor_.n_iter_)


class Linear(Standardized):
    """Ridge regression on standardised features.

    Parameters
    ----------
    alphas : sequence of float
        Strengths of the regularisation a column; the best by leave-one-out error is
        taken.
    """

    def __init__(self, alphas: tuple[float, ...] = (0.01, 0.1, 1.0, 10.0)) -> None:
        self.alphas = alphas

    def _regressor(self, rows: int, columns: int) -> Any:
        return RidgeCV(columns * np.asarray(self.alphas))


class PairwiseRidge(StandardizedWithSpread):
    """Bayesian ridge regression on all columns and all products of two columns.

    The products are never formed: with the kernel ``(1 + x . z / f)^2`` the
    regression in the span of the training rows is the same one (Rasmussen and
    Williams 2006, sec. 2.1). Precisions of weights and noise are those of largest
    evidence (MacKay, Neural Computation 1992).
    """

    def _regressor(self, rows: int, columns: int) -> Any:
        return _KernelBayesianRidge(1.0 / columns)


class _KernelBayesianRidge:
    """Bayesian ridge regression on coordinates in which the kernel is a dot product."""

    def __init__(self, gamma: float) -> None:
        self._gamma = gamma

    def fit(self, X: Floats, y: Floats) -> Self:
        self._rows = X
        values, vectors = np.linalg.eigh(self._kernel(X))
        kept = values > values[-1] * 1e-9
        self._whiten = vectors[:, kept] / np.sqrt(values[kept])
        self._ridge = BayesianRidge().fit(self._kernel(X) @ self._whiten, y)
        return self

    def predict(self, X: Floats, return_std: bool = False) -> Predicted:
        coordinates = self._kernel(X) @ self._whiten
        if not return_std:
            return np.asarray(self._ridge.predict(coordinates))
        mean, std = self._ridge.predict(coordinates, return_std=True)
        # what lies outside the span of the training rows has its prior variance still
        norms = (1.0 + self._gamma * np.einsum("ij,ij->i", X, X)) ** 2
        outside = np.maximum(norms - np.einsum("ij,ij->i", coordinates, coordinates), 0.0)
        return mean, np.sqrt(std**2 + outside / self._ridge.lambda_)

    def _kernel(self, X: Floats) -> Floats:
        return np.asarray((1.0 + self._gamma * X @ self._rows.T) ** 2)
