"""A predictor and an encoder of our own, registered in pyproject.toml."""

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin
from sklearn.kernel_ridge import KernelRidge
from sklearn.utils.validation import check_is_fitted, validate_data


class GammaRegressor(RegressorMixin, BaseEstimator):
    """Kernel ridge regression whose width is chosen by the data's median distance."""

    def __init__(self, alpha=0.1):
        self.alpha = alpha

    def fit(self, X, y):
        """Fit to features, shape (n, f), and scores, shape (n,)."""
        X, y = validate_data(self, X, y, y_numeric=True, dtype=np.float64)
        squares = ((X[:, None] - X[None]) ** 2).sum(axis=2)
        self.offset_ = float(np.mean(y))
        width = float(np.median(squares)) or 1.0
        self.model_ = KernelRidge(alpha=self.alpha, kernel="rbf", gamma=1.0 / width)
        self.model_.fit(X, y - self.offset_)
        return self

    def predict(self, X):
        """Predict scores, shape (n,)."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        return self.model_.predict(X) + self.offset_


class ChoiceCounts(TransformerMixin, BaseEstimator):
    """How often each value is chosen, whatever the decision: shape (n, largest cardinality).

    An encoder is called with the space; genotypes of isomorphic architectures must
    be given equal rows, hence the canonical form.
    """

    def __init__(self, space):
        self.space = space

    def fit(self, genotypes, y=None):
        """Learn nothing."""
        self.n_features_in_ = np.shape(genotypes)[1]
        return self

    def transform(self, genotypes):
        """Encode genotypes, shape (n, d)."""
        rows = self.space.canonicalize(genotypes)
        values = np.arange(int(self.space.cardinalities.max()))
        return (rows[:, :, None] == values).sum(axis=1).astype(np.float32)
