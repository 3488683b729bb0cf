"""Batches of labelled directed acyclic graphs: what graph encoders and predictors see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class GraphBatch:
    """Dense, padded graphs with one operation a node.

    Nodes are in topological order: an edge goes from a lower to a higher index.

    Parameters
    ----------
    adjacency : ndarray of bool, shape (n, v, v)
        ``adjacency[i, a, b]`` is true where graph i has the edge a -> b.
    operations : ndarray of int, shape (n, v)
        Index into `vocabulary`; -1 where the node does not exist.
    vocabulary : tuple of str
        Names of the operations, input and output nodes included.
    """

    adjacency: npt.NDArray[np.bool_]
    operations: npt.NDArray[np.int16]
    vocabulary: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.operations)

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """Which nodes exist, shape (n, v)."""
        return self.operations >= 0

    def __getitem__(self, rows: slice | npt.NDArray[np.integer | np.bool_]) -> GraphBatch:
        return GraphBatch(self.adjacency[rows], self.operations[rows], self.vocabulary)
