"""Support vector regression."""

from __future__ import annotations

from typing import Any

from weaknas.predictors._standardized import Standardized


class SVR(Standardized):
    """Support vector regression with a radial kernel on standardised features.

    Parameters
    ----------
    C : float
        Penalty of errors; smaller is smoother.
    epsilon : float
        Errors up to this many standard deviations of the targets cost nothing.
    gamma : float
        The kernel is ``exp(-gamma d^2 / f)`` of the distance d in f columns.
    """

    def __init__(self, C: float = 10.0, epsilon: float = 0.1, gamma: float = 0.25) -> None:
        self.C = C
        self.epsilon = epsilon
        self.gamma = gamma

    def _regressor(self, rows: int, columns: int) -> Any:
        from sklearn.svm import SVR as Machine

        machine = Machine(C=self.C, epsilon=self.epsilon, gamma=self.gamma / columns)
        machine.random_state = 0  # unused by the solver, drawn from the global state if None
        return machine
