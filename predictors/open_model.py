"""Predictors for candidates that come and go.

In a space that cannot be listed a search looks at other candidates in every
generation of every round. A predictor that can do so with more than ``fit`` and
``predict`` has a method ``for_any(reference)`` that returns an `OpenModel`; every
other regressor is wrapped by `PlainOpenModel`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol, runtime_checkable

from weaknas.predictors.labels import Floats, Joint, Repeats, counts_of
from weaknas.predictors.pool import PoolModel, Rows
from weaknas.predictors.regressor import Regressor, fit_weighted, predict


class OpenModel(ABC):
    """A predictor that is fitted to features and predicts any others."""

    @abstractmethod
    def fit(self, features: Any, targets: Floats, repeats: Repeats | None = None) -> None:
        """Fit to features.

        Parameters
        ----------
        features : array, shape (n, f)
        targets : ndarray of float, shape (n,)
        repeats : Repeats, optional
            Default: each target is the label of one training.
        """

    @abstractmethod
    def predict(self, features: Any) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of features, shape (m, f), each shape (m,)."""

    def condition(self, features: Any) -> None:  # noqa: B027
        """Take features, shape (p, f), for queried before their labels are known.

        See `PoolModel.condition`.
        """

    def covariance(self, features: Any) -> tuple[Floats, float] | None:
        """Return covariance of features, shape (m, m), and noise of a label; None if unknown."""
        return None

    def joint(self, errors: Floats, features: Any) -> Joint | None:
        """Return the scores behind the labels, together with those of features, shape (m, f).

        See `PoolModel.joint`.
        """
        return None


class PlainOpenModel(OpenModel):
    """Any scikit-learn regressor.

    Parameters
    ----------
    estimator : regressor
        Fitted in place, anew in each round.
    """

    def __init__(self, estimator: Any) -> None:
        self._estimator = estimator

    def fit(self, features: Any, targets: Floats, repeats: Repeats | None = None) -> None:
        """Fit the regressor."""
        fit_weighted(self._estimator, features, targets, counts_of(repeats))

    def predict(self, features: Any) -> tuple[Floats, Floats]:
        """Predict; the standard deviation is 0 where the regressor has none."""
        return predict(self._estimator, features)


class OpenPool(PoolModel):
    """What a fitted `OpenModel` says of one pool, as acquisitions want it.

    Parameters
    ----------
    model : OpenModel
        Fitted.
    features : array, shape (N, f)
    """

    def __init__(self, model: OpenModel, features: Any) -> None:
        self._model, self._features = model, features

    def fit(self, rows: Rows, targets: Floats, repeats: Repeats | None = None) -> None:
        """Fit to rows of the pool."""
        self._model.fit(self._features[rows], targets, repeats)

    def predict(self) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of every row."""
        return self._model.predict(self._features)

    def condition(self, rows: Rows) -> None:
        """Take rows for queried."""
        self._model.condition(self._features[rows])

    def covariance(self, rows: Rows) -> tuple[Floats, float] | None:
        """Return covariance of rows and noise of a label."""
        return self._model.covariance(self._features[rows])

    def joint(self, errors: Floats, rows: Rows) -> Joint | None:
        """Return the scores behind the labels, together with those of rows."""
        return self._model.joint(errors, self._features[rows])


@runtime_checkable
class BindsToSample(Protocol):
    """A predictor that can do with candidates that come and go more than fit and predict."""

    def for_any(self, reference: Any) -> OpenModel:
        """Return a model for any candidates, given features of a sample, shape (n, f)."""


def for_any(estimator: Regressor, reference: Any) -> OpenModel:
    """Return a predictor for any candidates.

    Parameters
    ----------
    estimator : regressor
    reference : array, shape (n, f)
        Features of a sample of the space, for scales.
    """
    if isinstance(estimator, BindsToSample):
        return estimator.for_any(reference)
    return PlainOpenModel(estimator)
