"""Costs that are predicted from measurements, and so not known exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

#: Confidence of the central intervals that are told of such costs.
INTERVAL = 0.9


@runtime_checkable
class UncertainCost(Protocol):
    """A cost function that knows its unit and how far off it may be."""

    @property
    def unit(self) -> str:
        """Of its values."""

    def __call__(self, genotypes: npt.NDArray[np.integer], /) -> npt.NDArray[Any]:
        """Return the median cost of genotypes, (n, d), as it would be measured; shape (n,)."""

    def quantiles(
        self, genotypes: npt.NDArray[np.integer], probabilities: Sequence[float]
    ) -> list[npt.NDArray[np.float64]]:
        """Return what measurements are below with each of the probabilities, shapes (n,)."""

    def probability(
        self, genotypes: npt.NDArray[np.integer], low: float = 0.0, high: float = np.inf
    ) -> npt.NDArray[np.float64]:
        """Return how probable it is that a measurement is within bounds, shape (n,)."""


@runtime_checkable
class MeasurableCost(UncertainCost, Protocol):
    """A cost that can be measured of an architecture, in much less time than a training."""

    @property
    def first(self) -> UncertainCost:
        """What was believed before it was measured here."""

    def measure(self, genotypes: npt.NDArray[np.integer], /) -> None:
        """Measure genotypes, (n, d), of which no measurement is known; learn from them."""
