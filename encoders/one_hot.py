"""One-hot encoding of the decisions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from weaknas.encoders._base import Encoder, Features


class OneHotEncoder(Encoder):
    """One column a choice of each decision: 1 where it is taken, else 0."""

    def _encode(self, canonical: npt.NDArray[np.int16]) -> Features:
        counts = self.space.cardinalities
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
        features = np.zeros((len(canonical), int(counts.sum())), dtype=np.float32)
        np.put_along_axis(features, canonical + starts, 1.0, axis=1)
        return features
