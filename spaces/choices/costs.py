"""What an architecture of a user's own space costs, as functions of the values of its choices."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, shown
from weaknas.spaces._base import CostFunction
from weaknas.spaces.rows import Genotypes

_SLOW = 0.01  # seconds an architecture: limits in a space that is not listed ask for thousands
_CALLS = 20  # until a function is called slow
_LONG = 10.0  # seconds in all, after which somebody who waits is told for what
_EXACT = 2**53  # whole numbers up to here add up without rounding, in any order
_AT_ONCE = 1 << 14  # architectures whose prices are listed at once


@dataclass(frozen=True)
class PerArchitecture:
    """A cost of one architecture, for `ChoiceSpace`: called once for each, and remembered.

    Parameters
    ----------
    function : callable
        From the values of the choices that exist, by name, to a number.
    """

    function: Callable[[dict[str, Any]], float]


@dataclass(frozen=True)
class SumOfChoices:
    """A cost, for `ChoiceSpace`, that adds up what each choice that exists costs.

    Parameters
    ----------
    prices : mapping
        Name of a choice to a mapping from its values, as texts, to numbers.
    """

    prices: Mapping[str, Mapping[str, float]]


class SummedCost:
    """A sum of prices that are looked up, as a function of genotypes.

    Parameters
    ----------
    prices : mapping of int to sequence of float
        A column to the price of each of its values, in the order in which they are added.
    settle : callable
        From genotypes, shape (n, d), to their canonical form and which choices exist in it.
    """

    def __init__(
        self,
        prices: Mapping[int, list[float]],
        settle: Callable[[npt.NDArray[np.integer]], tuple[Genotypes, npt.NDArray[np.bool_]]],
    ) -> None:
        self._settle = settle
        self._columns = np.array(list(prices), dtype=np.intp)
        counts = [len(each) for each in prices.values()]
        self._first = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])[: len(counts)]
        most = sum(max(map(abs, each)) for each in prices.values())
        flat = [price for each in prices.values() for price in each]
        self._exact = most <= _EXACT and all(float(price).is_integer() for price in flat)
        self._prices = np.array(flat, dtype=np.float64 if self._exact else object)

    def __call__(self, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
        """Return the costs of genotypes, shape (n, d); shape (n,)."""
        rows, exist = self._settle(np.asarray(genotypes))
        blocks = range(0, len(rows), _AT_ONCE)
        sums = [self._add(rows[at : at + _AT_ONCE], exist[at : at + _AT_ONCE]) for at in blocks]
        return np.concatenate([np.empty(0), *sums])

    def _add(self, rows: Genotypes, exist: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        picked = self._prices[rows[:, self._columns] + self._first]
        picked[~exist[:, self._columns]] = 0
        if self._exact:
            return np.asarray(picked.sum(axis=1), dtype=np.float64)
        # As Python adds them: numpy rounds in another order.
        return np.array([sum(row) for row in picked.tolist()], dtype=np.float64)


class RememberedCost:
    """A cost that is called once for each architecture, as a function of genotypes.

    Parameters
    ----------
    name : str
    function : callable
    decode : callable
        From genotypes, shape (n, d), to what the function takes, one after the other.
    """

    def __init__(
        self,
        name: str,
        function: Callable[[dict[str, Any]], float],
        decode: Callable[[Genotypes], Iterator[dict[str, Any]]],
    ) -> None:
        self.name, self._function, self._decode = name, function, decode
        self._known: dict[tuple[int, ...], float] = {}
        self._seconds, self._warned = 0.0, False

    def __call__(self, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
        """Return the costs of canonical genotypes, shape (n, d); shape (n,)."""
        rows = np.asarray(genotypes)
        keys = list(map(tuple, rows.tolist()))
        new = {key: at for at, key in enumerate(keys) if key not in self._known}
        start = time.perf_counter()
        decoded = self._decode(rows[list(new.values())])
        for key, values in zip(new, decoded, strict=True):
            self._known[key] = self._evaluate(values)
            end = time.perf_counter()
            self._seconds += end - start
            start = end
            self._warn_if_slow()
        return np.array([self._known[key] for key in keys], dtype=np.float64)

    def _evaluate(self, values: dict[str, Any]) -> float:
        try:
            result = self._function(dict(values))
        except Exception as error:
            fault = " ".join(f"{type(error).__name__}: {error}".split())
            raise InputError(f"the cost {self.name!r} of {shown(values)} fails: {fault}") from error
        try:
            return float(result)
        except (TypeError, ValueError, OverflowError):
            raise InputError(
                f"the cost {self.name!r} of {shown(values)} is no number: {shown(result)}"
            ) from None

    def _warn_if_slow(self) -> None:
        calls = len(self._known)
        slow = calls >= _CALLS and self._seconds > _SLOW * calls
        if self._warned or not (slow or self._seconds > _LONG):
            return
        self._warned = True
        warnings.warn(
            f"the cost {self.name!r} takes {self._seconds / calls:.2g} s an architecture,"
            f" {self._seconds:.2g} s for {calls:,} of them so far, and limits and searches ask for"
            " thousands, limits that few fulfil for a million; give the cost as SumOfChoices or"
            " a function of genotypes, shape (n, d), which are faster, or a wider limit",
            RuntimeWarning,
            stacklevel=3,
        )


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
