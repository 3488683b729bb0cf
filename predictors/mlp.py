"""Multilayer perceptrons."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from weaknas.predictors._base import Ensemble
from weaknas.predictors.labels import Floats


class MLP(Ensemble):
    """A bagged ensemble of multilayer perceptrons on standardised targets.

    Parameters
    ----------
    hidden : tuple of int
        Width of each hidden layer.
    max_iter : int
        Passes over the data, early convergence aside.
    learning_rate : float
        Of Adam.
    members : int
        Networks fitted to bootstrap samples; 1 fits a single one to all rows.
    random_state : int or RandomState, optional
    """

    def __init__(
        self,
        hidden: tuple[int, ...] = (64, 64),
        max_iter: int = 300,
        learning_rate: float = 3e-3,
        members: int = 3,
        random_state: Any = None,
    ) -> None:
        self.hidden = hidden
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.members = members
        self.random_state = random_state

    @property
    def n_iter_(self) -> int:
        """Most passes that a member took."""
        return max(int(member.n_iter_) for member in self.estimators_)

    def _member(self, seed: int) -> Any:
        return _Network(
            hidden_layer_sizes=self.hidden,
            max_iter=self.max_iter,
            learning_rate_init=self.learning_rate,
            random_state=seed,
        )


class _Network(MLPRegressor):  # type: ignore[misc]
    """scikit-learn's network on targets of mean 0 and standard deviation 1."""

    def fit(self, X: Any, y: Any) -> Self:
        self.center_, self.scale_ = float(y.mean()), float(y.std()) or 1.0
        with warnings.catch_warnings():
            # max_iter is a training length here, not a sign of trouble
            warnings.simplefilter("ignore", ConvergenceWarning)
            super().fit(X, (y - self.center_) / self.scale_)
        return self

    def predict(self, X: Any) -> Floats:
        return np.asarray(super().predict(X) * self.scale_ + self.center_, dtype=np.float64)
