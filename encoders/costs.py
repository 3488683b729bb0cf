"""What an architecture costs, as far as formulas know."""

from __future__ import annotations

import numpy as np

from weaknas.encoders._base import Encoder, Features
from weaknas.spaces import Genotypes, SearchSpace


class CostsEncoder(Encoder):
    """One column a cost of the space (multiply-adds, parameters, ...): its logarithm.

    That of one more than the absolute value, with the sign, so that any column of a table
    can be a cost.
    """

    needs = "a space with formulas of costs"
    has_trend = True  # larger networks tend to score otherwise than smaller ones

    @classmethod
    def supports(cls, space: SearchSpace) -> bool:
        """Tell whether the space has costs, and tells them quickly."""
        return space.has_quick_costs and bool(space.costs())

    def _encode(self, canonical: Genotypes) -> Features:
        columns = [cost(canonical) for cost in self.space.costs().values()]
        values = np.stack(columns, axis=1)
        return np.asarray(np.sign(values) * np.log1p(np.abs(values)), dtype=np.float32)
