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

    def _encode_graphs(self, graphs: GraphBatch) -> Features:
        # Graphs last: what is done to all of them is done on contiguous memory.
        nodes = np.ascontiguousarray(graphs.operations.T)
        edges = np.ascontiguousarray(graphs.adjacency.transpose(2, 1, 0))  # target, source
        operations = list(range(2, len(graphs.vocabulary)))
        columns: list[npt.NDArray[Any]] = []
        for subset in subsets(operations):
            allowed = np.zeros(len(graphs.vocabulary) + 1, dtype=bool)  # the last for -1
            allowed[subset] = True
            columns += _paths(edges, allowed[nodes])
        incoming = edges.sum(axis=1, dtype=np.int16)
        outgoing = edges.sum(axis=0, dtype=np.int16)
        for operation in operations:
            chosen = nodes == operation
            columns.append((edges[:, 0] & chosen).sum(axis=0))
            columns.append((edges[-1] & chosen).sum(axis=0))
            for degree in (incoming * chosen, outgoing * chosen):
                columns += [degree.sum(axis=0), degree.max(axis=0)]
        columns.append(edges[-1, 0])
        return np.stack(columns, axis=1, dtype=np.float32, casting="same_kind")


def subsets(operations: list[int]) -> list[list[int]]:
    """Return the subsets of operations that are looked at, small ones first."""
    sizes: list[int] = list(range(len(operations) + 1))
    if len(operations) > _ALL_SUBSETS_UP_TO:
        sizes = [1, 2, len(operations)]
    if len(operations) > _PAIRS_UP_TO:
        sizes.remove(2)
    return [list(s) for s in chain.from_iterable(combinations(operations, k) for k in sizes)]


def _paths(edges: npt.NDArray[np.bool_], allowed: npt.NDArray[np.bool_]) -> list[npt.NDArray[Any]]:
    """Shortest length, longest length and log(1 + number) of the paths over allowed nodes.

    Of n graphs of v nodes: `edges` are (target, source, graph), `allowed` (node, graph).
    """
    v, n = allowed.shape
    shortest = np.full((v, n), v, dtype=np.int16)
    longest = np.full((v, n), -v, dtype=np.int16)  # stays below 0 without a path
    number = np.zeros((v, n), dtype=np.float32)
    shortest[0], longest[0], number[0] = 0, 0, 1.0
    for node in range(1, v):
        sources = np.flatnonzero(edges[node, :node].any(axis=1))
        if len(sources) == 0:
            continue
        there = edges[node, sources]
        if node < v - 1:
            there &= allowed[node]
        shortest[node] = np.where(there, shortest[sources] + 1, v).min(axis=0)
        longest[node] = np.where(there, longest[sources] + 1, -v).max(axis=0)
        number[node] = (number[sources] * there).sum(axis=0)
    return [np.minimum(shortest[-1], v), np.maximum(longest[-1], 0), np.log1p(number[-1])]
