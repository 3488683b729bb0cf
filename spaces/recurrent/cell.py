"""Recurrent cells as genotypes: activations, predecessors, the string form, isomorphism."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, shown, unknown
from weaknas.spaces.rows import Genotypes

ACTIVATIONS = ("tanh", "relu", "sigmoid", "identity")

Rows: TypeAlias = npt.NDArray[np.integer]

_NODE = re.compile(r"(\w+)~(\d+)")
_LAST = np.iinfo(np.int64).max


def split(genotypes: Rows) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return predecessors and activations of the nodes 1 to N, each of shape (n, N).

    A genotype is the activation of node 1, then predecessor and activation of each further
    one; node 0, what is made of input and state, is the predecessor of node 1.
    """
    rows = np.asarray(genotypes, dtype=np.int64)
    first = np.zeros((len(rows), 1), dtype=np.int64)
    return np.hstack([first, rows[:, 1::2]]), rows[:, 0::2]


def join(predecessors: Rows, activations: Rows) -> Genotypes:
    """Return the genotypes of what `split` returns, shape (n, 2 N - 1)."""
    rows = np.empty((len(predecessors), 2 * predecessors.shape[1] - 1), dtype=np.int16)
    rows[:, 0::2], rows[:, 1::2] = activations, predecessors[:, 1:]
    return rows


def write_cell(genotype: Rows) -> str:
    """Return ``tanh~0+relu~1+...``: the activation of each node and where it comes from."""
    predecessors, activations = split(np.asarray(genotype)[None])
    pairs = zip(activations[0], predecessors[0], strict=True)
    return "+".join(f"{ACTIVATIONS[activation]}~{source}" for activation, source in pairs)


def read_cell(text: str, nodes: int) -> Genotypes:
    """Read what `write_cell` returns, shape (2 nodes - 1,).

    Raises
    ------
    InputError
        When the form is wrong or an activation is unknown.
    """
    found = [_NODE.fullmatch(part.strip()) for part in text.split("+")]
    matches = [match for match in found if match is not None]
    if len(matches) != len(found) or len(found) != nodes:
        raise InputError(
            f"malformed recurrent cell {shown(text)}; the form is tanh~0+relu~1+..., the"
            f" activation and the predecessor of each of {nodes} nodes"
        )
    for place, match in enumerate(matches, start=1):
        if match[1] not in ACTIVATIONS:
            raise unknown("activation", match[1], ACTIVATIONS)
        if int(match[2]) >= place:
            raise InputError(
                f"node {place} of {shown(text)} comes from node {match[2]}, where earlier ones"
                f" are 0 to {place - 1}"
            )
    activations = [[ACTIVATIONS.index(match[1]) for match in matches]]
    rows = join(np.array([[int(match[2]) for match in matches]]), np.array(activations))
    row: Genotypes = rows[0]
    return row


def in_order(predecessors: Rows, activations: Rows) -> Genotypes:
    """Renumber the nodes, in an order that is the same for isomorphic cells.

    A cell is a tree with node 0 as its root and a label at each other node. Nodes are
    numbered from the root by the number of their predecessor, then by a 64-bit hash of
    the subtree below them: that of isomorphic subtrees is equal, so that it does not matter
    which of two equal siblings comes first.

    Parameters
    ----------
    predecessors, activations : ndarray of int, shape (n, N)

    Returns
    -------
    ndarray of int, shape (n, 2 N - 1)
    """
    count, nodes = predecessors.shape
    rows = np.arange(count)
    below = np.zeros((count, nodes + 1), dtype=np.uint64)
    hashes = np.zeros((count, nodes + 1), dtype=np.uint64)
    for node in range(nodes, 0, -1):
        label = activations[:, node - 1].astype(np.uint64) + np.uint64(1)
        hashes[:, node] = _mix(below[:, node] + _mix(label))
        # A sum: siblings have no order. Mixed again, a child is no grandchild.
        below[rows, predecessors[:, node - 1]] += _mix(hashes[:, node])
    number = np.full((count, nodes + 1), _LAST)
    number[:, 0] = 0
    ordered = np.empty((2, count, nodes), dtype=np.int64)
    for place in range(1, nodes + 1):
        # The waiting nodes whose predecessor has the lowest number, of these the lowest hash.
        parent = np.take_along_axis(number, predecessors, axis=1)
        parent[number[:, 1:] < _LAST] = _LAST
        first = parent == parent.min(axis=1, keepdims=True)
        chosen = np.where(first, hashes[:, 1:], np.uint64(2**64 - 1)).argmin(axis=1)
        ordered[0, :, place - 1] = parent[rows, chosen]
        ordered[1, :, place - 1] = activations[rows, chosen]
        number[rows, chosen + 1] = place
    return join(ordered[0], ordered[1])


def leaves(predecessors: Iterable[int], nodes: int) -> list[int]:
    """Return the nodes, counted from 1, that no other one comes from."""
    used = set(predecessors)
    return [node for node in range(1, nodes + 1) if node not in used]


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return the finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: npt.NDArray[np.uint64] = values ^ (values >> np.uint64(31))
    return mixed
