"""Gaussian process with a length scale a block of features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from weaknas.components import check_sizes
from weaknas.predictors._base import Predicted, check_counts
from weaknas.predictors._gp_open import OpenGaussianProcess
from weaknas.predictors._gp_pool import GaussianProcessPool
from weaknas.predictors.labels import Repeats
from weaknas.predictors.open_model import OpenModel
from weaknas.predictors.pool import PoolModel


class GaussianProcess(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Gaussian process whose kernel has one length scale a block of features.

    A Matérn-5/2 kernel of the distance in which every block is divided by its
    length scale. Length scales, variance and noise are those of largest
    posterior density: marginal likelihood times log-normal priors that are the
    same for every block and data set (Rasmussen and Williams 2006, sec. 5.4).
    The mean is constant, by generalised least squares (sec. 2.7).

    Parameters
    ----------
    groups : sequence of slice or of index arrays, optional
        The blocks; default: all columns are one.
    trend : sequence of int, optional
        Columns with which scores may go up or down over the whole space, such as
        costs: the mean is linear in them, with slopes learnt from the data.
    additive : bool
        Whether the mean is linear in all columns, so that decisions add up over the whole
        space, with a prior variance of these sums that is one more hyperparameter. For
        spaces of many decisions, of which the data know few combinations.
    sources : sequence of int, optional
        Columns of what earlier measurements predict, in no block: the mean is linear in each,
        whatever else is, so that a source counts as far as the data bear it out. They keep
        their unit, in which the deviation of their slopes is 1.
    max_iter : int
        Steps of the optimiser of the hyperparameters.
    draws : int
        On a pool, mean and deviation are those of the mixture of as many processes whose
        hyperparameters are drawn from their posterior, and of the one by its mode (a fully
        Bayesian treatment: Snoek et al., NeurIPS 2012, sec. 3.2; here the draws are from a normal
        approximation). Few labels bear out many hyperparameters; a search that believes one of
        them may sit around what is good by it, sure that nothing else is.
    random_state : int or RandomState, optional
        Seeds the draws.

    Attributes
    ----------
    hyperparameters_ : Hyperparameters
        For scaled features and standardised targets.

    Examples
    --------
    >>> import numpy as np
    >>> from weaknas.predictors.gaussian_process import GaussianProcess
    >>> X = np.linspace(0, 3, 20)[:, None]
    >>> process = GaussianProcess().fit(X, np.sin(X[:, 0]))
    >>> mean, std = process.predict([[1.5], [9.0]], return_std=True)
    >>> float(mean[0].round(2)), bool(std[0] < 0.1 < std[1])
    (1.0, True)
    """

    def __init__(
        self,
        *,
        groups: Sequence[Any] | None = None,
        trend: Sequence[int] | None = None,
        additive: bool = False,
        sources: Sequence[int] | None = None,
        max_iter: int = 15,
        draws: int = 0,
        random_state: Any = None,
    ) -> None:
        self.groups = groups
        self.trend = trend
        self.additive = additive
        self.sources = sources
        self.max_iter = max_iter
        self.draws = draws
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit hyperparameters and condition on the data.

        Parameters
        ----------
        X : array-like, shape (n, f)
        y : array-like, shape (n,)
        sample_weight : array-like, shape (n,), optional
            Trainings that each label is the mean of, which divide the variance of its
            noise; default: one. Rows of weight 0 are left out.
        """
        check_sizes(self)
        X, y = validate_data(self, X, y, y_numeric=True, dtype=np.float32)
        X, y, counts = check_counts(sample_weight, X, y)
        self._model = OpenGaussianProcess(X, **self._parameters(), dtype=np.float64, largest=None)
        self._model.fit(X, y, None if counts is None else Repeats.counted(counts))
        self.hyperparameters_ = self._model.hyperparameters
        return self

    def predict(self, X: Any, return_std: bool = False) -> Predicted:
        """Predict the noise-free score.

        Parameters
        ----------
        X : array-like, shape (m, f)
        return_std : bool

        Returns
        -------
        mean : ndarray, shape (m,)
        std : ndarray, shape (m,)
            Only with ``return_std=True``.
        """
        check_is_fitted(self)
        mean, std = self._model.predict(validate_data(self, X, reset=False, dtype=np.float32))
        return (mean, std) if return_std else mean

    def for_pool(self, features: Any) -> PoolModel:
        """Bind to a pool: what was computed for it is kept from round to round."""
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        return GaussianProcessPool(features, **self._parameters(), draws=self.draws, seed=seed)

    def for_any(self, reference: Any) -> OpenModel:
        """Return a model for any candidates, with features scaled by a sample, shape (n, f)."""
        return OpenGaussianProcess(reference, **self._parameters())

    def _parameters(self) -> dict[str, Any]:
        """Return what all models share."""
        parameters = self.get_params(deep=False)
        return {name: parameters[name] for name in parameters.keys() - {"draws", "random_state"}}
