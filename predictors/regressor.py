"""What a search asks of any regressor of scikit-learn: weights, deviations, one number a row."""

from __future__ import annotations

import inspect
import reprlib
from typing import Any, Protocol, runtime_checkable

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from weaknas.errors import InputError
from weaknas.predictors.labels import Counts, Floats


@runtime_checkable
class Regressor(Protocol):
    """Any regressor of scikit-learn's contract."""

    def fit(self, X: Any, y: Any) -> Any:
        """Fit to features, shape (n, f), and targets, shape (n,); return the regressor."""

    def predict(self, X: Any) -> Any:
        """Return predictions of features, shape (m, f); shape (m,)."""


@runtime_checkable
class ReadsGraphs(Protocol):
    """A regressor that says whether it reads the columns of the encoder ``graphs``."""

    @property
    def reads_graphs(self) -> bool:
        """Whether features are wanted that start with these columns."""


def fit_weighted(estimator: Any, features: Any, targets: Floats, counts: Counts | None) -> Any:
    """Fit a regressor, with weights where its ``fit`` takes them; return it."""
    name, last = _last_step(estimator)
    if counts is None or not has_fit_parameter(last, "sample_weight"):
        return estimator.fit(features, targets)
    weights = f"{name}__sample_weight" if name else "sample_weight"
    return estimator.fit(features, targets, **{weights: counts})


def has_std(estimator: Any) -> bool:
    """Tell whether a regressor's ``predict`` takes ``return_std``."""
    return "return_std" in inspect.signature(_last_step(estimator)[1].predict).parameters


def predict_mean(estimator: Any, features: Any) -> Floats:
    """Return the predictions of a regressor, shape (n,).

    Raises
    ------
    InputError
        When they are not one finite number a row, or it refuses the rows.
    """
    mean = _call(estimator, features)
    return check_prediction(estimator, mean, len(features))


def predict(estimator: Any, features: Any) -> tuple[Floats, Floats]:
    """Return mean and standard deviation, each shape (n,); 0 where the regressor has none.

    Raises
    ------
    InputError
        When they are not one finite number a row, a deviation is negative, or the
        regressor refuses the rows.
    """
    rows = len(features)
    if not has_std(estimator):
        return predict_mean(estimator, features), np.zeros(rows)
    both = _call(estimator, features, return_std=True)
    if not isinstance(both, tuple) or len(both) != 2:
        raise InputError(
            f"{type(estimator).__name__} predicted {type(both).__name__} for return_std=True;"
            " a pair of mean and standard deviation is needed"
        )
    return check_predictions(estimator, *both, rows)


def check_predictions(predictor: Any, mean: Any, std: Any, rows: int) -> tuple[Floats, Floats]:
    """Return mean and standard deviation as they are, or say what is wrong with them.

    Raises
    ------
    InputError
        When one is not one finite number a row, or a deviation is negative.
    """
    deviations = check_prediction(predictor, std, rows, "standard deviation")
    if rows and deviations.min() < 0:
        raise InputError(
            f"{type(predictor).__name__} predicted a standard deviation of {deviations.min():g};"
            " 0 or more is needed"
        )
    return check_prediction(predictor, mean, rows), deviations


def check_prediction(predictor: Any, values: Any, rows: int, what: str = "score") -> Floats:
    """Return predictions, shape (n,), or say what is wrong with them.

    Raises
    ------
    InputError
        When they are not one finite number a row.
    """
    name = type(predictor).__name__
    try:
        numbers = np.asarray(_real(np.asarray(values)), dtype=np.float64)
    except (TypeError, ValueError, RuntimeError) as error:  # the last of tensors with gradients
        raise InputError(f"{name} predicted no numbers, but {reprlib.repr(values)}") from error
    if numbers.shape not in {(rows,), (rows, 1)}:
        raise InputError(
            f"{name} predicted values of shape {numbers.shape} for {rows} rows;"
            f" one {what} a row is needed"
        )
    numbers = numbers.reshape(-1)
    finite = np.isfinite(numbers)
    if not finite.all():
        raise InputError(
            f"{name} predicted a {what} of {numbers[~finite][0]} for {int((~finite).sum())}"
            f" of {rows} rows; finite numbers are needed"
        )
    return numbers


def _real(values: Any) -> Any:
    """Refuse texts, times and complex numbers, of which numpy would make real ones."""
    if values.dtype.kind not in "biufO":
        raise TypeError(f"{values.dtype} is no kind of real number")
    return values


def _call(estimator: Any, features: Any, **options: Any) -> Any:
    try:
        return estimator.predict(features, **options)
    except (TypeError, ValueError) as error:
        raise InputError(f"{type(estimator).__name__} cannot predict: {error}") from error


def _last_step(estimator: Any) -> tuple[str, Any]:
    """Return name and regressor at the end of a pipeline; of any other, no name and itself."""
    name, last = estimator.steps[-1] if isinstance(estimator, Pipeline) else ("", estimator)
    return name, last
