"""The values of one choice: how they are spelled, and which of them others stand for."""

from __future__ import annotations

import ast
import dataclasses
import functools
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Set
from decimal import Decimal
from functools import cached_property
from itertools import islice, pairwise
from numbers import Real
from typing import Any

import numpy as np

from weaknas.errors import InputError, listed, refuse_set, unknown
from weaknas.spaces.choices.numbers import Number

_MOST_VALUES = 1_000_000
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")
_NOTHING = {"", "nan", "na", "n/a", "<na>", "nat", "none", "null"}  # in small letters
_LONGEST_LITERAL = 10_000
_DEEPEST = 20  # tuples in tuples
_WHOLE_SINGLES = 2**24  # up to here single precision holds every whole number


class ChoiceValues:
    """The values that one decision may take.

    Parameters
    ----------
    name : str
        Of the decision.
    values : sequence, Number, or mapping of str to object
        Numbers, texts, tuples, lists and all else whose text is the same in every
        process; objects by name where it is not.

    Attributes
    ----------
    values : tuple
    texts : tuple of str
        The spelling of each in string forms and records.

    Raises
    ------
    InputError
        When there is none, one is there twice, or one cannot be told again in another
        process.
    """

    def __init__(self, name: str, values: Iterable[Any] | Mapping[str, Any] | Number) -> None:
        self.name = name
        self._number = values if isinstance(values, Number) else None
        if isinstance(values, Number):
            values = values.values
        if isinstance(values, Mapping):
            names, objects = list(values), list(values.values())
            if not all(isinstance(text, str) for text in names):
                raise InputError(f"the names of the choices of {name!r} must be texts: {names}")
        else:
            names = objects = _list(name, values)
        self.values = tuple(objects)
        self.texts = tuple(_spell(name, value) for value in names)
        self._index = {text: index for index, text in enumerate(self.texts)}
        if not self.texts or len(self._index) < len(self.texts):
            raise InputError(f"the choices of {name!r} are empty or repeat: {listed(self.texts)}")

    def __len__(self) -> int:
        return len(self.values)

    @property
    def is_ordered(self) -> bool:
        """Whether they are three or more numbers in increasing order."""
        numbers = all(_is_number(value) for value in self.values)
        return numbers and len(self) > 2 and all(a < b for a, b in pairwise(self.values))

    def index(self, value: Any) -> int | None:
        """Return which of the values is meant, None if none is.

        The value itself or its spelling; else one that is equal as Python reads it
        (``"1"`` or 1.0 for 1, ``"TRUE"`` for True, a list for a tuple), or the one that
        is rounded to it in single or half precision, as tables hold numbers.
        """
        if not isinstance(value, str) and not _is_number(value):
            for index, own in enumerate(self.values):
                if own is value:
                    return index
        try:
            text = _spelling(value)
        except InputError:
            return None
        if text in self._index:
            return self._index[text]
        key = _key(value)
        if key in self._by_key:
            return self._by_key[key]
        if isinstance(key, float) and (not key.is_integer() or abs(key) >= _WHOLE_SINGLES):
            return next((found[key] for found in self._by_rounding if key in found), None)
        return None

    def refuse(self, value: Any) -> InputError:
        """Build the error for a value that is none of these; of a number the nearest is named."""
        given = _key(value)
        if self._number is None or not isinstance(given, float):
            return unknown(f"value of {self.name!r}", value, self.texts)
        nearest = min(self.values, key=lambda own: abs(own - given))
        return InputError(
            f"the value {value} of {self.name!r} is not on its grid from {self._number.low:g} to"
            f" {self._number.high:g}; the nearest is {nearest}"
        )

    def is_absent(self, value: Any) -> bool:
        """Tell whether a cell of a table says that there is no value."""
        is_own = isinstance(value, str) and value in self._index
        return is_nothing(value) and not is_own

    @cached_property
    def _by_key(self) -> dict[Hashable, int]:
        return _unambiguous(_key(value) for value in self.values)

    @cached_property
    def _by_rounding(self) -> list[dict[Hashable, int]]:
        with np.errstate(over="ignore"):
            return [
                _unambiguous(_rounded(kind, value) for value in self.values)
                for kind in (np.float32, np.float16)
            ]


