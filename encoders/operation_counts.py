"""How often each operation occurs."""

from __future__ import annotations

import numpy as np

from weaknas.encoders._base import Features, GraphEncoder
from weaknas.spaces import GraphBatch


class OperationCountsEncoder(GraphEncoder):
    """One column an operation: the number of nodes that carry it."""

    def _encode_graphs(self, graphs: GraphBatch) -> Features:
        labels = graphs.operations[:, :, None] == np.arange(len(graphs.vocabulary))
        return np.asarray(labels.sum(axis=1), dtype=np.float32)
