"""Cells of NAS-Bench-201: operations, edges and the official string."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from weaknas.errors import InputError, shown, unknown
from weaknas.spaces.rows import Genotypes

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
#: (source, target) of each genotype column, in the order of the official string.
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))

_EDGE = re.compile(r"(\w+)~([0-2])")
# One, two and three edges: with all six among them, each is there once.
_CELL = re.compile(r"\+".join(rf"\|(?:{_EDGE.pattern}\|){{{edges}}}" for edges in (1, 2, 3)))


def write_cell(genotype: Iterable[int]) -> str:
    """Return the official string of one genotype, shape (6,)."""
    names = [f"{OPERATIONS[op]}~{source}" for op, (source, _) in zip(genotype, EDGES, strict=True)]
    return f"|{names[0]}|+|{'|'.join(names[1:3])}|+|{'|'.join(names[3:])}|"


def read_cell(text: str) -> Genotypes:
    """Read an official string, shape (6,); edges may stand in any order within a node.

    Raises
    ------
    InputError
        When the form is wrong or an operation is unknown.
    """
    operations = {
        (int(source), target): name
        for target, node in enumerate(text.strip().split("+"), start=1)
        for name, source in _EDGE.findall(node)
    }
    if _CELL.fullmatch(text.strip()) is None or set(operations) != set(EDGES):
        raise InputError(
            f"malformed architecture string {shown(text)}; the form is |op~0|+|op~0|op~1|+"
            f"|op~0|op~1|op~2| with op one of {', '.join(OPERATIONS)}"
        )
    for name in operations.values():
        if name not in OPERATIONS:
            raise unknown("operation", name, OPERATIONS)
    return np.array([OPERATIONS.index(operations[edge]) for edge in EDGES], dtype=np.int16)
