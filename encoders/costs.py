"""What an architecture costs, as far as formulas know."""

from __future__ import annotations

import numpy as np

from weaknas.encoders._base import Encoder, Features
from weaknas.spaces import Genotypes, SearchSpace


class CostsEncoder(Encoder):
    """One column a cost of the space (multiply-adds, parameters, ...): its logarithm."""

    needs = "a space with costs"
    has_trend = True  # larger networks tend to score otherwise than smaller ones

    @classmethod
    def supports(cls, space: SearchSpace) -> bool:
        """Tell whether the space has costs."""
        return bool(space.costs())

    def _encode(self, canonical: Genotypes) -> Features:
        columns = [cost(canonical) for cost in self.space.costs().values()]
        return np.asarray(np.log1p(np.stack(columns, axis=1)), dtype=np.float32)
