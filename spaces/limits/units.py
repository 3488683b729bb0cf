"""Units of what is measured, and how many costs may be objectives."""

from __future__ import annotations

from collections.abc import Mapping

from weaknas.errors import InputError

#: Costs that may be objectives beside the score: more have no exact volume.
MOST_COSTS = 2

#: What one of each is in the unit of the first, by what they measure.
UNITS: Mapping[str, Mapping[str, float]] = {
    "time": {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9},
    "energy": {"J": 1.0, "mJ": 1e-3, "uJ": 1e-6, "Wh": 3600.0},
    "memory": {"B": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9},
}


def convert(value: float, unit: str, wanted: str) -> float:
    """Return a value of one unit in another.

    Raises
    ------
    InputError
        When the units measure different things or are unknown.
    """
    if unit == wanted:
        return value
    for factors in UNITS.values():
        if unit in factors and wanted in factors:
            return value * (factors[unit] / factors[wanted])
    like = next((factors for factors in UNITS.values() if wanted in factors), {wanted: 1.0})
    raise InputError(f"the unit {unit!r} is none of what is measured in {wanted}"
                     f" (allowed: {', '.join(like)})")  # fmt: skip
