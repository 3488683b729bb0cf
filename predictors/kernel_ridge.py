"""Kernel ridge regression."""

from __future__ import annotations

from typing import Any

from weaknas.predictors._standardized import Standardized


class KernelRidge(Standardized):
    """Kernel ridge regression on standardised features.

    Parameters
    ----------
    alpha : float
        Strength of the regularisation.
    kernel : str
        ``"laplacian"``, of the sum of absolute differences, or ``"rbf"``, of squared
        ones.
    gamma : float
        The kernel is ``exp(-gamma d / f)`` of the distance d in f columns.
    """

    def __init__(self, alpha: float = 0.1, kernel: str = "laplacian", gamma: float = 1.0) -> None:
        self.alpha = alpha
        self.kernel = kernel
        self.gamma = gamma

    def _regressor(self, rows: int, columns: int) -> Any:
        from sklearn.kernel_ridge import KernelRidge as Ridge

        return Ridge(alpha=self.alpha, kernel=self.kernel, gamma=self.gamma / columns)
