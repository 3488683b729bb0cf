"""String forms of a cell: a compact one, and JSON with matrix and operations."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, shown, unknown
from weaknas.files import parse_json
from weaknas.spaces.nasbench101.cells import COLUMN, EDGES, INNER, OPERATIONS, OUTPUT, VERTICES
from weaknas.spaces.rows import Genotypes

#: ``conv3x3`` for ``conv3x3-bn-relu`` and so on; both are read.
SHORT = tuple(name.partition("-")[0] for name in OPERATIONS)
_FORM = (
    "the form is operation:sources+...+output:sources, e.g. conv3x3:0+maxpool3x3:0,1+output:1,2,"
    ' or JSON {"matrix": [[...]], "ops": ["input", ..., "output"]}'
)


def format_cell(row: npt.NDArray[np.integer]) -> str:
    """Return ``operation:sources`` of each vertex and the output, joined by ``+``.

    Parameters
    ----------
    row : ndarray of int, shape (26,)
        The vertices that exist are numbered without gaps, the input being 0.
    """
    vertices, operations, edges = _compact(row)
    names = [*(SHORT[op] for op in operations), "output"]
    sources = [[str(s) for s, t in edges if t == target] for target in range(1, len(vertices))]
    return "+".join(f"{n}:{','.join(s)}" for n, s in zip(names, sources, strict=True))


def format_json(row: npt.NDArray[np.integer]) -> str:
    """Return the cell, shape (26,), as JSON with the official names."""
    vertices, operations, edges = _compact(row)
    matrix = np.zeros((len(vertices), len(vertices)), dtype=int)
    for source, target in edges:
        matrix[source, target] = 1
    names = ["input", *(OPERATIONS[op] for op in operations), "output"]
    return json.dumps({"matrix": matrix.tolist(), "ops": names})


def parse_cell(text: str) -> Genotypes:
    """Read either form; shape (26,), not pruned.

    Raises
    ------
    InputError
        When the form is wrong, an operation is unknown, or there are too many vertices.
    """
    stripped = text.strip()
    if stripped.startswith("{"):
        return _parse_json(stripped)
    vertices = [part.partition(":") for part in stripped.split("+")]
    if vertices[-1][0] != "output" or re.fullmatch(r"([\w-]+:[\d,]*\+?)+", stripped) is None:
        raise InputError(f"malformed cell {shown(text)}; {_FORM}")
    matrix = np.zeros((len(vertices) + 1, len(vertices) + 1), dtype=int)
    for target, (_, _, sources) in enumerate(vertices, start=1):
        for source in filter(None, sources.split(",")):
            if int(source) >= target:
                raise InputError(
                    f"vertex {target} of {text!r} takes from {source}; sources come before it"
                )
            matrix[int(source), target] = 1
    return from_matrix(matrix, [name for name, _, _ in vertices[:-1]])


def from_matrix(matrix: npt.ArrayLike, operations: list[str]) -> Genotypes:
    """Return the row, shape (26,), of an adjacency matrix and its inner operations.

    Parameters
    ----------
    matrix : array of 0 and 1, shape (v, v)
        Upper triangular, at most 7 x 7; the first vertex is the input, the last the output.
    operations : list of str
        Of the v - 2 inner vertices, by official or short names.

    Raises
    ------
    InputError
        When the matrix is not such a one, or an operation is unknown.
    """
    edges = _checked_matrix(matrix)
    if len(operations) != len(edges) - 2:
        raise InputError(f"{len(operations)} inner operations for {len(edges)} vertices")
    row = np.zeros(len(EDGES) + len(INNER), dtype=np.int16)
    for vertex, name in enumerate(operations, start=1):
        short = name.removesuffix("-bn-relu")
        if short not in SHORT[1:]:
            raise unknown("operation", name, SHORT[1:])
        row[len(EDGES) + vertex - 1] = SHORT.index(short)
    place = [*range(len(edges) - 1), OUTPUT]
    for source, target in np.argwhere(edges):
        row[COLUMN[place[source], place[target]]] = 1
    return row


def _checked_matrix(matrix: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    try:
        values = np.array(matrix)
    except ValueError as error:
        raise InputError(
            f"the adjacency matrix has rows of different lengths: {matrix!r}"
        ) from error
    if values.ndim != 2 or len(values) != values.shape[1] or not 2 <= len(values) <= VERTICES:
        raise InputError(
            f"an adjacency matrix is square with 2 to {VERTICES} vertices, not {values.shape}"
        )
    if not np.isin(values, (0, 1)).all():
        raise InputError(f"an adjacency matrix holds 0 and 1 only, not {values.tolist()}")
    if np.tril(values).any():
        raise InputError(
            "an adjacency matrix is upper triangular (edges from lower to higher vertices),"
            f" not {values.tolist()}"
        )
    return np.asarray(values, dtype=bool)


def _parse_json(text: str) -> Genotypes:
    try:
        cell: Any = parse_json(text)
        matrix, operations = cell["matrix"], list(map(str, cell["ops"]))
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"malformed cell {shown(text)} ({shown(error)}); {_FORM}") from error
    if len(operations) < 2 or (operations[0], operations[-1]) != ("input", "output"):
        raise InputError(f"ops begin with 'input' and end with 'output', not {operations}")
    return from_matrix(matrix, operations[1:-1])


def _compact(
    row: npt.NDArray[np.integer],
) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """Vertices that exist, their inner operations, and edges by new numbers."""
    values = np.asarray(row).tolist()
    operations = values[len(EDGES) :]
    vertices = [0, *(v for v in INNER if operations[v - 1] > 0), OUTPUT]
    number = {vertex: i for i, vertex in enumerate(vertices)}
    edges = [
        (number[s], number[t])
        for column, (s, t) in enumerate(EDGES)
        if values[column] and s in number and t in number
    ]
    return vertices, [operations[v - 1] for v in vertices[1:-1]], edges
