"""Limits on what an architecture may cost, as text: ``macs<=600e6``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, refuse_set

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_ONE = re.compile(rf"([A-Za-z_]\w*)\s*(<=|>=)\s*({_NUMBER})")
_WINDOW = re.compile(rf"({_NUMBER})\s*<=\s*([A-Za-z_]\w*)\s*<=\s*({_NUMBER})")
_FORM = 'the form is "macs<=600e6", "macs>=550e6" or "550e6<=macs<=600e6"'


@dataclass(frozen=True)
class Constraint:
    """A window for one cost.

    Parameters
    ----------
    cost : str
        Its name.
    low, high : float
        Bounds, both allowed themselves.

    Raises
    ------
    InputError
        When the window is empty.
    """

    cost: str
    low: float = -np.inf
    high: float = np.inf

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise InputError(f"the window {self} is empty")

    def __str__(self) -> str:
        low, high = (f"{bound:.15g}" for bound in (self.low, self.high))
        if self.low == -np.inf:
            return f"{self.cost}<={high}"
        if self.high == np.inf:
            return f"{self.cost}>={low}"
        return f"{low}<={self.cost}<={high}"

    def distance(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return how far values, shape (n,), are outside; infinite where they are no number."""
        outside = np.maximum(np.maximum(self.low - values, values - self.high), 0.0)
        return np.where(np.isnan(outside), np.inf, outside)


def parse_constraint(text: str) -> Constraint:
    """Read a constraint.

    Raises
    ------
    InputError
        When the text is none.

    Examples
    --------
    >>> parse_constraint("550e6 <= macs <= 600e6")
    Constraint(cost='macs', low=550000000.0, high=600000000.0)
    """
    if match := _ONE.fullmatch(text.strip()):
        name, sign, bound = match[1], match[2], float(match[3])
        return Constraint(name, high=bound) if sign == "<=" else Constraint(name, low=bound)
    if match := _WINDOW.fullmatch(text.strip()):
        return Constraint(match[2], float(match[1]), float(match[3]))
    raise InputError(f"malformed constraint {text!r}; {_FORM}")


def parse_constraints(
    constraints: str | Constraint | Iterable[str | Constraint],
) -> tuple[Constraint, ...]:
    """Read one or several constraints, all of which hold.

    Raises
    ------
    InputError
        When one is malformed, there is none, or they are a set.
    """
    refuse_set("constraints", constraints)
    given = [constraints] if isinstance(constraints, str | Constraint) else list(constraints)
    if not given:
        raise InputError(f"no constraint is given; {_FORM}")
    return tuple(item if isinstance(item, Constraint) else parse_constraint(item) for item in given)
