"""What an architecture of a user's own space costs, where the user wrote it for one at a time."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError
from weaknas.spaces._base import CostFunction
from weaknas.spaces.rows import Genotypes

_SLOW = 0.01  # seconds an architecture: limits in a space that is not listed ask for thousands
_CALLS = 20  # until a function is called slow


@dataclass(frozen=True)
class PerArchitecture:
    """A cost of one architecture, for `ChoiceSpace`: called once for each, and remembered.

    Parameters
    ----------
    function : callable
        From the values of the choices that exist, by name, to a number.
    """

    function: Callable[[dict[str, Any]], float]


class RememberedCost:
    """A cost that is called once for each architecture, as a function of genotypes.

    Parameters
    ----------
    name : str
    function : callable
    decode : callable
        From a canonical genotype, shape (d,), to what the function takes.
    """

    def __init__(
        self,
        name: str,
        function: Callable[[dict[str, Any]], float],
        decode: Callable[[Genotypes], Mapping[str, Any]],
    ) -> None:
        self.name, self._function, self._decode = name, function, decode
        self._known: dict[tuple[int, ...], float] = {}
        self._seconds, self._warned = 0.0, False

    def __call__(self, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
        """Return the costs of canonical genotypes, shape (n, d); shape (n,)."""
        rows = np.asarray(genotypes)
        keys = list(map(tuple, rows.tolist()))
        for key, row in zip(keys, rows, strict=True):
            if key not in self._known:
                self._known[key] = self._evaluate(row)
        return np.array([self._known[key] for key in keys], dtype=np.float64)

    def _evaluate(self, genotype: Genotypes) -> float:
        values = dict(self._decode(genotype))
        start = time.perf_counter()
        result = self._function(values)
        self._seconds += time.perf_counter() - start
        calls = len(self._known) + 1
        if not self._warned and calls >= _CALLS and self._seconds > _SLOW * calls:
            self._warned = True
            warnings.warn(
                f"the cost {self.name!r} takes {self._seconds / calls:.2g} s an architecture, and"
                " limits and searches ask for thousands; a function of genotypes, shape (n, d),"
                " is faster",
                RuntimeWarning,
                stacklevel=2,
            )
        try:
            return float(result)
        except (TypeError, ValueError):
            raise InputError(
                f"the cost {self.name!r} of {values} is no number: {result!r}"
            ) from None


def check_cost(name: str, cost: CostFunction, genotypes: Genotypes) -> None:
    """Refuse a cost that does not map genotypes, shape (n, d), to numbers, shape (n,).

    Raises
    ------
    InputError
        With what a cost of one architecture is given as.
    """
    try:
        shape, fault = np.shape(cost(genotypes)), ""
    except Exception as error:
        shape, fault = None, f" ({type(error).__name__}: {error})"
    if shape != (len(genotypes),):
        raise InputError(
            f"the cost {name!r} does not map genotypes, shape (n, d), to numbers, shape"
            f" (n,){fault}; a function of one architecture is given as PerArchitecture(function)"
        )
