"""All cells of NAS-Bench-101, from the definition of the space."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import numpy.typing as npt

from weaknas.files import cache_folder
from weaknas.spaces.files.tables import cached_columns
from weaknas.spaces.nasbench101 import cells

#: Number of cells that are valid and not isomorphic (Ying et al., ICML 2019, section 2).
SIZE = 423_624
_SOURCE = "the definition of the space, version 1"


@cache
def load_codes() -> npt.NDArray[np.int64]:
    """Return the canonical code of every cell, ascending, from the cache where it is.

    Returns
    -------
    ndarray of int64, shape (423624,)
        Read-only.
    """
    path = cache_folder() / "nasbench101-cells.parquet"
    columns = cached_columns(path, _SOURCE, lambda: {"code": enumerate_codes()})
    codes: npt.NDArray[np.int64] = columns["code"]
    codes.flags.writeable = False
    return codes


def enumerate_codes() -> npt.NDArray[np.int64]:
    """Return the canonical code of every cell, ascending, shape (423624,).

    First all graphs without operations, then all labelings of each.
    """
    graphs = cells.unpack(_graph_codes())
    labeled = [np.empty(0, dtype=np.int64)]
    for vertices in range(len(cells.INNER) + 1):
        group = graphs[(graphs[:, len(cells.EDGES) :] > 0).sum(axis=1) == vertices]
        kinds = range(1, len(cells.OPERATIONS))
        labelings = np.array(list(itertools.product(kinds, repeat=vertices)), dtype=np.int16)
        rows = np.repeat(group, len(labelings), axis=0)
        # Vertices that exist come first in the canonical form.
        columns = slice(len(cells.EDGES), len(cells.EDGES) + vertices)
        rows[:, columns] = np.tile(labelings, (len(group), 1))
        labeled.append(np.unique(cells.canonical_codes(rows)))
    return np.unique(np.concatenate(labeled))


def _graph_codes() -> npt.NDArray[np.int64]:
    """Canonical codes of all graphs of at most nine edges, every vertex with one operation."""
    numbers = np.arange(2 ** len(cells.EDGES), dtype=np.int32)
    edges = np.stack([numbers >> bit & 1 for bit in range(len(cells.EDGES))]).astype(np.int16)
    edges = edges[:, edges.sum(axis=0) <= cells.MAX_EDGES]
    operations = np.ones((len(cells.INNER), edges.shape[1]), dtype=np.int16)
    pruned = cells.prune(np.vstack([edges, operations]).T)
    distinct = cells.unpack(np.unique(cells.pack(pruned)))
    return np.unique(cells.canonical_codes(distinct[cells.count_edges(distinct) > 0]))
