"""Adjacency matrix with operations."""

from __future__ import annotations

import numpy as np

from weaknas.encoders._base import Features, GraphEncoder
from weaknas.spaces import GraphBatch


class AdjacencyEncoder(GraphEncoder):
    """The upper triangle of the adjacency matrix, then the one-hot operations of the nodes.

    Nodes that do not exist have zero rows, so that graphs of different size get
    features of one length (Ying et al., NAS-Bench-101, ICML 2019).
    """

    def _encode_graphs(self, graphs: GraphBatch) -> Features:
        above = np.triu_indices(graphs.operations.shape[1], k=1)
        edges = graphs.adjacency[:, above[0], above[1]]
        labels = graphs.operations[:, :, None] == np.arange(len(graphs.vocabulary))
        flat = labels.reshape(len(edges), labels.shape[1] * labels.shape[2])
        return np.hstack([edges, flat]).astype(np.float32)
