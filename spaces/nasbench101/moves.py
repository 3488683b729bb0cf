"""Steps from cell to cell: the published mutation, and single edits.

The rows that come out are proposals: not pruned, and not all of them in the space.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt

from weaknas.spaces.nasbench101 import cells
from weaknas.spaces.nasbench101.cells import COLUMN, EDGES, INNER, OPERATIONS, OUTPUT, VERTICES
from weaknas.spaces.rows import Genotypes

_KINDS = len(OPERATIONS) - 1
_EDGE_RATE = 1 / VERTICES
_OPERATION_RATE = 1 / len(INNER)


def mutated(pruned: npt.NDArray[np.integer], rng: np.random.Generator) -> Genotypes:
    """Flip each edge with probability 1/7, change each operation with probability 1/5.

    These are the rates of the evolution that comes with the benchmark. The vertices
    first take one of their topological orders at random, and absent vertices a random
    operation without edges: the published mutation works on cells that were never
    pruned, where such vertices lie idle.

    Parameters
    ----------
    pruned : ndarray of int, shape (n, 26)
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of int16, shape (n, 26)
    """
    rows = cells.shuffle(pruned, rng)
    edges, operations = rows[:, : len(EDGES)], rows[:, len(EDGES) :]
    edges ^= rng.random(edges.shape) < _EDGE_RATE
    idle = rng.integers(1, _KINDS + 1, size=operations.shape)
    kinds = np.where(operations > 0, operations, idle)
    shift = rng.integers(1, _KINDS, size=kinds.shape)
    change = rng.random(kinds.shape) < _OPERATION_RATE
    operations[:] = (kinds - 1 + change * shift) % _KINDS + 1
    return rows


def edited(pruned: npt.NDArray[np.integer]) -> Genotypes:
    """Return one row, shape (26,), after each possible single edit.

    An edit removes an edge, adds one that closes no cycle, changes an operation, or
    adds a vertex with one edge in and one edge out.

    Returns
    -------
    ndarray of int16, shape (m, 26)
        Isomorphic results may occur several times.
    """
    # In some topological order every edge that closes no cycle leads forward.
    forms = cells.topological_forms(pruned)
    exists = np.ones((len(forms), VERTICES), dtype=bool)
    exists[:, 1:OUTPUT] = forms[:, len(EDGES) :] > 0
    results = [_other_operations(forms[0])]
    for (source, target), column in COLUMN.items():
        rows = forms[exists[:, source] & exists[:, target]]
        rows[:, column] ^= 1
        results.append(rows)
    for vertex in INNER:
        results.extend(_with_vertex(forms[~exists[:, vertex]], exists[~exists[:, vertex]], vertex))
    return np.concatenate(results)


def grown(canonical: npt.NDArray[np.integer]) -> Genotypes:
    """Return one row, shape (26,), after each way to add a vertex right before the output.

    It takes any of the three operations, inputs from any vertices, at least one, and
    leads to the output; each of its inputs keeps its own edge to the output, if it has
    one, or gives it up. Every cell grows so from the input and the output: without
    the last inner vertex of an order, whose inputs get its edge to the output, it is a
    smaller one with no more edges.

    Parameters
    ----------
    canonical : ndarray of int, shape (26,)
        Its absent vertices are the last ones before the output.

    Returns
    -------
    ndarray of int16, shape (m, 26)
        None where all vertices are there.
    """
    vertex = 1 + int((canonical[len(EDGES) :] > 0).sum())
    if vertex == OUTPUT:
        return np.empty((0, len(canonical)), dtype=np.int16)
    results = []
    # Of each vertex before: no edge to the new one, an edge, or an edge in place of the output's.
    for links in product((0, 1, 2), repeat=vertex):
        replaced = [source for source, link in enumerate(links) if link == 2]
        if not any(links) or any(canonical[COLUMN[source, OUTPUT]] == 0 for source in replaced):
            continue
        row = np.array(canonical, dtype=np.int16)
        row[[COLUMN[source, vertex] for source, link in enumerate(links) if link]] = 1
        row[[COLUMN[source, OUTPUT] for source in replaced]] = 0
        row[COLUMN[vertex, OUTPUT]] = 1
        for kind in range(1, _KINDS + 1):
            results.append(row.copy())
            results[-1][len(EDGES) + vertex - 1] = kind
    return np.array(results)


def _other_operations(row: Genotypes) -> Genotypes:
    results = []
    for column in range(len(EDGES), len(row)):
        for kind in range(1, _KINDS + 1) if row[column] else ():
            if kind != row[column]:
                results.append(row.copy())
                results[-1][column] = kind
    return np.array(results, dtype=np.int16).reshape(-1, len(row))


def _with_vertex(forms: Genotypes, exists: npt.NDArray[np.bool_], vertex: int) -> list[Genotypes]:
    """Rows, all without this vertex, with it between each pair of others."""
    results = []
    for source in range(vertex):
        for target in range(vertex + 1, VERTICES):
            rows = forms[exists[:, source] & exists[:, target]]
            rows[:, [COLUMN[source, vertex], COLUMN[vertex, target]]] = 1
            for kind in range(1, _KINDS + 1):
                rows[:, len(EDGES) + vertex - 1] = kind
                results.append(rows.copy())
    return results
