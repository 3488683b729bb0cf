"""The contract of the torch predictors; torch itself is imported when one is fitted."""

from __future__ import annotations

import importlib.util
from abc import abstractmethod
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from weaknas.components import check_sizes
from weaknas.errors import check_number, optional_import, unknown
from weaknas.predictors._base import Predicted, standardize
from weaknas.predictors._graphs import GraphLayout, Singles
from weaknas.predictors.labels import Floats


def require_torch() -> None:
    """Raise MissingDependencyError where torch is not installed, without importing it."""
    if importlib.util.find_spec("torch") is None:
        optional_import("torch", "train")


class TorchPredictor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """An ensemble of networks, trained side by side; their spread is the uncertainty.

    Members differ by initial weights and batches. Subclasses say what the network
    is. Features that spell no graph are plain. No global random state is read or
    changed.
    """

    #: Whether features are wanted that start with the columns of the encoder ``graphs``.
    reads_graphs = False

    members: int
    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    loss: str
    top: float
    device: str | None
    random_state: Any

    @abstractmethod
    def _network(self, layout: GraphLayout, plain: int, rng: np.random.Generator) -> Any:
        """Return a new network for graphs of a layout, or a number of plain features."""

    def fit(self, X: Any, y: Any) -> Self:
        """Train all members.

        Parameters
        ----------
        X : array-like, shape (n, f)
        y : array-like, shape (n,)

        Raises
        ------
        InputError
            When the loss is unknown, or a number out of bounds.
        """
        training = self._training()
        X, y = validate_data(self, X, y, y_numeric=True, dtype=np.float32)
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31 - 1))
        self._layout = GraphLayout.of(X) if self.reads_graphs else GraphLayout(0, 0)
        plain = self._layout.split(X)[2]
        self._shift, spread = plain.mean(axis=0), plain.std(axis=0)
        self._spread = np.where(spread > 0, spread, 1.0).astype(np.float32)
        targets, self._center, self._scale = standardize(y)
        self.network_ = self._network(self._layout, plain.shape[1], rng)
        rows = self._rows(X)
        training.fit(self.network_, rows, targets, rng)
        self._slope, self._offset = np.ones((self.members, 1)), np.zeros((self.members, 1))
        if self.loss != "squared":
            # A ranking loss leaves shift and slope open: those are taken that give the
            # training rows mean and standard deviation of their targets.
            scores = training.scores(self.network_, rows)
            spread = scores.std(axis=1, keepdims=True)
            slope = np.where(spread > 0, targets.std() / np.maximum(spread, 1e-12), 0.0)
            self._slope, self._offset = slope, -slope * scores.mean(axis=1, keepdims=True)
        return self

    def predict(self, X: Any, return_std: bool = False) -> Predicted:
        """Predict mean and, if wanted, standard deviation over the members.

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
        X = validate_data(self, X, reset=False, dtype=np.float32)
        each: Floats = self._training().scores(self.network_, self._rows(X))
        each = (each * self._slope + self._offset) * self._scale + self._center
        mean = each.mean(axis=0)
        return (mean, each.std(axis=0)) if return_std else mean

    def _training(self) -> Any:
        from weaknas.predictors._losses import LOSSES
        from weaknas.predictors._training import Training

        if self.loss not in LOSSES:
            raise unknown("loss", self.loss, LOSSES)
        check_sizes(self)
        check_number("learning_rate", self.learning_rate, above=0)
        return Training(
            members=self.members,
            steps=self.steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            loss=self.loss,
            top=self.top,
            device=self.device,
        )

    def _rows(self, X: Any) -> tuple[Singles, ...]:
        adjacency, operations, plain = self._layout.split(X)
        return adjacency, operations, (plain - self._shift) / self._spread
