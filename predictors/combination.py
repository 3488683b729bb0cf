"""Several predictors as one: weighted, stacked, or the best of them in each round.

All cross-validate their members on the rows they are fitted to, and differ in
the weights they give them for it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from scipy.optimize import nnls
from scipy.stats import kendalltau
from sklearn.base import RegressorMixin, clone
from sklearn.model_selection import KFold
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.validation import check_is_fitted, validate_data

from weaknas.errors import check_whole
from weaknas.predictors._base import Predicted
from weaknas.predictors.extra_trees import ExtraTrees
from weaknas.predictors.gaussian_process import GaussianProcess
from weaknas.predictors.kernel_ridge import KernelRidge
from weaknas.predictors.labels import Floats, Repeats
from weaknas.predictors.pool import PoolModel, Rows, for_pool
from weaknas.predictors.regressor import predict, predict_mean

_FEWEST = 10  # rows below which members are not told apart


class Combination(RegressorMixin, _BaseComposition):  # type: ignore[misc]
    """A weighted mean of predictors; subclasses say how they are weighed.

    The standard deviation is that of the mixture: spread within the members and
    between them.

    Parameters
    ----------
    estimators : sequence of (str, regressor), optional
        Members by name; default: a Gaussian process, kernel ridge regression and extra
        trees.
    folds : int
        Of the cross-validation that weighs them.
    groups, trend : sequence, optional
        Blocks of columns and columns with a trend, for members with a parameter of this
        name that is None.
    random_state : int or RandomState, optional
        Seeds the folds and the members whose own ``random_state`` is None.

    Attributes
    ----------
    weights_ : ndarray, shape (k,)
        Of the members; they sum to 1.
    estimators_ : list of regressor
        Fitted members; those of weight 0 are not.
    """

    def __init__(
        self,
        estimators: Sequence[tuple[str, Any]] | None = None,
        folds: int = 3,
        groups: Sequence[Any] | None = None,
        trend: Sequence[int] | None = None,
        random_state: Any = None,
    ) -> None:
        self.estimators = estimators
        self.folds = folds
        self.groups = groups
        self.trend = trend
        self.random_state = random_state

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return parameters, with `deep` those of the members too, as ``name__parameter``."""
        return dict(self._get_params("estimators", deep=deep))

    def set_params(self, **parameters: Any) -> Self:
        """Set parameters, also those of a member, or a member by its name."""
        self._set_params("estimators", **parameters)
        return self

    def _defaults(self) -> list[tuple[str, Any]]:
        return plain_members()

    @abstractmethod
    def _weigh(self, predictions: Floats, targets: Floats) -> Floats:
        """Return weights, shape (k,), for predictions of held-out rows, shape (k, n)."""

    def fit(self, X: Any, y: Any) -> Self:
        """Weigh the members and fit them to all rows.

        Parameters
        ----------
        X : array-like, shape (n, f)
        y : array-like, shape (n,)
        """
        X, y = validate_data(self, X, y, y_numeric=True, dtype=np.float32)
        members = self._fresh()
        self.weights_ = self._weights(members, X, y)
        self.estimators_ = [
            member.fit(X, y) if weight > 0 else member
            for member, weight in zip(members, self.weights_, strict=True)
        ]
        return self

    def predict(self, X: Any, return_std: bool = False) -> Predicted:
        """Predict mean and, if wanted, standard deviation of the mixture.

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
        used = [m for m, weight in zip(self.estimators_, self.weights_, strict=True) if weight > 0]
        if not return_std:
            means = np.stack([predict_mean(member, X) for member in used])
            return np.asarray(self.weights_[self.weights_ > 0] @ means, dtype=np.float64)
        return _mixture(self.weights_, [predict(member, X) for member in used])

    def for_pool(self, features: Any) -> PoolModel:
        """Bind to a pool: each member to its own model of it."""
        return CombinationPool(self, features)

    def _fresh(self) -> list[Any]:
        check_whole("folds", self.folds, 2)
        rng = check_random_state(self.random_state)
        self._seed = int(rng.randint(2**31 - 1))
        chosen = self._defaults() if self.estimators is None else self.estimators
        members = [clone(member) for _, member in chosen]
        for member in members:
            unset = [name for name, value in member.get_params().items() if value is None]
            known: dict[str, Any] = {"groups": self.groups, "trend": self.trend}
            layout = {name: known[_last(name)] for name in unset if _last(name) in known}
            seeded = [name for name in unset if _last(name) == "random_state"]
            seeds = {name: int(rng.randint(2**31 - 1)) for name in seeded}
            member.set_params(**layout, **seeds)
        return members

    def _weights(self, members: list[Any], X: Any, y: Floats) -> Floats:
        equal = np.full(len(members), 1.0 / len(members))
        if len(y) < max(_FEWEST, self.folds) or len(members) == 1:
            return equal
        predictions = np.empty((len(members), len(y)))
        for train, test in KFold(self.folds, shuffle=True, random_state=self._seed).split(X):
            for row, member in zip(predictions, members, strict=True):
                row[test] = predict_mean(clone(member).fit(X[train], y[train]), X[test])
        weights = self._weigh(predictions, np.asarray(y, dtype=np.float64))
        total = float(weights.sum())
        return weights / total if total > 0 else equal


class WeightedEnsemble(Combination):
    """Members weighted by how well they rank held-out rows.

    A weight is a power of Kendall's rank correlation, zero where it is negative.
    """

    _POWER = 8

    def _weigh(self, predictions: Floats, targets: Floats) -> Floats:
        return np.maximum(_taus(predictions, targets), 0.0) ** self._POWER


class Stacking(Combination):
    """Members weighted by least squares on held-out rows, no weight below zero.

    Breiman, Stacked regressions, Machine Learning 1996; with a penalty on the
    distance from equal weights, for members that are almost alike.
    """

    _PENALTY = 0.1

    def _weigh(self, predictions: Floats, targets: Floats) -> Floats:
        members, rows = predictions.shape
        center = targets.mean()
        strength = np.sqrt(self._PENALTY * rows * predictions.var())
        data = np.vstack([(predictions - center).T, strength * np.eye(members)])
        goals = np.concatenate([targets - center, np.full(members, strength / members)])
        return np.asarray(nnls(data, goals)[0], dtype=np.float64)


class BestOfRound(Combination):
    """The member that ranks held-out rows best, chosen anew in each fit."""

    def _weigh(self, predictions: Floats, targets: Floats) -> Floats:
        chosen = np.zeros(len(predictions))
        chosen[np.argmax(_taus(predictions, targets))] = 1.0
        return chosen


class CombinationPool(PoolModel):
    """A combination on a fixed pool.

    Members are weighed anew whenever the data have grown by a quarter, and
    fitted in each round.

    Parameters
    ----------
    combination : Combination
    features : array, shape (N, f)
    """

    _GROWTH = 1.25

    def __init__(self, combination: Combination, features: Any) -> None:
        self._combination, self._features = combination, features
        self._members = combination._fresh()
        self._models = [for_pool(clone(member), features) for member in self._members]
        self._weights: Floats = np.empty(0)
        self._weighed_at = 0

    def fit(self, rows: Rows, targets: Floats, repeats: Repeats | None = None) -> None:
        """Fit the members of positive weight to the rows."""
        if len(rows) >= self._GROWTH * self._weighed_at or len(rows) < self._weighed_at:
            self._weighed_at = len(rows)
            data = self._features[rows]
            self._weights = self._combination._weights(self._members, data, targets)
        for model in self._used:
            model.fit(rows, targets, repeats)

    def predict(self) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of every row of the pool."""
        return _mixture(self._weights, [model.predict() for model in self._used])

    def condition(self, rows: Rows) -> None:
        """Take rows for queried, in the members that can."""
        for model in self._used:
            model.condition(rows)

    @property
    def _used(self) -> list[PoolModel]:
        pairs = zip(self._models, self._weights, strict=True)
        return [model for model, weight in pairs if weight > 0]


def plain_members() -> list[tuple[str, Any]]:
    """Return the default members, which need no graphs."""
    # Much alike in quality, and unlike in what they get wrong.
    trees = ExtraTrees(100, max_features=1.0)
    return [("gp", GaussianProcess()), ("kernel-ridge", KernelRidge()), ("extra-trees", trees)]


def _last(parameter: str) -> str:
    return parameter.rpartition("__")[2]


def _taus(predictions: Floats, targets: Floats) -> Floats:
    taus = [kendalltau(row, targets).statistic for row in predictions]
    return np.asarray(np.nan_to_num(taus), dtype=np.float64)


def _mixture(weights: Floats, predicted: list[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    """Mean and standard deviation of the mixture of the members of positive weight."""
    used = weights[weights > 0]
    means, stds = (np.stack(part).astype(np.float64) for part in zip(*predicted, strict=True))
    mean = used @ means
    variance = used @ (stds**2 + (means - mean) ** 2)
    return mean, np.sqrt(np.maximum(variance, 0.0))
