"""Linear predictors."""

from __future__ import annotations

from typing import Any

from sklearn.linear_model import BayesianRidge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler


def bayesian_ridge(random_state: Any = None, **options: Any) -> Pipeline:
    """Return Bayesian ridge regression on standardised features.

    Parameters
    ----------
    random_state : ignored
        The fit has no randomness.
    **options
        Of `sklearn.linear_model.BayesianRidge`.
    """
    return make_pipeline(StandardScaler(), BayesianRidge(**options))
