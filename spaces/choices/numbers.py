"""Numbers between two bounds, as a decision on a grid."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from functools import cached_property
from numbers import Real

import numpy as np

from weaknas.errors import InputError

#: Steps from the lower bound of a number to the upper one; it has one value more.
STEPS = 64
# Of a step, to which a value is rounded: its text is short, and hardly off the grid.
_PART_OF_STEP = 0.01


@dataclass(frozen=True)
class Number:
    """A number between two bounds: a decision between 65 values at equal distances.

    Parameters
    ----------
    low, high : float
        The bounds; both are values.
    log : bool
        Whether distances are equal on a logarithmic scale, as for learning rates.

    Raises
    ------
    InputError
        When the bounds are not two finite numbers in ascending order, or not above 0 on
        a logarithmic scale.

    Examples
    --------
    >>> Number(0.0, 0.5).values[:4]
    (0.0, 0.00781, 0.01562, 0.02344)
    >>> Number(1e-4, 1e-1, log=True).values[-3:]
    (0.08058, 0.0898, 0.1)
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        bounds = self.low, self.high
        if not all(_is_finite(bound) for bound in bounds) or not self.low < self.high:
            raise InputError(
                f"a number needs two finite bounds, the lower first, not {self.low!r} and"
                f" {self.high!r}"
            )
        if not isinstance(self.log, bool):
            raise InputError(f"log of a number is True or False, not {self.log!r}")
        if self.log and self.low <= 0:
            raise InputError(
                f"a number on a logarithmic scale is above 0; its lower bound is {self.low!r}"
            )

    @cached_property
    def values(self) -> tuple[float, ...]:
        """The values, ascending: each rounded to a hundredth of the step that it begins."""
        try:
            low, high = float(self.low), float(self.high)
            space = np.geomspace if self.log else np.linspace
            with np.errstate(over="ignore", invalid="ignore"):
                exact = space(low, high, STEPS + 1).tolist()
                steps = np.diff(exact).tolist()
            inner = [_round(*pair) for pair in zip(exact[1:-1], steps[1:], strict=True)]
        except (OverflowError, ValueError) as error:  # too far apart, or too near, for floats
            raise InputError(
                f"between {self.low} and {self.high} there are no {STEPS} steps"
            ) from error
        if not all(a < b for a, b in zip([low, *inner], [*inner, high], strict=True)):
            raise InputError(f"between {low} and {high} there are no {STEPS} steps")
        return (low, *inner, high)


def _round(value: float, step: float) -> float:
    return round(value, math.ceil(-math.log10(step * _PART_OF_STEP))) if step > 0 else value


def _is_finite(value: object) -> bool:
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    return bool(-sys.float_info.max <= value <= sys.float_info.max)  # type: ignore[operator]
