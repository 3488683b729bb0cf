"""Predictors bound to a fixed pool of candidates.

A search fits the same predictor many times to a few rows of one pool and ranks
the whole pool each time. A predictor that can keep work between these rounds
has a method ``for_pool(features)`` that returns a `PoolModel`; every other
regressor is wrapped by `PlainPoolModel`.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from weaknas.predictors._base import Counts, Floats

Rows = npt.NDArray[np.int64]


class Regressor(Protocol):
    """Any regressor of scikit-learn's contract."""

    def fit(self, X: Any, y: Any) -> Any:
        """Fit to features, shape (n, f), and targets, shape (n,); return the regressor."""

    def predict(self, X: Any) -> Any:
        """Return predictions of features, shape (m, f); shape (m,)."""


class PoolModel(ABC):
    """A predictor that is fitted to rows of a pool and predicts all of it."""

    @abstractmethod
    def fit(self, rows: Rows, targets: Floats, counts: Counts | None = None) -> None:
        """Fit to rows of the pool.

        Parameters
        ----------
        rows : ndarray of int, shape (n,)
        targets : ndarray of float, shape (n,)
        counts : ndarray of float, shape (n,), optional
            Trainings that each target is the mean of; default: one.
        """

    @abstractmethod
    def predict(self) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of every row of the pool, each shape (N,)."""

    def condition(self, rows: Rows) -> None:  # noqa: B027
        """Take rows for queried before their labels are known.

        A model that can shrinks its standard deviations as if the labels were as
        predicted (the kriging believer of Ginsbourger et al. 2010); others ignore it.
        """

    def covariance(self, rows: Rows) -> tuple[Floats, float] | None:
        """Return covariance of rows, shape (m, m), and noise of a label; None if unknown."""
        return None


class PlainPoolModel(PoolModel):
    """Any scikit-learn regressor.

    Parameters
    ----------
    estimator : regressor
        Fitted in place, anew in each round.
    features : array, shape (N, f)
    """

    def __init__(self, estimator: Any, features: Any) -> None:
        self._estimator = estimator
        self._features = features
        self._has_std = has_std(estimator)

    def fit(self, rows: Rows, targets: Floats, counts: Counts | None = None) -> None:
        """Fit the regressor to the rows."""
        fit_weighted(self._estimator, self._features[rows], targets, counts)

    def predict(self) -> tuple[Floats, Floats]:
        """Predict in chunks; the standard deviation is 0 where the regressor has none."""
        parts = [self._predict(chunk) for chunk in _chunks(self._features)]
        means, stds = zip(*parts, strict=True)
        return np.concatenate(means), np.concatenate(stds)

    def _predict(self, features: Any) -> tuple[Floats, Floats]:
        if self._has_std:
            mean, std = self._estimator.predict(features, return_std=True)
            return np.asarray(mean, dtype=np.float64), np.asarray(std, dtype=np.float64)
        mean = np.asarray(self._estimator.predict(features), dtype=np.float64).reshape(-1)
        return mean, np.zeros(len(mean))


@runtime_checkable
class BindsToPool(Protocol):
    """A predictor that can keep work between the rounds of a pool."""

    def for_pool(self, features: Any) -> PoolModel:
        """Bind to the features, shape (N, f), of a pool."""


def for_pool(estimator: Regressor, features: Any) -> PoolModel:
    """Bind a predictor to the features, shape (N, f), of a pool."""
    if isinstance(estimator, BindsToPool):
        return estimator.for_pool(features)
    return PlainPoolModel(estimator, features)


def fit_weighted(estimator: Any, features: Any, targets: Floats, counts: Counts | None) -> Any:
    """Fit a regressor, with weights where its ``fit`` takes them; return it."""
    name, last = estimator.steps[-1] if isinstance(estimator, Pipeline) else ("", estimator)
    if counts is None or not has_fit_parameter(last, "sample_weight"):
        return estimator.fit(features, targets)
    weights = f"{name}__sample_weight" if name else "sample_weight"
    return estimator.fit(features, targets, **{weights: counts})


def has_std(estimator: Any) -> bool:
    """Tell whether a regressor's ``predict`` takes ``return_std``."""
    last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    return "return_std" in inspect.signature(last.predict).parameters


_CHUNK = 50_000  # rows predicted at a time


def _chunks(features: Any) -> list[Any]:
    return [features[start : start + _CHUNK] for start in range(0, len(features), _CHUNK)]
