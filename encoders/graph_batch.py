"""Whole graphs in rows of numbers, for predictors that work on graphs."""

from __future__ import annotations

import numpy as np

from weaknas.encoders._base import Features
from weaknas.encoders.adjacency import AdjacencyEncoder
from weaknas.spaces import GraphBatch


class GraphsEncoder(AdjacencyEncoder):
    """The adjacency encoding after two columns that say how to read it.

    The first column is the number of nodes v and the second the number of
    operations k, the same in all rows; then the v (v - 1) / 2 entries above the
    diagonal of the adjacency matrix, row by row, and k one-hot columns a node.
    Columns behind them, of encoders put side by side by ``graphs+...``, are what
    else is known of the architecture.
    """

    def _encode_graphs(self, graphs: GraphBatch) -> Features:
        shape = graphs.operations.shape[1], len(graphs.vocabulary)
        header = np.broadcast_to(np.asarray(shape, dtype=np.float32), (len(graphs), 2))
        return np.hstack([header, super()._encode_graphs(graphs)])
