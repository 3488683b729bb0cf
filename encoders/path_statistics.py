"""What operations lie on the paths from the input to the output."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from weaknas.encoders._base import Features, GraphEncoder
from weaknas.encoders.graph_features import subsets
from weaknas.spaces import GraphBatch

_STATISTICS = 5


class PathStatisticsEncoder(GraphEncoder):
    """How many nodes of a path carry an operation of a subset, over all paths.

    For every subset of operations: the logarithm of one plus the number of paths
    from input to output all of whose inner nodes carry one of them, then the
    smallest, largest and mean number of such nodes on a path, and its standard
    deviation; -1, -1, -1 and 0 where there is no path. Each statistic is a block of
    columns of its own. Numbers through subsets are those of GRAF (Kadlecova et al.,
    ICML 2024, arXiv:2404.16551). With many operations the subsets are those of
    `GraphFeaturesEncoder`, without the empty one.
    """

    def fit(self, genotypes: npt.NDArray[np.integer], y: Any = None) -> Self:
        """Count the columns of a block."""
        operations = len(self.space.graphs(genotypes[:1]).vocabulary)
        self.width_ = len(_nonempty(operations))
        return super().fit(genotypes, y)

    @property
    def groups(self) -> list[slice]:
        """One block a statistic."""
        starts = range(0, _STATISTICS * self.width_, self.width_)
        return [slice(start, start + self.width_) for start in starts]

    def _encode_graphs(self, graphs: GraphBatch) -> Features:
        # Graphs last: what is done to all of them is done on contiguous memory.
        nodes = np.ascontiguousarray(graphs.operations.T)
        edges = np.ascontiguousarray(graphs.adjacency.transpose(2, 1, 0))  # target, source
        chosen = _nonempty(len(graphs.vocabulary))
        features = np.empty((len(graphs), _STATISTICS, len(chosen)), dtype=np.float32)
        for column, subset in enumerate(chosen):
            features[:, :, column] = _statistics(edges, np.isin(nodes, subset)).T
        return features.reshape(len(graphs), _STATISTICS * len(chosen))


def _nonempty(vocabulary: int) -> list[list[int]]:
    return [subset for subset in subsets(list(range(2, vocabulary))) if subset]


def _statistics(
    edges: npt.NDArray[np.bool_], counted: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Return the statistics of the number of counted nodes on a path, shape (5, n).

    Of n graphs of v nodes: `edges` are (target, source, graph), `counted` (node, graph).
    """
    v, n = counted.shape
    fewest, most = np.full((v, n), np.inf), np.full((v, n), -np.inf)
    # Over the paths to a node: those of counted nodes alone, all of them, and the sums
    # of their numbers of counted nodes and of the squares of these.
    only, every, total, squares = np.zeros((4, v, n))
    fewest[0] = most[0] = 0.0
    only[0] = every[0] = 1.0
    for node in range(1, v):
        sources = np.flatnonzero(edges[node, :node].any(axis=1))
        if len(sources) == 0:
            continue
        there, here = edges[node, sources], counted[node]
        fewest[node] = np.where(there, fewest[sources], np.inf).min(axis=0) + here
        most[node] = np.where(there, most[sources], -np.inf).max(axis=0) + here
        only[node] = (only[sources] * there).sum(axis=0) * (here | (node == v - 1))
        every[node] = (every[sources] * there).sum(axis=0)
        before = (total[sources] * there).sum(axis=0)
        total[node] = before + here * every[node]
        squares[node] = (squares[sources] * there).sum(axis=0)
        squares[node] += here * (2.0 * before + every[node])  # (c + 1)^2 = c^2 + 2 c + 1
    some = every[-1] > 0
    mean, square = np.divide([total[-1], squares[-1]], every[-1], where=some, out=np.zeros((2, n)))
    spread = np.sqrt(np.maximum(square - mean**2, 0.0))
    known = [np.where(some, values, -1.0) for values in (fewest[-1], most[-1], mean)]
    return np.stack([np.log1p(only[-1]), *known, spread])
