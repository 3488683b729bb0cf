"""Cells as rows of integers: pruning, relabelling and the canonical form.

A row has 26 columns: the upper triangle of the 7 x 7 adjacency matrix, row by row
(`EDGES`), then the operations of the vertices 1 to 5 (`OPERATIONS`). Vertex 0 is
the input and vertex 6 always the output, so that smaller cells lack inner vertices.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import numpy as np
import numpy.typing as npt

from weaknas.spaces.rows import Genotypes

VERTICES = 7
MAX_EDGES = 9
INNER = range(1, VERTICES - 1)
OUTPUT = VERTICES - 1
#: The operation of a vertex that does not exist, then those of the benchmark in its order.
OPERATIONS = ("absent", "conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
#: (source, target) of each adjacency column.
EDGES = tuple((s, t) for s in range(VERTICES) for t in range(s + 1, VERTICES))
COLUMN = {edge: column for column, edge in enumerate(EDGES)}

_CHUNK = 8192  # rows relabelled at a time: their codes take 8 MB
#: Above every code, exact in float64 with all of its sums.
FORBIDDEN = 2.0**40


def prune(rows: npt.NDArray[np.integer]) -> Genotypes:
    """Remove what is not on a path from the input to the output.

    Parameters
    ----------
    rows : ndarray of int, shape (n, 26)

    Returns
    -------
    ndarray of int16, shape (n, 26)
        Unused vertices are absent and without edges; a cell whose input does not
        reach its output is all zeros.
    """
    columns = np.array(np.asarray(rows).T, dtype=np.int16, order="C")
    edges = columns[: len(EDGES)] > 0
    exists = np.ones((VERTICES, len(rows)), dtype=bool)
    exists[1:OUTPUT] = columns[len(EDGES) :] > 0
    reached, leads = exists.copy(), exists.copy()
    for vertex in range(1, VERTICES):
        sources = [reached[s] & edges[COLUMN[s, vertex]] for s in range(vertex)]
        reached[vertex] &= np.logical_or.reduce(sources)
    for vertex in reversed(range(OUTPUT)):
        targets = [leads[t] & edges[COLUMN[vertex, t]] for t in range(vertex + 1, VERTICES)]
        leads[vertex] &= np.logical_or.reduce(targets)
    used = reached & leads
    for column, (source, target) in enumerate(EDGES):
        columns[column] = edges[column] & used[source] & used[target]
    columns[len(EDGES) :] *= used[1:OUTPUT]
    return np.ascontiguousarray(columns.T)


def count_edges(rows: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Return the number of edges of each row, shape (n,)."""
    return np.asarray(np.asarray(rows)[:, : len(EDGES)].sum(axis=1, dtype=np.int64))


# -- the code of a labelled cell --------------------------------------------------------
#
# The benchmark's generator goes through all graphs, counting up a number whose bit
# s + t (t - 1) / 2 is the edge s -> t, and for each through all labelings; of isomorphic
# cells it keeps the first. The code below orders cells in the same way, so that the
# smallest code among all relabellings is the cell as the benchmark has it. Vertices that
# are absent end up last, for edges into the output are the most significant.


def _operation_weight(vertex: int) -> int:
    return 1 << 2 * (len(INNER) - vertex)  # an operation takes two bits


def _edge_weight(source: int, target: int) -> int:
    return 1 << 2 * len(INNER) + source + target * (target - 1) // 2


_WEIGHTS = np.array(
    [_edge_weight(*edge) for edge in EDGES] + [_operation_weight(v) for v in INNER], dtype=np.int64
)


def _arc_weights() -> npt.NDArray[np.float64]:
    weights = np.full((VERTICES, VERTICES, len(_PLACES)), FORBIDDEN)
    for order, place in enumerate(_PLACES):
        for source, target in permutations(range(VERTICES), 2):
            if place[source] < place[target]:
                weights[source, target, order] = _edge_weight(place[source], place[target])
    return weights


#: Where the vertices are after each permutation of the inner ones.
_PLACES = [(0, *order, OUTPUT) for order in permutations(INNER)]
#: What an edge adds to the code after each permutation, shape (7, 7, 120), from any vertex to any.
ARC_WEIGHTS = _arc_weights()
#: What the operation of a vertex adds, times its index, shape (7, 120); the ends have none.
OPERATION_WEIGHTS = np.array(
    [
        [_operation_weight(place[v]) if v in INNER else 0 for place in _PLACES]
        for v in range(VERTICES)
    ],
    dtype=np.float64,
)
_RELABELLINGS = np.vstack([*(ARC_WEIGHTS[edge] for edge in EDGES), OPERATION_WEIGHTS[1:OUTPUT]])


def pack(rows: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Return one number below 2^31 a row, shape (n,), without relabelling."""
    return np.asarray(np.asarray(rows, dtype=np.int64) @ _WEIGHTS)


def unpack(codes: npt.NDArray[np.integer]) -> Genotypes:
    """Return the rows, shape (n, 26), that `pack` makes these numbers of."""
    rows = np.empty((len(codes), len(_WEIGHTS)), dtype=np.int16)
    for column, weight in enumerate(_WEIGHTS):
        rows[:, column] = codes // weight % (2 if column < len(EDGES) else len(OPERATIONS))
    return rows


def relabelled_codes(pruned: npt.NDArray[np.integer]) -> Iterator[npt.NDArray[np.float64]]:
    """Yield, chunk by chunk, the codes of all 120 relabellings of each row.

    Parameters
    ----------
    pruned : ndarray of int, shape (n, 26)

    Yields
    ------
    ndarray of float64, shape (m, 120)
        Whole numbers; at least 2^40 where an edge would lead backwards.
    """
    for start in range(0, len(pruned), _CHUNK):
        yield pruned[start : start + _CHUNK].astype(np.float64) @ _RELABELLINGS


def canonical_codes(pruned: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Return the smallest code among the relabellings of each pruned row, shape (n,)."""
    smallest = [codes.min(axis=1) for codes in relabelled_codes(pruned)]
    return np.concatenate([np.empty(0), *smallest]).astype(np.int64)


def shuffle(pruned: npt.NDArray[np.integer], rng: np.random.Generator) -> Genotypes:
    """Return each pruned row, shape (n, 26), in one of its topological orders at random."""
    drawn = []
    for codes in relabelled_codes(pruned):
        chance = np.where(codes < FORBIDDEN, rng.random(codes.shape), -1.0)
        drawn.append(np.take_along_axis(codes, chance.argmax(axis=1)[:, None], axis=1)[:, 0])
    return unpack(np.concatenate([np.empty(0), *drawn]).astype(np.int64))
