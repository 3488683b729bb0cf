"""Reading graphs back from rows of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Singles: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True)
class GraphLayout:
    """How the columns of a row spell a graph.

    Two columns with the number of nodes v and of operations k, the v (v - 1) / 2
    entries above the diagonal of the adjacency matrix, k one-hot columns a node
    (zero for a node that does not exist), then columns that are not read. Where
    rows do not spell a graph, all of their columns are plain features instead.

    Parameters
    ----------
    nodes : int
        0 where rows have no graph.
    operations : int
    """

    nodes: int
    operations: int

    @classmethod
    def of(cls, features: Any) -> GraphLayout:
        """Read the layout off the first two columns of features, shape (n, f)."""
        if features.shape[1] > 2 and (features[:, :2] == features[0, :2]).all():
            nodes, operations = features[0, :2].tolist()
            if nodes >= 2 and operations >= 1 and nodes % 1 == operations % 1 == 0:
                layout = cls(int(nodes), int(operations))
                if layout.width <= features.shape[1]:
                    return layout
        return cls(0, 0)

    @property
    def width(self) -> int:
        """Number of columns of the graph, the first two included."""
        if self.nodes == 0:
            return 0
        return 2 + self.nodes * (self.nodes - 1) // 2 + self.nodes * self.operations

    def split(self, features: Any) -> tuple[Singles, Singles, Singles]:
        """Return the parts of features, shape (n, f).

        Returns
        -------
        adjacency : ndarray of float32, shape (n, v, v)
        operations : ndarray of float32, shape (n, v, k)
        plain : ndarray of float32, shape (n, g)
            All columns where there is no graph, else none.
        """
        n, v = len(features), self.nodes
        adjacency = np.zeros((n, v, v), dtype=np.float32)
        if v == 0:
            return adjacency, adjacency, np.asarray(features, dtype=np.float32)
        row, column = np.triu_indices(v, k=1)
        edges = 2 + len(row)
        adjacency[:, row, column] = features[:, 2:edges]
        operations = np.asarray(features[:, edges : self.width], dtype=np.float32)
        operations = operations.reshape(n, v, self.operations)
        return adjacency, operations, np.zeros((n, 0), dtype=np.float32)
