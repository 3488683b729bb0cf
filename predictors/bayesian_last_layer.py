"""Networks with a Bayesian last layer."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import BayesianRidge
from sklearn.neural_network import MLPRegressor
from sklearn.utils import check_random_state

from weaknas.components import check_sizes
from weaknas.predictors._base import Predicted
from weaknas.predictors._standardized import StandardizedWithSpread
from weaknas.predictors.labels import Floats


class BayesianLastLayer(StandardizedWithSpread):
    """Bayesian linear regression on the last hidden layers of a few perceptrons.

    The networks are trained to the targets, then their last layers are replaced by
    one Bayesian linear regression on all of them (DNGO, Snoek et al., ICML 2015,
    arXiv:1502.05700).

    Parameters
    ----------
    hidden : tuple of int
        Width of each hidden layer.
    max_iter : int
        Passes over the data, early convergence aside.
    learning_rate : float
        Of Adam.
    members : int
        Networks whose last layers stand side by side.
    random_state : int or RandomState, optional
    """

    def __init__(
        self,
        hidden: tuple[int, ...] = (64, 32),
        max_iter: int = 200,
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
        """Most passes that a network took."""
        return max(int(network.n_iter_) for network in self.regressor_.networks)

    def _regressor(self, rows: int, columns: int) -> Any:
        check_sizes(self)
        rng = check_random_state(self.random_state)
        return _LastLayer(
            [
                MLPRegressor(
                    hidden_layer_sizes=self.hidden,
                    activation="tanh",
                    max_iter=self.max_iter,
                    learning_rate_init=self.learning_rate,
                    random_state=int(rng.randint(2**31 - 1)),
                )
                for _ in range(self.members)
            ]
        )


class _LastLayer:
    """Networks, and the linear regression on their last hidden layers."""

    def __init__(self, networks: list[MLPRegressor]) -> None:
        self.networks = networks

    def fit(self, X: Floats, y: Floats) -> Self:
        with warnings.catch_warnings():
            # max_iter is a training length here, not a sign of trouble
            warnings.simplefilter("ignore", ConvergenceWarning)
            for network in self.networks:
                network.fit(X, y)
        self._linear = BayesianRidge().fit(self._hidden(X), y)
        return self

    def predict(self, X: Floats, return_std: bool = False) -> Predicted:
        predicted: Predicted = self._linear.predict(self._hidden(X), return_std=return_std)
        return predicted

    def _hidden(self, X: Floats) -> Floats:
        return np.hstack([_last_hidden(network, X) for network in self.networks])


def _last_hidden(network: MLPRegressor, X: Floats) -> Floats:
    for weights, bias in zip(network.coefs_[:-1], network.intercepts_[:-1], strict=True):
        X = np.tanh(X @ weights + bias)
    return X
