"""Which choices of a space a smaller one has, by the names of decisions and values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, unknown
from weaknas.spaces._base import SearchSpace


@runtime_checkable
class HasChoices(Protocol):
    """A space that names the values of its decisions."""

    @property
    def choices(self) -> Sequence[Sequence[Any]]:
        """The values of each decision."""


def choices_within(space: SearchSpace, smaller: SearchSpace) -> npt.NDArray[np.bool_]:
    """Return which choices of a space are those of a smaller one.

    A decision that the smaller one lacks takes its first value, such as a layer that is skipped.

    Parameters
    ----------
    space, smaller : SearchSpace
        Values are compared by their texts, or by their places where a space does not name them.

    Returns
    -------
    ndarray of bool, shape (d, k)
        k is the largest number of choices.

    Raises
    ------
    InputError
        When the smaller one has a decision or a value that the space has not.
    """
    inside = np.zeros((space.n_variables, int(space.cardinalities.max())), dtype=bool)
    inside[:, 0] = True
    mine, others = _named(space), _named(smaller)
    for name, values in others.items():
        if name not in mine:
            raise unknown(f"decision of the space {space.name!r}", name, mine)
        for value in values:
            if value not in mine[name]:
                raise InputError(
                    f"{name} of the space {space.name!r} has no value {value!r}"
                    f" (allowed: {', '.join(mine[name])})"
                )
        inside[space.variables.index(name)] = False
        inside[space.variables.index(name), [mine[name].index(value) for value in values]] = True
    return inside


def _named(space: SearchSpace) -> dict[str, list[str]]:
    """Return the values of each decision as texts."""
    values: Sequence[Sequence[Any]] = [range(count) for count in space.cardinalities.tolist()]
    if isinstance(space, HasChoices):
        values = space.choices
    return {
        name: [str(value) for value in given]
        for name, given in zip(space.variables, values, strict=True)
    }
