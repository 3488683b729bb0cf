"""Predictors bound to a fixed pool of candidates.

A search fits the same predictor many times to a few rows of one pool and ranks
the whole pool each time. A predictor that can keep work between these rounds
has a method ``for_pool(features)`` that returns a `PoolModel`; every other
regressor is wrapped by `PlainPoolModel`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from weaknas.predictors.labels import Floats, Joint, Repeats, counts_of
from weaknas.predictors.regressor import Regressor, fit_weighted, predict

Rows = npt.NDArray[np.int64]

_CHUNK = 50_000  # rows predicted at a time


class PoolModel(ABC):
    """A predictor that is fitted to rows of a pool and predicts all of it."""

    @abstractmethod
    def fit(self, rows: Rows, targets: Floats, repeats: Repeats | None = None) -> None:
        """Fit to rows of the pool.

        Parameters
        ----------
        rows : ndarray of int, shape (n,)
        targets : ndarray of float, shape (n,)
        repeats : Repeats, optional
            Default: each target is the label of one training.
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

    def joint(self, errors: Floats, rows: Rows) -> Joint | None:
        """Return the scores behind the labels, together with those of rows; None if unknown.

        Parameters
        ----------
        errors : ndarray of float, shape (n,)
            Those of the n labels, see `Repeats`.
        rows : ndarray of int, shape (m,)
        """
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

    def fit(self, rows: Rows, targets: Floats, repeats: Repeats | None = None) -> None:
        """Fit the regressor to the rows."""
        fit_weighted(self._estimator, self._features[rows], targets, counts_of(repeats))

    def predict(self) -> tuple[Floats, Floats]:
        """Predict in chunks; the standard deviation is 0 where the regressor has none."""
        pairs = [predict(self._estimator, chunk) for chunk in _chunks(self._features)]
        means, stds = zip(*pairs, strict=True)
        return np.concatenate(means), np.concatenate(stds)


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


def _chunks(features: Any) -> list[Any]:
    return [features[start : start + _CHUNK] for start in range(0, len(features), _CHUNK)]
