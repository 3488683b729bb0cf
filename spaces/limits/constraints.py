"""Limits on what an architecture may cost, as text: ``macs<=600e6``, ``latency<=25ms @95%``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from numbers import Real

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, check_list, check_number, refuse_set, shown
from weaknas.spaces._base import CostFunction
from weaknas.spaces.limits.uncertain import UncertainCost
from weaknas.spaces.limits.units import convert

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_BOUND = rf"({_NUMBER})\s*([A-Za-z]*)"
_NAME, _CONFIDENCE = r"([A-Za-z_](?:[\w-]*\w)?)", rf"(?:\s*@\s*({_NUMBER})\s*%)?"
_ONE = re.compile(rf"{_NAME}\s*(<=|>=)\s*{_BOUND}{_CONFIDENCE}")
_LIST = re.compile(rf"{_NAME}\s*<=\s*({_NUMBER}(?:\s*,\s*{_NUMBER})+)\s*([A-Za-z]*)({_CONFIDENCE})")
_WINDOW = re.compile(rf"{_BOUND}\s*<=\s*{_NAME}\s*<=\s*{_BOUND}{_CONFIDENCE}")
Values = npt.NDArray[np.float64]
_FORM = (
    'the form is "macs<=600e6", "macs>=550e6", "550e6<=macs<=600e6", of a cost that is'
    ' measured "latency<=25ms", and "latency<=25ms @95%" where it holds with a confidence'
)


@dataclass(frozen=True)
class Constraint:
    """A window for one cost.

    Parameters
    ----------
    cost : str
        Its name.
    low, high : float
        Bounds, both allowed themselves.
    confidence : float, optional
        Of a cost that is predicted: how probable it is at least that a measurement is
        within the bounds, above 0.5 and below 1. None: the prediction is.
    unit : str
        Of the bounds; default: that of the cost.

    Raises
    ------
    InputError
        When the window is empty or the confidence out of range.
    """

    cost: str
    low: float = -np.inf
    high: float = np.inf
    confidence: float | None = None
    unit: str = ""

    def __post_init__(self) -> None:
        for bound in (self.low, self.high):
            if not isinstance(bound, Real):
                raise InputError(f"a bound of {self.cost!r} must be a number, not {shown(bound)}")
        if not self.low <= self.high:
            raise InputError(f"the window {self} is empty")
        if self.confidence is None:
            return
        if not 0.5 < check_number("the confidence", self.confidence) < 1:
            raise InputError(
                f"a confidence must be above 50 % and below 100 %, not {100 * self.confidence:g} %"
            )

    def __str__(self) -> str:
        low, high = (f"{bound:.15g}{self.unit}" for bound in (self.low, self.high))
        end = "" if self.confidence is None else f" @{100 * self.confidence:.15g}%"
        if self.low == -np.inf:
            return f"{self.cost}<={high}{end}"
        if self.high == np.inf:
            return f"{self.cost}>={low}{end}"
        return f"{low}<={self.cost}<={high}{end}"

    def bind(self, cost: CostFunction) -> BoundConstraint:
        """Return the constraint on the cost that it names.

        Raises
        ------
        InputError
            When a unit or a confidence is given and the cost has none.
        """
        if not isinstance(cost, UncertainCost):
            for what, given in (("unit", self.unit), ("confidence", self.confidence)):
                if given:
                    raise InputError(
                        f"the limit {self}: the cost {self.cost!r} has no {what}, which those have"
                        " that `weaknas latency` learns from measurements"
                    )
            return BoundConstraint(self, cost)
        if not self.unit:
            return BoundConstraint(self, cost)
        low, high = (convert(bound, self.unit, cost.unit) for bound in (self.low, self.high))
        return BoundConstraint(replace(self, low=low, high=high, unit=cost.unit), cost)


class BoundConstraint:
    """A constraint with the cost that it limits.

    With a confidence c, what is limited are quantiles: a measurement is below its
    quantile of c with just that probability. In a window either side may fail with
    half of what is left.
    """

    def __init__(self, constraint: Constraint, cost: CostFunction) -> None:
        self.constraint, self.cost = constraint, cost

    @property
    def name(self) -> str:
        """What is limited: the cost, or what it is below with the confidence."""
        confidence = self.constraint.confidence
        return self.constraint.cost + (f" at {100 * confidence:g} %" if confidence else "")

    def ends(self, genotypes: npt.NDArray[np.integer]) -> tuple[Values, Values]:
        """Return what must not exceed the upper bound and not fall below the lower, shapes (n,)."""
        confidence = self.constraint.confidence
        if confidence is None or not isinstance(self.cost, UncertainCost):
            values = np.asarray(self.cost(genotypes), dtype=np.float64)
            return values, values
        window = np.isfinite([self.constraint.low, self.constraint.high]).all()
        tail = (1 - confidence) / (2 if window else 1)
        low, high = self.cost.quantiles(genotypes, (tail, 1 - tail))
        return high, low

    def probability(self, genotypes: npt.NDArray[np.integer]) -> Values:
        """Return how probable it is that a measurement is within the bounds, shape (n,)."""
        low, high = self.constraint.low, self.constraint.high
        if isinstance(self.cost, UncertainCost):
            return self.cost.probability(genotypes, low, high)
        return np.asarray(self.distance(genotypes) == 0, dtype=np.float64)

    def largest(self, genotypes: npt.NDArray[np.integer]) -> Values:
        """Return what must not exceed the upper bound, shape (n,)."""
        return self.ends(genotypes)[0]

    def distance(self, genotypes: npt.NDArray[np.integer]) -> Values:
        """Return how far costs are outside, shape (n,); infinite where they are no number."""
        largest, smallest = self.ends(genotypes)
        outside = np.maximum(self.constraint.low - smallest, largest - self.constraint.high)
        return np.where(np.isnan(outside), np.inf, np.maximum(outside, 0.0))


def parse_constraint(text: str) -> Constraint:
    """Read a constraint.

    Raises
    ------
    InputError
        When the text is none.

    Examples
    --------
    >>> parse_constraint("550e6 <= macs <= 600e6")
    Constraint(cost='macs', low=550000000.0, high=600000000.0, confidence=None, unit='')
    >>> str(parse_constraint("latency <= 25 ms @ 95 %"))
    'latency<=25ms @95%'
    """
    if match := _ONE.fullmatch(text.strip()):
        name, sign, bound, unit, percent = match.groups()
        ends = {"high" if sign == "<=" else "low": float(bound)}
        return Constraint(name, **ends, confidence=_share(percent), unit=unit)
    if match := _WINDOW.fullmatch(text.strip()):
        low, unit, name, high, other, percent = match.groups()
        if unit and other and unit != other:
            raise InputError(f"malformed constraint {shown(text)}; both bounds have the same unit")
        return Constraint(name, float(low), float(high), _share(percent), unit or other)
    raise InputError(f"malformed constraint {shown(text)}; {_FORM}")


def _share(percent: str | None) -> float | None:
    return None if percent is None else float(percent) / 100


def split_limits(text: str) -> list[str]:
    """Return the limits of a list, the loosest first; a single one as it is.

    Examples
    --------
    >>> split_limits("latency<=15,20,25ms @95%")
    ['latency<=25ms @95%', 'latency<=20ms @95%', 'latency<=15ms @95%']
    >>> split_limits("macs<=600e6")
    ['macs<=600e6']
    """
    match = _LIST.fullmatch(text.strip())
    if match is None:
        return [text]
    name, bounds, unit, end = match.group(1, 2, 3, 4)
    loosest_first = sorted(map(str.strip, bounds.split(",")), key=float, reverse=True)
    return [f"{name}<={bound}{unit}{end}" for bound in loosest_first]


def parse_constraints(
    constraints: str | Constraint | Iterable[str | Constraint],
) -> tuple[Constraint, ...]:
    """Read one or several constraints, all of which hold.

    Raises
    ------
    InputError
        When one is malformed or no text, there is none, or they are a set or no list.
    """
    refuse_set("constraints", constraints)
    if isinstance(constraints, str | Constraint):
        constraints = [constraints]
    check_list("constraints", constraints)
    given = list(constraints)
    if not given:
        raise InputError(f"no constraint is given; {_FORM}")
    for item in given:
        if not isinstance(item, str | Constraint):
            raise InputError(f"a constraint must be a text, not {shown(item)}; {_FORM}")
    return tuple(item if isinstance(item, Constraint) else parse_constraint(item) for item in given)
