"""How often one operation follows another."""

from __future__ import annotations

import numpy as np

from weaknas.encoders._base import Features, GraphEncoder
from weaknas.spaces import GraphBatch


class OperationPairsEncoder(GraphEncoder):
    """One column an ordered pair of operations: the root of the number of edges between them.

    Input and output count as operations. The counts are the first iteration of
    the Weisfeiler-Lehman edge kernel (Shervashidze et al., JMLR 2011, sec. 3.3);
    distances between their square roots are Hellinger distances.
    """

    def _encode_graphs(self, graphs: GraphBatch) -> Features:
        labels = (graphs.operations[:, :, None] == np.arange(len(graphs.vocabulary))).astype(
            np.float32
        )
        followed = graphs.adjacency.astype(np.float32) @ labels
        pairs = labels.transpose(0, 2, 1) @ followed
        return np.asarray(
            np.sqrt(pairs.reshape(len(pairs), len(graphs.vocabulary) ** 2)), dtype=np.float32
        )
