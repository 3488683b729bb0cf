"""What predictors share: the scikit-learn contract and bagged members."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self, TypeAlias

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from weaknas.components import check_sizes
from weaknas.predictors.labels import Counts, Floats

Predicted: TypeAlias = Floats | tuple[Floats, Floats]


class Ensemble(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Several members that differ by bootstrap and seed; their spread is the uncertainty.

    Subclasses say what a member is. With one member there is no bootstrap and
    the standard deviation is zero.
    """

    members: int
    random_state: Any

    @abstractmethod
    def _member(self, seed: int) -> Any:
        """Return a new, unfitted regressor."""

    def fit(self, X: Any, y: Any) -> Self:
        """Fit all members.

        Parameters
        ----------
        X : array-like, shape (n, f)
        y : array-like, shape (n,)

        Raises
        ------
        InputError
            When a number of members, trees or the like is out of bounds.
        """
        check_sizes(self)
        X, y = validate_data(self, X, y, y_numeric=True, ensure_min_samples=1, dtype=np.float32)
        rng = check_random_state(self.random_state)
        seeds = rng.randint(2**31 - 1, size=self.members)
        self.estimators_ = []
        for seed in seeds:
            rows = slice(None)
            if self.members > 1:
                rows = np.random.default_rng(seed).integers(len(y), size=len(y))  # type: ignore[assignment]
            self.estimators_.append(self._member(int(seed)).fit(X[rows], y[rows]))
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
        each = np.stack([np.asarray(m.predict(X), dtype=np.float64) for m in self.estimators_])
        mean = each.mean(axis=0)
        return (mean, each.std(axis=0)) if return_std else mean


def check_counts(sample_weight: Any, X: Any, y: Floats) -> tuple[Any, Floats, Counts | None]:
    """Return the rows, labels and weights of weight above 0; all of them without weights.

    Raises
    ------
    ValueError
        When a weight is negative or not finite, their number differs, or all are 0.
    """
    if sample_weight is None:
        return X, y, None
    counts = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    used = counts > 0
    return X[used], y[used], counts[used]


def standardize(targets: Any) -> tuple[Floats, float, float]:
    """Return targets, shape (n,), of mean 0 and standard deviation 1, and how to go back.

    Returns
    -------
    standardized : ndarray, shape (n,)
    center, scale : float
        ``standardized * scale + center`` are the targets; the scale is 1 where all
        are equal.
    """
    values = np.asarray(targets, dtype=np.float64)
    center, scale = float(values.mean()), float(values.std())
    scale = scale if scale > 0 else 1.0
    return (values - center) / scale, center, scale
