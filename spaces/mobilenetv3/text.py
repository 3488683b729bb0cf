"""String forms of architectures: one of ours, and those of once-for-all."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from weaknas.errors import InputError, shown, unknown
from weaknas.files import parse_json
from weaknas.spaces.mobilenetv3.skeleton import (
    DEPTHS,
    EXPANSIONS,
    KERNELS,
    LAYERS,
    LAYERS_PER_UNIT,
    UNITS,
)

_TEXT = re.compile(r"k(\d+(?:-\d+){4})_e(\d+(?:-\d+){4})(?:_r(\d+))?")
_COLUMNS = re.compile(r"(\d{20}),(\d{20}),(\d{5})(?:,(\d+))?")
_FORM = (
    "k33-533-75-3335-55_e44-334-66-4466-33_r224 (kernels and expansions by unit, resolution)"
    ' or JSON {"ks": [20 values], "e": [20 values], "d": [5 values], "r": resolution}'
)


class Choices(NamedTuple):
    """The choices of one architecture by their values.

    Parameters
    ----------
    kernels, expansions : tuple of int
        20 values, four a unit, 0 where there is no layer.
    depths : tuple of int
        5 values.
    resolution : int, optional
        None where it was not said.
    """

    kernels: tuple[int, ...]
    expansions: tuple[int, ...]
    depths: tuple[int, ...]
    resolution: int | None


def write_text(choices: Choices) -> str:
    """Return the string form of choices whose resolution is said."""
    kernels, expansions = (
        "-".join("".join(map(str, part)) for part in _split(values, choices.depths))
        for values in (choices.kernels, choices.expansions)
    )
    return f"k{kernels}_e{expansions}_r{choices.resolution}"


def read_text(text: str) -> Choices:
    """Read our string form, a JSON object, or ``ks,e,d[,r]`` with a digit a layer.

    Raises
    ------
    InputError
        When the text has none of these forms, or a value is not allowed.
    """
    text = text.strip()
    if match := _TEXT.fullmatch(text):
        kernels, expansions = match[1].split("-"), match[2].split("-")
        depths = [len(part) for part in kernels]
        if [len(part) for part in expansions] != depths:
            raise InputError(f"{text!r}: a unit has as many kernels as expansions")
        padded = ["".join(p.ljust(LAYERS_PER_UNIT, "0") for p in v) for v in (kernels, expansions)]
        return _check({"ks": padded[0], "e": padded[1], "d": depths, "r": match[3]})
    if match := _COLUMNS.fullmatch(text):
        return _check(dict(zip(("ks", "e", "d", "r"), match.groups(), strict=True)))
    return read_mapping(_read_json(text))


def read_mapping(choices: Mapping[str, Any]) -> Choices:
    """Read ``ks``, ``e``, ``d`` and perhaps ``r`` as once-for-all has them.

    Each is a list of numbers or a string of digits; the resolution a number or a
    list of one. What stands where there is no layer does not matter. A key
    ``wid``, which once-for-all writes, is ignored.

    Raises
    ------
    InputError
        When a key is missing or unknown, or a value is not allowed.
    """
    for key in choices:
        if key not in {"ks", "e", "d", "r", "wid"}:
            raise unknown("key", key, ("ks", "e", "d", "r"))
    missing = [key for key in ("ks", "e", "d") if key not in choices]
    if missing:
        raise InputError(f"no value for {', '.join(missing)}; the form is {_FORM}")
    return _check(choices)


def _read_json(text: str) -> Mapping[str, Any]:
    try:
        value = parse_json(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise InputError(f"malformed architecture {shown(text)}; the form is {_FORM}")
    return value


def _check(choices: Mapping[str, Any]) -> Choices:
    depths = _numbers("d", choices["d"], UNITS)
    _require("depth", depths, DEPTHS)
    kernels = _mask(_numbers("ks", choices["ks"], LAYERS), depths)
    expansions = _mask(_numbers("e", choices["e"], LAYERS), depths)
    _require("kernel", [k for part in _split(kernels, depths) for k in part], KERNELS)
    _require("expansion", [e for part in _split(expansions, depths) for e in part], EXPANSIONS)
    resolution = choices.get("r")
    if isinstance(resolution, Sequence) and not isinstance(resolution, str):
        resolution = _numbers("r", resolution, 1)[0]
    if resolution is not None:
        resolution = _number("r", resolution)
    return Choices(kernels, expansions, depths, resolution)


def _numbers(key: str, values: Any, length: int) -> tuple[int, ...]:
    if not isinstance(values, Sequence) or len(values) != length:
        raise InputError(f"{key!r} has {length} values, not {values!r}")
    return tuple(_number(key, value) for value in values)


def _number(key: str, value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        number = None
    if number is None or (not isinstance(value, str) and number != value):
        raise InputError(f"{key!r} has whole numbers, not {value!r}")
    return number


def _require(kind: str, values: Sequence[int], allowed: Sequence[int]) -> None:
    for value in values:
        if value not in allowed:
            raise unknown(kind, value, allowed)


def _split(values: Sequence[int], depths: Sequence[int]) -> list[tuple[int, ...]]:
    """Cut 20 values into those of the layers that exist, by unit."""
    starts = range(0, LAYERS, LAYERS_PER_UNIT)
    return [tuple(values[s : s + depth]) for s, depth in zip(starts, depths, strict=True)]


def _mask(values: Sequence[int], depths: Sequence[int]) -> tuple[int, ...]:
    parts = _split(values, depths)
    return tuple(v for part in parts for v in (*part, *[0] * (LAYERS_PER_UNIT - len(part))))
