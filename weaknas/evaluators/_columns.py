"""Columns of a user's table: their cells, and numbers of whatever holds them."""

from __future__ import annotations

from datetime import timedelta
from numbers import Complex, Real
from typing import Any, Protocol, SupportsFloat, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError
from weaknas.spaces.choices.values import is_nothing

Values: TypeAlias = npt.NDArray[np.float64]

_TRUTH = {"true": "1", "false": "0"}
_SECOND = np.timedelta64(1, "s")


class NotNumbersError(InputError):
    """A column that holds something else than numbers."""


@runtime_checkable
class _ArrowColumn(Protocol):
    def to_pylist(self) -> list[Any]:
        """Return the cells."""


@runtime_checkable
class _Series(Protocol):
    """A column of pandas, polars or pyarrow."""

    def to_numpy(self) -> npt.NDArray[Any]:
        """Return the cells."""


def cells(column: Any) -> list[Any]:
    """Return the cells of a column as Python values."""
    return column.to_pylist() if isinstance(column, _ArrowColumn) else list(column)


def numbers(name: str, column: Any) -> Values:
    """Return the numbers of a column, shape (n, repeats).

    Durations become seconds, truth values 0 and 1, empty cells NaN.

    Raises
    ------
    NotNumbersError
        When a cell is something else: a text, a complex number, a point in time.
    InputError
        When the column has more than two dimensions.
    """
    try:
        values = _as_floats(_as_array(column))
    except (TypeError, ValueError, OverflowError) as error:
        raise NotNumbersError(f"the column {name!r} is not numeric: {error}") from error
    if values.ndim not in (1, 2):
        raise InputError(f"the column {name!r} has {values.ndim} dimensions; 1 or 2 are read")
    return values.reshape(len(values), -1)


def _as_array(column: Any) -> npt.NDArray[Any]:
    if isinstance(column, np.ndarray | _Series):
        return np.asarray(column)
    values = list(column)
    try:
        return np.asarray(values)
    except ValueError:  # rows of different lengths
        array = np.empty(len(values), dtype=object)
        array[:] = values
        return array


def _as_floats(array: npt.NDArray[Any]) -> Values:
    if array.dtype.kind in "biuf":
        return array.astype(np.float64)
    if array.dtype.kind == "m":
        return np.asarray(array / _SECOND, dtype=np.float64)
    if array.dtype.kind == "O" and array.ndim == 1:
        return np.array([_number(value) for value in array], dtype=np.float64)
    return np.array([_number(value) for value in array.ravel()]).reshape(array.shape)


def _number(value: Any) -> Any:
    """Return the number in a cell; those of repeated trainings as a list."""
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return _number(value[()])
    if isinstance(value, list | tuple | np.ndarray):
        return [_number(item) for item in value]
    if is_nothing(value):
        return np.nan
    if isinstance(value, str):
        return _number_of_text(str(value))
    if isinstance(value, timedelta):
        value = value.total_seconds()
    elif isinstance(value, np.timedelta64):
        value = value / _SECOND
    is_complex = isinstance(value, Complex) and not isinstance(value, Real)
    has_other_meaning = is_complex or isinstance(value, np.datetime64 | bytes)
    if has_other_meaning or not isinstance(value, SupportsFloat):
        raise TypeError(f"{value!r} is a {type(value).__name__}")
    return float(value)


def _number_of_text(text: str) -> float:
    try:
        return float(_TRUTH.get(text.strip().lower(), text))
    except ValueError:
        raise ValueError(f"{text!r} is no number") from None
