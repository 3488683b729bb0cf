"""Pretrained models for small tables, installed by the user."""

from __future__ import annotations

import importlib
from abc import abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from weaknas.errors import MissingDependencyError
from weaknas.predictors.labels import Floats


class _Pretrained(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A regressor of a package that is no dependency, not even an optional one.

    Parameters
    ----------
    device : str
        Of torch; ``"auto"``: the fastest there is.
    random_state : int, optional

    Raises
    ------
    MissingDependencyError
        When the package is not installed.
    """

    package: ClassVar[str]

    def __init__(self, device: str = "auto", random_state: Any = None) -> None:
        self._module()
        self.device = device
        self.random_state = random_state

    @abstractmethod
    def _regressor(self) -> Any:
        """Return a new regressor of the package."""

    def _module(self) -> Any:
        try:
            return importlib.import_module(self.package)
        except ImportError as error:
            raise MissingDependencyError(
                f"{self.package} is not installed; install it with: pip install {self.package}"
                " (its weights have a licence of their own and are fetched at the first fit)"
            ) from error

    def fit(self, X: Any, y: Any) -> Self:
        """Give the rows to the model as context.

        Parameters
        ----------
        X : array-like, shape (n, f)
        y : array-like, shape (n,)
        """
        X, y = validate_data(self, X, y, y_numeric=True, dtype=np.float32)
        self.regressor_ = self._regressor().fit(X, y)
        return self

    def predict(self, X: Any) -> Floats:
        """Predict the mean of rows, shape (n, f); shape (n,)."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float32)
        return np.asarray(self.regressor_.predict(X), dtype=np.float64)


class TabPFN(_Pretrained):
    """TabPFN (Hollmann et al., Nature 2025); needs the package ``tabpfn``.

    Parameters
    ----------
    device : str
        Of torch; ``"auto"``: the fastest there is.
    random_state : int, optional
    """

    package = "tabpfn"

    def _regressor(self) -> Any:
        return self._module().TabPFNRegressor(device=self.device, random_state=self.random_state)


class TabICL(_Pretrained):
    """TabICL (Qu et al., ICML 2025); needs the package ``tabicl``.

    Parameters
    ----------
    device : str
        Of torch; ``"auto"``: the fastest there is.
    random_state : int, optional
    """

    package = "tabicl"

    def _regressor(self) -> Any:
        device = None if self.device == "auto" else self.device
        return self._module().TabICLRegressor(device=device, random_state=self.random_state)
