"""What predictors share: the scikit-learn contract and bagged members."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, NamedTuple, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from weaknas.components import check_sizes

Floats: TypeAlias = npt.NDArray[np.float64]
#: Trainings that each label is the mean of.
Counts: TypeAlias = npt.NDArray[np.float64]
Predicted: TypeAlias = Floats | tuple[Floats, Floats]


class Repeats(NamedTuple):
    """What repeated trainings tell of n labels that are means of trainings.

    Parameters
    ----------
    counts : ndarray of float, shape (n,)
        Trainings that each label is the mean of.
    errors : ndarray of float, shape (n,)
        Variance of the error of each label, in units of the noise of one training:
        1 / the number of its trainings, 0 where there is no other training.
    squares : float
        Sum of the squared differences of all labels from their means.
    freedom : int
        Trainings beyond the first ones.
    """

    counts: Counts
    errors: Floats
    squares: float = 0.0
    freedom: int = 0

    @classmethod
    def counted(cls, counts: Counts) -> Repeats:
        """Return what is known where only the numbers of trainings are."""
        return cls(counts, 1.0 / counts)


def counts_of(repeats: Repeats | None) -> Counts | None:
    """Return the numbers of trainings, shape (n,); None where each label is of one."""
    return None if repeats is None else repeats.counts


class Joint(NamedTuple):
    """Joint normal distribution of the scores behind n labels and of m candidates.

    Parameters
    ----------
    mean : ndarray of float, shape (n + m,)
        In units of the targets.
    covariance : ndarray of float, shape (n + m, n + m)
    particular : float
        Variance of what is particular to an architecture, which features do not tell.
    noise : float
        Variance of the noise of one training.
    """

    mean: Floats
    covariance: Floats
    particular: float
    noise: float


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
