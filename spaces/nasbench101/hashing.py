"""The official id of a cell: an MD5 that is equal for isomorphic cells.

The definition is that of the benchmark (``hash_module`` of google-research/nasbench):
a vertex starts with the hash of its numbers of outgoing and incoming edges and its
label; as often as there are vertices, it takes the hash of the sorted hashes of its
predecessors, those of its successors and its own; the id is the hash of all, sorted.
"""

from __future__ import annotations

from functools import cache
from hashlib import md5

import numpy as np
import numpy.typing as npt

from weaknas.spaces.nasbench101.cells import COLUMN, EDGES, OUTPUT, VERTICES

_INPUT_LABEL, _OUTPUT_LABEL = -1, -2


def cell_hashes(pruned: npt.NDArray[np.integer]) -> list[str]:
    """Return the official hash of each pruned row, shape (n, 26)."""
    return [_hash(row) for row in np.asarray(pruned).tolist()]


def _hash(row: list[int]) -> str:
    operations = row[len(EDGES) :]
    vertices = [0, *(v for v, op in enumerate(operations, start=1) if op > 0), OUTPUT]
    before = [[s for s in vertices if s < t and row[COLUMN[s, t]]] for t in range(VERTICES)]
    after = [[t for t in vertices if t > s and row[COLUMN[s, t]]] for s in range(VERTICES)]
    labels = [_INPUT_LABEL, *(op - 1 for op in operations), _OUTPUT_LABEL]
    hashes = {v: _start(len(after[v]), len(before[v]), labels[v]) for v in vertices}
    for _ in vertices:
        hashes = {
            v: _md5(
                "".join(sorted([hashes[s] for s in before[v]]))
                + "|"
                + "".join(sorted([hashes[t] for t in after[v]]))
                + "|"
                + hashes[v]
            )
            for v in vertices
        }
    return _md5(str(sorted(hashes.values())))


def _md5(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


@cache
def _start(successors: int, predecessors: int, label: int) -> str:
    return _md5(str((successors, predecessors, label)))
