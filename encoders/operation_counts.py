"""How often each operation occurs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from weaknas.encoders._base import Features, GraphEncoder


class OperationCountsEncoder(GraphEncoder):
    """One column an operation: the number of nodes that carry it."""

    def _encode(self, canonical: npt.NDArray[np.int16]) -> Features:
        graphs = self.space.graphs(canonical)
        labels = graphs.operations[:, :, None] == np.arange(len(graphs.vocabulary))
        return np.asarray(labels.sum(axis=1), dtype=np.float32)
