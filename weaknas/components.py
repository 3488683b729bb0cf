"""Describing the exchangeable parts of a search: predictors and encoders."""

from __future__ import annotations

import json
from typing import Any

import numpy as np


def describe(component: Any) -> dict[str, Any]:
    """Return class and parameters of an estimator as plain JSON types.

    Parameters
    ----------
    component : object
        Anything; parameters are those of scikit-learn's ``get_params``, the space
        of an encoder left out.
    """
    parameters = component.get_params(deep=False) if hasattr(component, "get_params") else {}
    parameters = {name: value for name, value in parameters.items() if name != "space"}
    return {
        "name": type(component).__name__,
        "parameters": json.loads(json.dumps(parameters, default=_plain)),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if hasattr(value, "get_params") and not isinstance(value, type):
        return describe(value)
    # The text of a function has its address, which is another one in every process.
    return getattr(value, "__qualname__", None) or repr(value)
