"""Costs that people give to a space, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from weaknas.errors import InputError, shown

T = TypeVar("T")

#: What the records of a search call something else.
TAKEN = ("architecture", "id", "query", "score")


def check_costs(costs: Mapping[str, T] | None, *kinds: type) -> dict[str, T]:
    """Return costs by name; refuse what are none.

    Parameters
    ----------
    costs : mapping of str to callable, optional
    *kinds : type
        What costs may be given as beside functions of genotypes.

    Raises
    ------
    InputError
        One line: when they are no mapping, a name is no text or one of `TAKEN`, or a cost is
        no function.
    """
    if costs is None:
        return {}
    if not isinstance(costs, Mapping):
        raise InputError(f"costs map names to functions of genotypes, not {shown(costs)}")
    for name, cost in costs.items():
        check_cost_name(name)
        if not callable(cost) and not isinstance(cost, kinds):
            allowed = ["a function of genotypes, shape (n, d)", *(kind.__name__ for kind in kinds)]
            raise InputError(f"the cost {name!r} must be {' or '.join(allowed)}, not {shown(cost)}")
    return dict(costs)


def check_cost_name(name: object) -> None:
    """Refuse a name of a cost that is no text, or that records of a search give something else.

    Raises
    ------
    InputError
        One line: the name, and which are taken.
    """
    if not isinstance(name, str) or not name:
        raise InputError(f"the name of a cost must be a text, not {shown(name)}")
    if name in TAKEN:
        raise InputError(
            f"a cost cannot be called {name!r}: records of searches have columns of the names"
            f" {', '.join(TAKEN)}; give it another name"
        )
