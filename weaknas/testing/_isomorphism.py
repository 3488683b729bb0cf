"""Which labelled graphs of a batch are isomorphic: exact, for graphs of a few dozen nodes."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt

from weaknas.spaces import GraphBatch

_ROUNDS = 6  # of colour refinement; it only narrows down what is then compared exactly


def isomorphism_classes(graphs: GraphBatch) -> npt.NDArray[np.int64]:
    """Number the isomorphism classes of a batch.

    Parameters
    ----------
    graphs : GraphBatch
        n graphs.

    Returns
    -------
    ndarray of int64, shape (n,)
        Equal where an isomorphism keeps edges and operations.
    """
    colors = _refine(graphs)
    known: dict[bytes, list[int]] = defaultdict(list)
    classes = np.empty(len(graphs), dtype=np.int64)
    for index, row in enumerate(np.sort(colors, axis=1)):
        alike = known[row.tobytes()]
        for other in alike:
            if _isomorphic(graphs, colors, index, other):
                classes[index] = classes[other]
                break
        else:
            classes[index] = index
            alike.append(index)
    return classes


def _refine(graphs: GraphBatch) -> npt.NDArray[np.uint64]:
    """Weisfeiler-Lehman colours, shape (n, v): equal for nodes that an isomorphism may match."""
    edges = graphs.adjacency.astype(np.uint64)
    back = edges.transpose(0, 2, 1)
    colors = _mix(graphs.operations.astype(np.int64).view(np.uint64))
    for salt in range(_ROUNDS):
        after = (edges @ colors[:, :, None])[:, :, 0]
        before = (back @ colors[:, :, None])[:, :, 0]
        colors = _mix(colors + np.uint64(3) * _mix(after) + np.uint64(5) * _mix(~before))
        colors ^= np.uint64(salt)
    return colors


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    # The finaliser of splitmix64 (Steele et al., OOPSLA 2014).
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _isomorphic(graphs: GraphBatch, colors: npt.NDArray[np.uint64], one: int, other: int) -> bool:
    """Match the nodes of two graphs by backtracking within colours."""
    a, b = graphs.adjacency[one], graphs.adjacency[other]
    if np.array_equal(a, b) and np.array_equal(graphs.operations[one], graphs.operations[other]):
        return True
    order = np.flatnonzero(graphs.present[one])
    choices = [np.flatnonzero(colors[other] == colors[one, node]).tolist() for node in order]
    matched: list[int] = []

    def extend(depth: int) -> bool:
        if depth == len(order):
            return True
        node = order[depth]
        for candidate in choices[depth]:
            if candidate in matched or (
                graphs.operations[one, node] != graphs.operations[other, candidate]
            ):
                continue
            earlier = order[:depth]
            if np.array_equal(a[node, earlier], b[candidate, matched]) and np.array_equal(
                a[earlier, node], b[matched, candidate]
            ):
                matched.append(candidate)
                if extend(depth + 1):
                    return True
                matched.pop()
        return False

    return extend(0)
