"""A model of costs that goes on measuring."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from weaknas.costs.features import as_computed
from weaknas.costs.model import CostModel
from weaknas.costs.process import Floats
from weaknas.spaces import Genotypes
from weaknas.spaces.rows import number_rows

#: From genotypes, shape (n, d), to what is measured of them, shape (n,), in the unit of the model.
Measure = Callable[[Genotypes], npt.NDArray[np.floating]]


class MeasuredCost:
    """A cost that is known where it was measured here, and elsewhere predicted.

    Parameters
    ----------
    model : CostModel
        With measurements.
    measure : callable
        From genotypes, shape (n, d), to numbers, shape (n,).
    """

    def __init__(self, model: CostModel, measure: Measure) -> None:
        #: What is believed now.
        self.model = model
        #: How many architectures were measured here.
        self.count = 0
        self._first, self._measure = model, measure
        self._known: dict[int, float] = {}

    @property
    def first(self) -> CostModel:
        """What was believed before it was measured here."""
        return self._first

    @property
    def unit(self) -> str:
        """Of the values."""
        return self.model.unit

    def measure(self, genotypes: npt.NDArray[np.integer]) -> None:
        """Measure genotypes, (n, d), of which no measurement is known; learn from them."""
        known = self._measured(genotypes)
        rows = np.asarray(genotypes)[np.isnan(known)]
        if not len(rows):
            return
        values = np.asarray(self._measure(rows), dtype=np.float64)
        self.model = self.model.extended(rows, values)
        self._known.update(zip(self._codes(rows), values.tolist(), strict=True))
        self.count = len(self._known)

    def __call__(self, genotypes: npt.NDArray[np.integer]) -> Floats:
        """Return what was measured of genotypes, (n, d), else the predicted median; shape (n,)."""
        known = self._measured(genotypes)
        return np.where(np.isnan(known), self.model(genotypes), known)

    def quantiles(
        self, genotypes: npt.NDArray[np.integer], probabilities: Sequence[float]
    ) -> list[Floats]:
        """Return what measurements are below with each of the probabilities, shapes (n,)."""
        known = self._measured(genotypes)
        predicted = self.model.quantiles(genotypes, probabilities)
        return [np.where(np.isnan(known), value, known) for value in predicted]

    def probability(
        self, genotypes: npt.NDArray[np.integer], low: float = 0.0, high: float = np.inf
    ) -> Floats:
        """Return how probable a cost within bounds is, 0 or 1 where it was measured; shape (n,)."""
        known = self._measured(genotypes)
        within = ((low <= known) & (known <= high)).astype(np.float64)
        return np.where(np.isnan(known), self.model.probability(genotypes, low, high), within)

    def _measured(self, genotypes: npt.NDArray[np.integer]) -> Floats:
        """Return what was measured of genotypes, (n, d), NaN where nothing was; shape (n,)."""
        return np.array([self._known.get(code, np.nan) for code in self._codes(genotypes)])

    def _codes(self, genotypes: npt.NDArray[np.integer]) -> list[int]:
        space = self.model.space
        rows = as_computed(space, np.asarray(genotypes))
        return [int(code) for code in number_rows(rows, space.cardinalities).tolist()]
