"""Decisions that are the edges and nodes of a cell: its graph, and which cells are the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, check_whole, shown, unknown
from weaknas.spaces.choices.values import ChoiceValues
from weaknas.spaces.graphs import GraphBatch
from weaknas.spaces.rows import Genotypes

#: Nodes that a cell may have: all orders of the inner ones are tried.
MOST_NODES = 8
_PLACES = ("edges", "nodes")


@dataclass(frozen=True)
class Cell:
    """A directed acyclic graph from node 0, the input, to the last node, the output.

    Edges lead from lower to higher nodes; the decision about the edge from 0 to 1 is
    named ``0->1``. Architectures are the same where they are once what the input does not
    reach, or what does not lead to the output, is taken away, and the inner nodes may
    change places. The lexicographically smallest genotype stands for all. An operation
    that changes nothing is one like the others.

    Parameters
    ----------
    nodes : int
        From 2 to 8, input and output included.
    operations : sequence or mapping
        As the values of a choice of `ChoiceSpace`.
    nothing : object, optional
        The operation of an edge that is not there. Default: all edges are there.
    on : str
        ``"edges"``: each edge has one of the operations, as in NAS-Bench-201.
        ``"nodes"``: each edge is there or not, 1 or 0, and each inner node has one of the
        operations, in the decisions ``node1``, ``node2``, ..., as in NAS-Bench-101.

    Raises
    ------
    InputError
        When there are too many nodes or too few, an operation is not right for a
        choice, or `nothing` is none of them.

    Examples
    --------
    >>> from weaknas.spaces import Cell, ChoiceSpace
    >>> cell = Cell(nodes=4, operations=["none", "skip", "conv1", "conv3", "pool"], nothing="none")
    >>> space = ChoiceSpace(cell=cell)
    >>> space.variables
    ('0->1', '0->2', '1->2', '0->3', '1->3', '2->3')
    >>> space.size, len(space.architecture_fingerprints)
    (15625, 8765)
    """

    nodes: int
    operations: Sequence[Any] | Mapping[str, Any]
    nothing: Any = None
    on: str = "edges"

    def __post_init__(self) -> None:
        if check_whole("nodes of a cell", self.nodes, 2) > MOST_NODES:
            raise InputError(f"a cell has at most {MOST_NODES} nodes, not {self.nodes}")
        _check_operations(self.operations)
        if self.on not in _PLACES:
            raise unknown("place of operations", self.on, _PLACES)
        if self.nothing is not None and self.on == "nodes":
            raise InputError("edges without operations are there or not; 'nothing' is of no use")
        if self.nothing is not None and self._values.index(self.nothing) is None:
            raise unknown(
                "operation of an edge that is not there", self.nothing, self._values.texts
            )

    @cached_property
    def _values(self) -> ChoiceValues:
        return ChoiceValues("operations of the cell", self.operations)

    @cached_property
    def choices(self) -> dict[str, Any]:
        """Name and values of each decision: edges by their targets, then the inner nodes."""
        values = self.operations if self.on == "edges" else (0, 1)
        names = [f"{source}->{target}" for source, target in self._edges]
        inner = self._inner if self.on == "nodes" else []
        return dict.fromkeys(names, values) | {f"node{node}": self.operations for node in inner}

    @property
    def decided(self) -> list[str]:
        """Names of the decisions that are operations."""
        return [name for name in self.choices if (self.on == "edges") == ("->" in name)]

    def describe(self) -> dict[str, Any]:
        """Return what decides which architectures are the same, as plain JSON types."""
        nothing = None if self.nothing is None else self._values.texts[self._nothing]
        return {"nodes": self.nodes, "on": self.on, "nothing": nothing}

    @cached_property
    def _edges(self) -> list[tuple[int, int]]:
        return [(source, target) for target in range(self.nodes) for source in range(target)]

    @property
    def _inner(self) -> range:
        return range(1, self.nodes - 1)

    @cached_property
    def _nothing(self) -> int:
        """Index of the value of an edge that is not there; that of none if all are."""
        if self.on == "nodes":
            return 0
        found = None if self.nothing is None else self._values.index(self.nothing)
        return len(self._values) if found is None else found

    # -- canonical form ---------------------------------------------------------------

    def canonicalize(self, genotypes: npt.NDArray[np.integer]) -> Genotypes:
        """Return the row that stands for each of those of `choices`, shape (n, k)."""
        rows = self._prune(genotypes)
        best = rows.copy()
        there = rows[:, : len(self._edges)] != self._nothing
        bits = there @ (1 << np.arange(len(self._edges), dtype=np.int64))
        # One column more, of what an edge has that comes from no other.
        padded = np.pad(rows, ((0, 0), (0, 1)), constant_values=self._nothing)
        common = int(np.bitwise_and.reduce(bits))
        for origins, lost in self._relabelings:
            if common & lost:
                continue
            allowed = np.flatnonzero((bits & lost) == 0)
            moved = padded[allowed[:, None], origins]
            smaller = _precedes(moved, best[allowed])
            best[allowed[smaller]] = moved[smaller]
        return best

    def _prune(self, genotypes: npt.NDArray[np.integer]) -> Genotypes:
        """Return rows without edges and operations that are on no way from input to output."""
        rows = np.array(genotypes)
        there = rows[:, : len(self._edges)] != self._nothing
        used = self._used(there)
        sources, targets = np.array(self._edges).T
        dead = there & ~(used[:, sources] & used[:, targets])
        rows[:, : len(self._edges)][dead] = self._nothing
        if self.on == "nodes":
            rows[:, len(self._edges) :][~used[:, 1:-1]] = 0
        return rows

    def _used(self, there: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Tell which nodes are on a way from input to output, shape (n, nodes)."""
        reached = np.zeros((len(there), self.nodes), dtype=bool)
        leads = reached.copy()
        reached[:, 0] = leads[:, -1] = True
        for column, (source, target) in enumerate(self._edges):
            reached[:, target] |= reached[:, source] & there[:, column]
        for column, (source, target) in sorted(enumerate(self._edges), key=lambda e: -e[1][0]):
            leads[:, source] |= leads[:, target] & there[:, column]
        return reached & leads

    @cached_property
    def _relabelings(self) -> list[tuple[npt.NDArray[np.intp], int]]:
        """For each order of the inner nodes: where columns come from, and which edges it forbids.

        An edge whose ends change their order may not be there; bits of an integer.
        """
        column = {edge: index for index, edge in enumerate(self._edges)}
        first, found = len(self._edges), []
        for order in permutations(self._inner):
            old = (0, *order, self.nodes - 1)  # by new node
            origins = [column.get((old[a], old[b]), -1) for a, b in self._edges]
            if self.on == "nodes":
                origins += [first + node - 1 for node in order]
            lost = set(column.values()) - set(origins)
            found.append((np.array(origins, dtype=np.intp), sum(1 << index for index in lost)))
        return found[1:]  # the first leaves all as it is

    # -- graphs -------------------------------------------------------------------------

    def graphs(self, rows: npt.NDArray[np.integer]) -> GraphBatch:
        """Return the graphs of canonical rows, shape (n, k), with operations on nodes.

        Operations on edges become nodes, each leading to those of the edges that begin
        where its own ends.
        """
        there = rows[:, : len(self._edges)] != self._nothing
        sources, targets = np.array(self._edges).T
        texts = self._values.texts
        if self.on == "edges":
            inner = np.where(there, rows + 2 - (rows > self._nothing), -1)
            links = np.zeros((len(self._edges) + 2,) * 2, dtype=bool)
            links[0, 1:-1], links[1:-1, -1] = sources == 0, targets == self.nodes - 1
            links[1:-1, 1:-1] = targets[:, None] == sources
            adjacency = np.repeat(links[None], len(rows), axis=0)
            texts = texts[: self._nothing] + texts[self._nothing + 1 :]
        else:
            inner = np.where(self._used(there)[:, 1:-1], rows[:, len(self._edges) :] + 2, -1)
            adjacency = np.zeros((len(rows), self.nodes, self.nodes), dtype=bool)
            adjacency[:, sources, targets] = there
        ends = np.tile(np.array([0, 1], dtype=np.int16), (len(rows), 1))
        operations = np.hstack([ends[:, :1], inner.astype(np.int16), ends[:, 1:]])
        present = operations >= 0
        adjacency &= present[:, :, None] & present[:, None, :]
        return GraphBatch(adjacency, operations, ("input", "output", *texts))


def _check_operations(operations: object) -> None:
    """Refuse what is neither a list nor names of operations; each decision reads it anew."""
    readable = isinstance(operations, Iterable) and not isinstance(operations, str | bytes)
    if isinstance(operations, Iterator) or not readable:
        raise InputError(
            "the operations of a cell must be a list, or a mapping of names to them, not"
            f" {shown(operations)}"
        )


def _precedes(rows: Genotypes, others: Genotypes) -> npt.NDArray[np.bool_]:
    """Tell where rows come before others in lexicographic order; shapes (n, k)."""
    place = (rows != others).argmax(axis=1)
    line = np.arange(len(rows))
    return np.asarray(rows[line, place] < others[line, place])