def is_nothing(value: Any) -> bool:
    """Tell whether a cell of a table is empty: None, NaN, pandas' NA, or a text for them."""
    is_pandas = type(value).__name__ in ("NAType", "NaTType")  # imported by who has them
    if is_pandas or isinstance(value, str | float | Decimal | np.generic | None):
        return str(value).strip().lower() in _NOTHING
    return False


def _list(name: str, values: Iterable[Any]) -> list[Any]:
    """Return the values of something that lists them in the same order in every process."""
    refuse_set(f"the choices of {name!r}", values)
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InputError(f"the choices of {name!r} must be a list of values, not {values!r}")
    found = list(islice(values, _MOST_VALUES + 1))
    if len(found) > _MOST_VALUES:
        raise InputError(f"{name!r} has more than {_MOST_VALUES:,} choices, the most there may be")
    return found


def _spell(name: str, value: Any) -> str:
    """Return the text of a value that another process tells by it.

    Raises
    ------
    InputError
        When it has none, or one that is not the same there or not read again.
    """
    _check_nested(name, value)
    text = _spelling(value)
    if not isinstance(value, str) and _ADDRESS.search(text):
        raise InputError(
            f"the choice {text} of {name!r} is told by its address, which differs between"
            f" processes; name it: {{{name!r}: {{'a name': the object, ...}}}}"
        )
    if text != text.strip() or len(text.splitlines()) > 1:
        raise InputError(
            f"the choice {text!r} of {name!r} begins or ends with a blank or has several lines"
        )
    return text


def _spelling(value: Any) -> str:
    """Return the text of a value, in one line if it is an object.

    Raises
    ------
    InputError
        When it has none: Python refuses very long integers and very deep tuples.
    """
    if isinstance(value, str):
        return str(value)
    try:
        return " ".join(str(value).split())
    except Exception as error:
        raise InputError(f"a {type(value).__name__} that has no text: {error}") from error


def _key(value: Any, depth: int = _DEEPEST) -> Hashable:
    """Return what values have in common that are equal as Python reads them; None: nothing."""
    if isinstance(value, bool | np.bool_):
        return ("truth", bool(value))
    if isinstance(value, str):
        return _key_of_text(value.strip(), depth)
    if _is_number(value) or isinstance(value, Decimal):
        return _finite(value)
    if isinstance(value, np.ndarray):
        return _key(value.tolist(), depth)
    if isinstance(value, list | tuple) and depth > 0:
        keys = [(item, _key(item, depth - 1)) for item in value]
        return tuple(str(item) if key is None else key for item, key in keys)
    return None


def _key_of_text(text: str, depth: int) -> Hashable:
    if text.lower() in ("true", "false"):
        return ("truth", text.lower() == "true")
    try:
        return _finite(text)
    except ValueError:
        pass
    if text[:1] in ("(", "[") and len(text) <= _LONGEST_LITERAL:
        try:
            return _key(ast.literal_eval(text), depth)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return None
    return None


def _finite(value: Any) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if np.isfinite(number) else None


def _rounded(kind: type[np.floating[Any]], value: Any) -> float | None:
    try:
        return float(kind(value)) if _is_number(value) else None
    except OverflowError:
        return None


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)


def _check_nested(name: str, value: Any, depth: int = _DEEPEST) -> None:
    """Refuse sets in tuples, lists, mappings and data classes, and such as go on for ever."""
    if isinstance(value, Set):
        raise InputError(
            f"a choice of {name!r} holds a set, whose order differs between processes: {value!r}"
        )
    items = _parts(value)
    if items and depth == 0:
        raise InputError(f"a choice of {name!r} is nested more than {_DEEPEST} deep")
    for item in items:
        _check_nested(name, item, depth - 1)


def _parts(value: Any) -> list[Any]:
    """Return what the text of a value shows of other values."""
    if isinstance(value, Mapping):
        return [*value, *value.values()]
    if isinstance(value, list | tuple):
        return list(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name) for field in dataclasses.fields(value) if field.repr]
    if isinstance(value, functools.partial):
        return [*value.args, *value.keywords.values()]
    return []


def _unambiguous(keys: Iterable[Hashable]) -> dict[Hashable, int]:
    """Return where each key stands that stands in one place."""
    places = list(keys)
    counts = Counter(places)
    return {key: at for at, key in enumerate(places) if key is not None and counts[key] == 1}
