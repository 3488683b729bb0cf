"""Spaces, and the tables that belong to them, described in a TOML file.

The file has a ``[choices]`` table with the values of each choice, a ``[cell]`` or both,
optionally a ``name``, ``[conditions]``, ``[costs]`` and ``[table]``::

    name = "mine"

    [choices]
    layer1 = ["skip", "conv3", "conv5"]
    width = [16, 32, 64]
    rate = { low = 1e-4, high = 1e-1, log = true }  # any of 65 values between
    block = { values = ["conv3", "conv5"], repeat = 20 }  # block1, block2, ..., block20

    [conditions]
    width = { layer1 = ["conv3", "conv5"] }

    [cell]  # of decisions "0->1", "0->2", "1->2", ...; see `weaknas.spaces.Cell`
    nodes = 4
    operations = ["none", "skip", "conv3"]
    nothing = "none"

    [costs.params]  # the sum over the choices that exist; `cell` means its operations
    layer1 = { skip = 0, conv3 = 9, conv5 = 25 }
    block = [9, 25]  # in the order of the values, of each of the 20
    cell = { none = 0, skip = 0, conv3 = 9 }

    [table]
    path = "mine.csv"
    objective = "accuracy"
    maximize = true
    cost = "seconds"
    test = "test_accuracy"
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weaknas.errors import InputError, check_number, check_whole, shown, unknown
from weaknas.files import read_toml
from weaknas.spaces.choices.cell import Cell
from weaknas.spaces.choices.costs import SumOfChoices
from weaknas.spaces.choices.numbers import Number
from weaknas.spaces.choices.space import ChoiceSpace
from weaknas.spaces.choices.values import ChoiceValues

_MOST_BYTES = 2**24
_KEYS = ("name", "choices", "conditions", "cell", "costs", "table")
_NUMBER_KEYS = ("low", "high", "log")
_REPEAT_KEYS = ("values", "repeat")
_CELL_KEYS = ("nodes", "operations", "nothing", "on")
_MOST_REPEATS = 10_000
_TABLE_KEYS = {"path": str, "objective": str, "maximize": bool, "cost": str, "test": str}


@dataclass(frozen=True)
class TableDescription:
    """What a file says of its table.

    Parameters
    ----------
    path : Path
        CSV or Parquet; in the file relative to the file's own folder.
    objective : str
        The column that a search is shown.
    maximize : bool
    cost, test : str, optional
        Columns of training seconds and of test results.
    """

    path: Path
    objective: str
    maximize: bool = True
    cost: str | None = None
    test: str | None = None


@dataclass(frozen=True)
class SpaceFile:
    """What is in a file.

    Parameters
    ----------
    space : ChoiceSpace
    table : TableDescription, optional
    """

    space: ChoiceSpace
    table: TableDescription | None


def read_space(path: str | Path) -> ChoiceSpace:
    """Return the space that a TOML file describes.

    Raises
    ------
    InputError
        As for `read_space_file`.
    """
    return read_space_file(path).space


def read_space_file(path: str | Path) -> SpaceFile:
    """Read a TOML file; see the module for its form.

    Raises
    ------
    InputError
        When the file is missing, no TOML, lacks something, or has a key or value
        that is not known; one line that names the file.
    """
    path = Path(path)
    content = read_toml(path, _MOST_BYTES)
    try:
        return _interpret(path, content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _interpret(path: Path, content: dict[str, Any]) -> SpaceFile:
    _require_known("key", content, _KEYS)
    name = content.get("name", path.stem)
    if not isinstance(name, str) or not name:
        raise InputError(f"name must be a text, not {name!r}")
    choices = _table_of(content, "choices")
    if not choices and "cell" not in content:
        raise InputError("[choices] is missing or empty")
    values: dict[str, list[Any] | Number] = {}
    named: dict[str, list[str]] = {}  # by the entry of the file
    for variable, given in choices.items():
        for repeated, one in _repeat(variable, given):
            if repeated in values:
                raise InputError(f"the choice {repeated!r} is there twice")
            values[repeated] = _values(variable, one)
            named.setdefault(variable, []).append(repeated)
    cell = _cell(_table_of(content, "cell")) if "cell" in content else None
    listed = {name: given for name, given in values.items() if isinstance(given, list)}
    if cell:
        if "cell" in values:
            raise InputError(
                "beside [cell] no choice may be called 'cell': prices would be of both"
            )
        named["cell"] = [*cell.decided]
        listed |= {decision: list(cell.operations) for decision in named["cell"]}
    costs = {
        cost: _sum(cost, _require_table(f"costs.{cost}", given), named, listed)
        for cost, given in _table_of(content, "costs").items()
    }
    space = ChoiceSpace(values, name, _table_of(content, "conditions"), cell=cell, costs=costs)
    return SpaceFile(space, _table_description(path, content) if "table" in content else None)


def _repeat(variable: str, given: Any) -> list[tuple[str, Any]]:
    """Return the choices that one entry stands for, with what it says of each."""
    if not isinstance(given, dict) or not {*_REPEAT_KEYS} & set(given):
        return [(variable, given)]
    if "values" in given:
        _require_known(f"key of {variable!r}", given, _REPEAT_KEYS)
    rest = {key: value for key, value in given.items() if key not in _REPEAT_KEYS}
    count = check_whole(f"repeat of {variable!r}", given.get("repeat"))
    if count > _MOST_REPEATS:
        raise InputError(f"{variable!r} is repeated at most {_MOST_REPEATS:,} times, not {count}")
    return [(f"{variable}{i}", given.get("values", rest)) for i in range(1, count + 1)]


def _sum(
    cost: str,
    given: Mapping[str, Any],
    named: Mapping[str, Sequence[str]],
    listed: Mapping[str, Sequence[Any]],
) -> SumOfChoices:
    prices: dict[str, dict[str, float]] = {}
    for entry, numbers in given.items():
        if entry not in named:
            raise unknown(f"choice in [costs.{cost}]", entry, named)
        if named[entry][0] not in listed:
            raise InputError(
                f"{entry} of [costs.{cost}] is a number between two bounds, which has no prices;"
                " choices have that list their values"
            )
        texts = list(ChoiceValues(entry, listed[named[entry][0]]).texts)
        told = dict(zip(texts, numbers, strict=False)) if isinstance(numbers, list) else numbers
        if not isinstance(told, dict) or len(numbers) != len(texts) or set(told) != set(texts):
            raise InputError(
                f"{entry} of [costs.{cost}] has a number for each of {', '.join(texts)}, not"
                f" {numbers!r}"
            )
        for text, number in told.items():
            check_number(f"{entry} {text} of [costs.{cost}]", number)
        prices |= dict.fromkeys(named[entry], told)
    return SumOfChoices(prices)


def _cell(given: dict[str, Any]) -> Cell:
    _require_known("key of [cell]", given, _CELL_KEYS)
    for key in ("nodes", "operations"):
        if key not in given:
            raise InputError(f"[cell] lacks {key}")
    if not _is_plain_list(given["operations"]):
        raise InputError(
            "the operations of [cell] must be a list of texts, numbers or lists of them, not"
            f" {shown(given['operations'])}"
        )
    return Cell(**given)


def _values(variable: str, given: Any) -> list[Any] | Number:
    if isinstance(given, dict):
        _require_known(f"key of {variable!r}", given, (*_REPEAT_KEYS, *_NUMBER_KEYS))
        if not {"low", "high"} <= set(given):
            raise InputError(
                f"the choice {variable!r} needs values, or as a number low and high:"
                f" {{ low = 0, high = 1 }}; given are {', '.join(given) or 'none'}"
            )
        return Number(**given)
    if not _is_plain_list(given):
        raise InputError(
            f"the values of {variable!r} must be a list of texts, numbers or lists of them, or a"
            " number: { low = 1e-4, high = 1e-1, log = true }"
        )
    return list(given)


def _table_description(path: Path, content: dict[str, Any]) -> TableDescription:
    table = _table_of(content, "table")
    _require_known("key of [table]", table, _TABLE_KEYS)
    for key in ("path", "objective"):
        if key not in table:
            raise InputError(f"[table] lacks {key}")
    for key, value in table.items():
        if not isinstance(value, _TABLE_KEYS[key]):
            wanted = "true or false" if _TABLE_KEYS[key] is bool else "a text"
            raise InputError(f"{key} of [table] must be {wanted}, not {value!r}")
    return TableDescription(**(table | {"path": path.parent / table["path"]}))


def _is_plain_list(value: Any) -> bool:
    return isinstance(value, list) and _is_plain(value)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return isinstance(value, str | int | float | bool)


def _table_of(content: dict[str, Any], name: str) -> dict[str, Any]:
    return _require_table(name, content.get(name, {}))


def _require_table(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"[{name}] must be a table, not {value!r}")
    return value


def _require_known(kind: str, names: Iterable[str], allowed: Iterable[str]) -> None:
    for name in names:
        if name not in allowed:
            raise unknown(kind, name, allowed)
