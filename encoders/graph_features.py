"""Interpretable features of the graph: path lengths through subsets of operations, degrees."""

from __future__ import annotations

from itertools import chain, combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.encoders._base import Features, GraphEncoder
from weaknas.spaces import GraphBatch

# Operations up to which all subsets are looked at; with more, those of one and two
# and the whole; with many more, those of one and the whole.
_ALL_SUBSETS_UP_TO = 4
_PAIRS_UP_TO = 12


class GraphFeaturesEncoder(GraphEncoder):
    """Graph features in the manner of GRAF (Kadlecova et al., ICML 2024, arXiv:2404.16551).

    For every subset of operations: length of the shortest and of the longest
    path from input to output whose inner nodes carry operations of the subset
    alone, and the logarithm of one plus the number of such paths. For every
    operation: how often it follows the input and precedes the output, and the
    sum and maximum of the in- and out-degrees of its nodes. Where there is no
    path, the shortest length is one more than any path can have and the longest 0.
    """

    def _encode(self, canonical: npt.NDArray[np.int16]) -> Features:
        graphs = self.space.graphs(canonical)
        operations = range(2, len(graphs.vocabulary))
        columns: list[npt.NDArray[Any]] = [
            column
            for subset in _subsets(list(operations))
            for column in _paths(graphs, np.isin(graphs.operations, subset))
        ]
        incoming, outgoing = graphs.adjacency.sum(axis=1), graphs.adjacency.sum(axis=2)
        for operation in operations:
            nodes = graphs.operations == operation
            columns.append((graphs.adjacency[:, 0] & nodes).sum(axis=1))
            columns.append((graphs.adjacency[:, :, -1] & nodes).sum(axis=1))
            for degree in (incoming * nodes, outgoing * nodes):
                columns += [degree.sum(axis=1), degree.max(axis=1)]
        columns.append(graphs.adjacency[:, 0, -1])
        return np.stack(columns, axis=1).astype(np.float32)


def _subsets(operations: list[int]) -> list[list[int]]:
    sizes: list[int] = list(range(len(operations) + 1))
    if len(operations) > _ALL_SUBSETS_UP_TO:
        sizes = [1, 2, len(operations)]
    if len(operations) > _PAIRS_UP_TO:
        sizes.remove(2)
    return [list(s) for s in chain.from_iterable(combinations(operations, k) for k in sizes)]


def _paths(graphs: GraphBatch, allowed: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.float64]]:
    """Shortest length, longest length and log(1 + number) of the paths over allowed nodes."""
    n, v = graphs.operations.shape
    shortest = np.full((n, v), float(v))
    longest = np.full((n, v), -np.inf)
    number = np.zeros((n, v))
    shortest[:, 0], longest[:, 0], number[:, 0] = 0.0, 0.0, 1.0
    for node in range(1, v):
        edges = graphs.adjacency[:, :node, node]
        if node < v - 1:
            edges = edges & allowed[:, node, None]
        shortest[:, node] = np.where(edges, shortest[:, :node] + 1, v).min(axis=1)
        longest[:, node] = np.where(edges, longest[:, :node] + 1, -np.inf).max(axis=1)
        number[:, node] = (number[:, :node] * edges).sum(axis=1)
    return [
        np.minimum(shortest[:, -1], v),
        np.maximum(longest[:, -1], 0.0),
        np.log1p(number[:, -1]),
    ]
