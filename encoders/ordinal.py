"""The decisions as numbers."""

from __future__ import annotations

import numpy as np

from weaknas.encoders._base import Encoder, Features
from weaknas.spaces import Genotypes


class OrdinalEncoder(Encoder):
    """One column a decision: the index of its choice, scaled to [0, 1]."""

    def _encode(self, canonical: Genotypes) -> Features:
        largest = np.maximum(self.space.cardinalities - 1, 1)
        return (canonical / largest).astype(np.float32)
