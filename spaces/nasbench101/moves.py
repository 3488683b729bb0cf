"""Steps from cell to cell: the published mutation, and single edits.

Rows that come out are proposals: not pruned, and not all of them in the space.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations, product
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from weaknas.spaces.nasbench101 import cells
from weaknas.spaces.nasbench101.cells import (
    ARC_WEIGHTS,
    COLUMN,
    EDGES,
    FORBIDDEN,
    INNER,
    MAX_EDGES,
    OPERATION_WEIGHTS,
    OPERATIONS,
    OUTPUT,
    VERTICES,
)
from weaknas.spaces.rows import Genotypes

Indices: TypeAlias = npt.NDArray[np.int64]
#: Codes after an edit and the places of the rows that had it, both (m,).
_Edits: TypeAlias = tuple[npt.NDArray[np.int64], Indices]
#: Places of rows, shape (m,), and what an edit of them adds to each of their 120 codes.
_Additions: TypeAlias = tuple[Indices, npt.NDArray[np.float64]]

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


def edited(canonical: npt.NDArray[np.integer]) -> tuple[npt.NDArray[np.int64], Indices]:
    """Return the cells after each possible single edit of each row, shape (n, 26).

    An edit removes an edge, adds one that closes no cycle, changes an operation, or
    adds a vertex with one edge in and one edge out. What it cuts off is pruned.

    Returns
    -------
    codes : ndarray of int64, shape (m,)
        Canonical. Isomorphic results may occur several times.
    owners : ndarray of int64, shape (m,)
        Index of the row that each comes from.
    """
    codes, owners = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    start = 0
    for labelled in cells.relabelled_codes(canonical):
        rows = canonical[start : start + len(labelled)]
        for found, places in (*_without_edge(rows), *_with_more(rows, labelled)):
            codes.append(found)
            owners.append(places + start)
        start += len(labelled)
    return np.concatenate(codes), np.concatenate(owners)


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


def _without_edge(rows: Genotypes) -> Iterator[_Edits]:
    """Yield what is left without each edge."""
    for column in range(len(EDGES)):
        places = np.flatnonzero(rows[:, column])
        fewer = rows[places]
        fewer[:, column] = 0
        pruned = cells.prune(fewer)
        left = cells.count_edges(pruned) > 0
        yield cells.canonical_codes(pruned[left]), places[left]


def _with_more(rows: Genotypes, labelled: npt.NDArray[np.float64]) -> Iterator[_Edits]:
    """Yield what another operation, an edge or a vertex makes of canonical rows.

    None of these leaves anything to prune, so that the smallest code among the relabellings is
    that of the row plus what the edit adds to each: `labelled`, shape (n, 120), plus weights.
    """
    edges, last = cells.count_edges(rows), (rows[:, len(EDGES) :] > 0).sum(axis=1)
    for places, added in (
        *_operation_changes(rows),
        *_edge_additions(rows, np.flatnonzero(edges < MAX_EDGES), last),
        *_vertex_additions(np.flatnonzero((edges < MAX_EDGES - 1) & (last < len(INNER))), last),
    ):
        codes = (labelled[places] + added).min(axis=1)
        acyclic = codes < FORBIDDEN
        yield codes[acyclic].astype(np.int64), places[acyclic]


def _operation_changes(rows: Genotypes) -> Iterator[_Additions]:
    for vertex in INNER:
        kinds = rows[:, len(EDGES) + vertex - 1]
        for before, after in permutations(range(1, _KINDS + 1), 2):
            yield np.flatnonzero(kinds == before), (after - before) * OPERATION_WEIGHTS[vertex]


def _edge_additions(rows: Genotypes, open_: Indices, last: Indices) -> Iterator[_Additions]:
    for source, target in permutations(range(VERTICES), 2):
        if target > 0 and source < OUTPUT:
            there = open_[_exist(source, last[open_]) & _exist(target, last[open_])]
            if source < target:
                there = there[rows[there, COLUMN[source, target]] == 0]
            yield there, ARC_WEIGHTS[source, target]


def _vertex_additions(open_: Indices, last: Indices) -> Iterator[_Additions]:
    for vertex in INNER:
        places = open_[last[open_] == vertex - 1]
        others = [*range(vertex), OUTPUT]
        for source, target in permutations(others, 2):
            if target > 0 and source < OUTPUT:
                arcs = ARC_WEIGHTS[source, vertex] + ARC_WEIGHTS[vertex, target]
                for kind in range(1, _KINDS + 1):
                    yield places, arcs + kind * OPERATION_WEIGHTS[vertex]


def _exist(vertex: int, last: Indices) -> npt.NDArray[np.bool_]:
    """Tell in which rows a vertex exists, whose last inner vertex is given, shape (n,)."""
    return (last >= vertex) | (vertex == OUTPUT)
