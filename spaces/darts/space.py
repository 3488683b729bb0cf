"""The cell space of DARTS (Liu et al., ICLR 2019, arXiv:1806.09055)."""

from __future__ import annotations

import math
from itertools import combinations, permutations, product
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, optional_import, unknown
from weaknas.spaces._base import distinct
from weaknas.spaces.cells.costs import Counts
from weaknas.spaces.cells.space import CellSpace
from weaknas.spaces.darts import counts
from weaknas.spaces.darts.genotype import CELLS, Cell, format_cells, parse_cells
from weaknas.spaces.darts.skeleton import DARTSSkeleton
from weaknas.spaces.graphs import GraphBatch
from weaknas.spaces.rows import Fingerprints, Genotypes

if TYPE_CHECKING:
    from torch.nn import Module

    from weaknas.spaces.darts.mixed import MixedCells

#: Operations that a genotype can have, by the name of the set.
OPERATIONS = {
    "darts": (
        "max_pool_3x3",
        "avg_pool_3x3",
        "skip_connect",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "dil_conv_3x3",
        "dil_conv_5x5",
    ),
    "nasnet": (
        "skip_connect",
        "conv_3x1_1x3",
        "conv_7x1_1x7",
        "dil_conv_3x3",
        "avg_pool_3x3",
        "max_pool_3x3",
        "max_pool_5x5",
        "max_pool_7x7",
        "conv_1x1",
        "conv_3x3",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "sep_conv_7x7",
    ),
}
_NODES = 4
_SHAPE = (len(CELLS), _NODES, 2, 2)  # cell, node, input, (predecessor, operation)
_SOURCES = _NODES + 2
_PAIRS = {k: np.array(list(combinations(range(k), 2))) for k in range(2, _SOURCES)}
_ORDERS = np.array(list(permutations(range(_NODES))))
# What the sources 0 to 5 are called after the nodes were put in each order.
_NAMES = np.array([[0, 1, *(2 + np.argsort(order))] for order in _ORDERS])
_CHUNK = 1000  # cells whose numberings are compared at a time

# Nodes of the graph of a cell: its two inputs, then two operations and their sum a node.
_WIDTH = 2 + 3 * _NODES
_FIRST = [1 + cell * _WIDTH for cell in range(len(CELLS))]


class DARTS(CellSpace[DARTSSkeleton]):
    """A normal and a reduction cell; each of their four nodes adds two transformed inputs.

    The nodes 2 to 5 of a cell take two different inputs among the outputs of the
    two cells before (0 and 1) and the earlier nodes, each through an operation;
    the output is the concatenation of all four. The search of DARTS chooses
    among 8 operations, one of them ``none``; no genotype contains ``none``, so 7
    can be chosen. `size` counts the two inputs of a node as unordered:
    ``(prod of C(k, 2) over k = 2..5 * 7^8)^2 = (180 * 7^8)^2``, about 1.08e18
    (with order 256 times for each cell).

    A genotype has 32 values: for each cell, node and input the predecessor and
    the operation. The canonical form is exact: inputs of a node are ordered, and
    of all renumberings of the four nodes that keep predecessors first the
    lexicographically smallest stands for all, for each cell by itself.

    Parameters
    ----------
    operations : {"darts", "nasnet"}
        Which set of operations; ``"nasnet"`` has the 13 of Zoph et al. (CVPR
        2018, arXiv:1707.07012) in the cells described above.

    Raises
    ------
    InputError
        When the set is unknown.
    """

    name = "darts"
    skeleton = DARTSSkeleton
    variables = tuple(
        f"{cell}_node{node + 2}_{kind}{number}"
        for cell, node, number, kind in product(CELLS, range(_NODES), (1, 2), ("input", "op"))
    )

    def __init__(self, operations: str = "darts") -> None:
        if operations not in OPERATIONS:
            raise unknown("set of operations", operations, OPERATIONS)
        self.operation_set = operations
        self.operations = OPERATIONS[operations]
        self.name = "darts" if operations == "darts" else f"darts-{operations}"
        one_cell = [(node + 2, len(self.operations)) * 2 for node in range(_NODES)]
        self.cardinalities = np.array(one_cell * len(CELLS)).ravel()
        self.ordered = np.zeros(len(self.cardinalities), dtype=bool)

    @property
    def size(self) -> int:
        """Number of pairs of cells, the inputs of a node unordered."""
        one_cell = math.prod(len(pairs) * len(self.operations) ** 2 for pairs in _PAIRS.values())
        return int(one_cell ** len(CELLS))

    @property
    def is_listable(self) -> bool:
        """Never."""
        return False

    def describe(self) -> dict[str, Any]:
        """Return name, size and set of operations as plain JSON types."""
        return super().describe() | {"operations": self.operation_set}

    @property
    def value_names(self) -> list[list[str]]:
        """Numbers of the inputs of a node, names of operations."""
        numbers, names = super().value_names, list(self.operations)
        is_operation = ["_op" in variable for variable in self.variables]
        return [names if op else each for each, op in zip(numbers, is_operation, strict=True)]

    def contains(self, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
        """Tell which genotypes are in range and give each node two different inputs."""
        inputs = _cells(genotypes)[..., 0]
        different = (inputs[..., 0] != inputs[..., 1]).all(axis=(1, 2))
        return np.asarray(super().contains(genotypes) & different)

    # -- text ---------------------------------------------------------------------

    def format(self, genotype: npt.NDArray[np.integer]) -> str:
        """Return ``Genotype(normal=[('sep_conv_3x3', 0), ...], ...)``, as in the literature."""
        return format_cells(self.to_cells(genotype))

    def parse(self, text: str) -> Genotypes:
        """Read the form of `format`; nothing in it is run.

        Raises
        ------
        InputError
            When the form is wrong, an operation is unknown, or a node does not
            take two different earlier inputs.
        """
        return self.from_cells(parse_cells(text))

    def from_cells(self, cells: list[list[tuple[str, int]]]) -> Genotypes:
        """Return the genotype, shape (32,), of (operation, predecessor) pairs of both cells.

        Raises
        ------
        InputError
            When an operation is unknown, or a node does not take two different
            earlier inputs.
        """
        rows = []
        for name, pairs in zip(CELLS, cells, strict=True):
            if len(pairs) != 2 * _NODES:
                raise InputError(f"the {name} cell has {len(pairs)} inputs, not {2 * _NODES}")
            for position, (operation, source) in enumerate(pairs):
                node = position // 2 + 2
                if operation not in self.operations:
                    raise unknown("operation", operation, self.operations)
                if not 0 <= source < node:
                    raise InputError(
                        f"node {node} of the {name} cell takes input {source}; 0 to {node - 1}"
                        " are before it"
                    )
                if position % 2 and pairs[position - 1][1] == source:
                    raise InputError(f"node {node} of the {name} cell takes input {source} twice")
                rows += [source, self.operations.index(operation)]
        return np.array(rows, dtype=np.int16)

    # -- identity -----------------------------------------------------------------

    def canonicalize(self, genotypes: npt.NDArray[np.integer]) -> Genotypes:
        """Order the inputs of each node and the nodes of each cell."""
        return self._renumber(_cells(genotypes))[0]

    def fingerprint(self, genotypes: npt.NDArray[np.integer]) -> Fingerprints:
        """Return one 64-bit integer a genotype: exact for the operations of DARTS."""
        if self.size >= 2**63:
            return super().fingerprint(genotypes)
        cells = _cells(self.canonicalize(genotypes)).astype(np.int64)
        code = np.zeros(len(cells), dtype=np.int64)
        squared = len(self.operations) ** 2
        for cell, node in product(range(len(CELLS)), range(_NODES)):
            (first, one), (second, other) = cells[:, cell, node].transpose(1, 2, 0)
            # The pairs first < second in colexicographic order are numbered without gaps.
            pair = second * (second - 1) // 2 + first
            code = code * (len(_PAIRS[node + 2]) * squared) + pair * squared
            code += one * len(self.operations) + other
        return code

    def _renumber(self, cells: npt.NDArray[np.integer]) -> tuple[Genotypes, npt.NDArray[np.bool_]]:
        """Canonical genotypes, and whether they have no cycle; predecessors may come later."""
        count = len(self.operations)
        inputs, acyclic = np.empty((0, 2 * _NODES), dtype=np.int64), np.empty(0, dtype=bool)
        flat = cells.reshape(-1, _NODES, 2, 2).astype(np.int64)
        for start in range(0, len(flat), _CHUNK):
            # All numberings of each cell: (cells, numberings, nodes, inputs).
            source, operation = np.moveaxis(flat[start : start + _CHUNK, _ORDERS], -1, 0)
            source = _NAMES[np.arange(len(_ORDERS))[:, None, None], source]
            later = (source >= np.arange(2, _SOURCES)[:, None]).any(axis=(2, 3))
            one, other = np.moveaxis(source * count + operation, -1, 0)
            keys = np.stack([np.minimum(one, other), np.maximum(one, other)], axis=-1)
            keys = keys.reshape(*later.shape, 2 * _NODES)
            code = keys @ (_SOURCES * count) ** np.arange(2 * _NODES)[::-1]
            code[later] = np.iinfo(np.int64).max
            best = code.argmin(axis=1)
            line = np.arange(len(best))
            inputs = np.vstack([inputs, keys[line, best]])
            acyclic = np.append(acyclic, ~later[line, best])
        rows = np.stack([inputs // count, inputs % count], axis=-1)
        whole = acyclic.reshape(len(cells), len(CELLS)).all(axis=1)
        return _rows(rows.reshape(len(cells), *_SHAPE)), np.asarray(whole)

    # -- drawing and moving ---------------------------------------------------------

    def sample(self, n: int, rng: np.random.Generator) -> Genotypes:
        """Draw n genotypes uniformly, with replacement; shape (n, 32)."""
        cells = np.empty((n, *_SHAPE), dtype=np.int16)
        cells[..., 1] = rng.integers(len(self.operations), size=cells.shape[:-1])
        for node in range(_NODES):
            pairs = _PAIRS[node + 2]
            cells[:, :, node, :, 0] = pairs[rng.integers(len(pairs), size=(n, len(CELLS)))]
        return _rows(cells)

    def mutate(self, genotypes: npt.NDArray[np.integer], rng: np.random.Generator) -> Genotypes:
        """Give one input of one node another operation or, with equal chance, another source.

        The first node has two possible sources and takes both: there the
        operation changes.
        """
        cells = np.array(_cells(genotypes), dtype=np.int16)
        n = len(cells)
        line, cell, node = np.arange(n), rng.integers(2, size=n), rng.integers(_NODES, size=n)
        edge = line, cell, node, rng.integers(2, size=n)
        rewire = (rng.random(n) < 0.5) & (node > 0)
        shift = rng.integers(1, len(self.operations), size=n)
        operation = (cells[*edge, 1] + shift) % len(self.operations)
        # Number the sources that the node does not take, and draw one of them.
        taken = np.sort(cells[line, cell, node, :, 0], axis=1)
        source = rng.integers(np.maximum(node, 1), size=n)
        source += source >= taken[:, 0]
        source += source >= taken[:, 1]
        cells[*edge, 1] = np.where(rewire, cells[*edge, 1], operation)
        cells[*edge, 0] = np.where(rewire, source, cells[*edge, 0])
        return _rows(cells)

    def crossover(
        self,
        first: npt.NDArray[np.integer],
        second: npt.NDArray[np.integer],
        rng: np.random.Generator,
    ) -> Genotypes:
        """Take each node, with both its inputs, from either parent with equal chance."""
        take = rng.random((len(first), len(CELLS), _NODES, 1, 1)) < 0.5
        children = np.where(take, _cells(first), _cells(second))
        return _rows(children)

    def neighbors(self, genotype: npt.NDArray[np.integer]) -> Genotypes:
        """Return the architectures with one other operation or source; shape (m, 32).

        Every source that makes no cycle counts, whatever the numbering of the
        nodes, so neighbours of isomorphic genotypes are the same and being a
        neighbour is symmetric.
        """
        base = np.asarray(genotype, dtype=np.int16).reshape(_SHAPE)
        moves = []
        for cell, node, which in product(range(len(CELLS)), range(_NODES), (0, 1)):
            operations = set(range(len(self.operations))) - {int(base[cell, node, which, 1])}
            sources = set(range(_SOURCES)) - {node + 2, *base[cell, node, :, 0].tolist()}
            moves += [(cell, node, which, 1, value) for value in sorted(operations)]
            moves += [(cell, node, which, 0, value) for value in sorted(sources)]
        cells = np.repeat(base[None], len(moves), axis=0)
        *place, values = np.array(moves).T
        cells[np.arange(len(moves)), *place] = values
        rows, acyclic = self._renumber(cells)
        return distinct(self, rows[acyclic], other_than=base.ravel())

    # -- growing ------------------------------------------------------------------

    @property
    def levels(self) -> int:
        """Number of nodes of both cells."""
        return len(CELLS) * _NODES

    def smallest(self) -> Genotypes:
        """Return the cells whose nodes add the two inputs as they are, shape (1, 32)."""
        cells = np.zeros((1, *_SHAPE), dtype=np.int16)
        cells[..., 1, 0] = 1
        cells[..., 1] = self.operations.index("skip_connect")
        return _rows(cells)

    def extend(self, genotypes: npt.NDArray[np.integer], level: int) -> Genotypes:
        """Return genotypes with one node more that takes any inputs through any operations.

        The first node of the normal cell, then that of the reduction cell, and so on; the
        nodes to come add the two inputs of the cell as they are. All architectures
        grow so, for every inputs and operations of a node are among its extensions.
        """
        node, cell = divmod(level - 1, len(CELLS))
        pairs = _PAIRS[node + 2]
        operations = np.array(list(product(range(len(self.operations)), repeat=2)))
        blocks = np.stack(
            [np.repeat(pairs, len(operations), axis=0), np.tile(operations, (len(pairs), 1))],
            axis=-1,
        )
        cells = np.repeat(_cells(genotypes)[:, None], len(blocks), axis=1)
        cells[:, :, cell, node] = blocks
        return np.unique(_rows(cells.reshape(-1, *_SHAPE)), axis=0)

    # -- graphs -------------------------------------------------------------------

    def graphs(self, genotypes: npt.NDArray[np.integer]) -> GraphBatch:
        """Return both cells side by side as graphs of 30 nodes, those of canonical forms.

        From the input, node 0, edges lead to the two inputs of each cell; a node
        of a cell is two operations and their sum, each sum leads to the output,
        the last node. Operations of the two cells have names of their own.
        """
        cells = _cells(self.canonicalize(genotypes)).astype(np.int64)
        n, last = len(cells), 1 + len(CELLS) * _WIDTH
        adjacency = np.zeros((n, last + 1, last + 1), dtype=bool)
        operations = np.zeros((n, last + 1), dtype=np.int16)
        operations[:, last] = 1
        vocabulary = ["input", "output"]
        for cell, first in enumerate(_FIRST):
            label = len(vocabulary)
            labels = ("input0", "input1", "sum", *self.operations)
            vocabulary += [f"{CELLS[cell]}/{name}" for name in labels]
            operations[:, first : first + 2] = label, label + 1
            adjacency[:, 0, first : first + 2] = True
            for node in range(_NODES):
                total = first + 2 + 3 * node + 2
                operations[:, total] = label + 2
                adjacency[:, total, last] = True
                for which, place in enumerate((total - 2, total - 1)):
                    source, operation = cells[:, cell, node, which].T
                    operations[:, place] = label + 3 + operation
                    # Inputs stand first, then every third place has a sum.
                    start = first + np.where(source < 2, source, 3 * source - 2)
                    adjacency[np.arange(n), start, place] = True
                    adjacency[:, place, total] = True
        return GraphBatch(adjacency, operations, tuple(vocabulary))

    # -- the network ----------------------------------------------------------------

    def _parameters(self, genotypes: npt.NDArray[np.integer], skeleton: DARTSSkeleton) -> Counts:
        return counts.parameters(genotypes, self.operations, skeleton)

    def _macs(self, genotypes: npt.NDArray[np.integer], skeleton: DARTSSkeleton) -> Counts:
        return counts.macs(genotypes, self.operations, skeleton)

    def _network(self, genotype: npt.NDArray[np.integer], skeleton: DARTSSkeleton) -> Module:
        from weaknas.spaces.darts.network import Network

        normal, reduction = self.to_cells(genotype)
        return Network(normal, reduction, skeleton)

    def mixed_supernet(
        self,
        *,
        classes: int | None = None,
        shape: tuple[int, ...] | None = None,
        **skeleton: Any,
    ) -> MixedCells:
        """Return a network of all cells at once, whose edges are weighted sums, untrained.

        Parameters
        ----------
        classes, shape, **skeleton
            As for `network`; there is no auxiliary head.

        Raises
        ------
        InputError
            When a value cannot be used or torch is not installed.
        """
        settings = self.skeleton.read(classes, shape, skeleton)
        if settings.auxiliary:
            raise InputError("auxiliary is true; mixed supernets have no auxiliary head")
        optional_import("torch", "train")
        from weaknas.spaces.darts.mixed import MixedCells

        return MixedCells(self, self.operations, settings)

    def to_cells(self, genotype: npt.NDArray[np.integer]) -> list[Cell]:
        """Return (operation, predecessor) pairs of both cells of a genotype, shape (32,)."""
        cells = np.reshape(genotype, (len(CELLS), 2 * _NODES, 2)).tolist()
        return [[(self.operations[op], source) for source, op in cell] for cell in cells]


def _cells(genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """View genotypes, shape (n, 32), as (n, cells, nodes, inputs, 2)."""
    rows = np.asarray(genotypes)
    return rows.reshape(len(rows), *_SHAPE)


def _rows(cells: npt.NDArray[np.integer]) -> Genotypes:
    """Flatten cells, shape (n, cells, nodes, inputs, 2), to genotypes, shape (n, 32)."""
    return np.asarray(cells, dtype=np.int16).reshape(len(cells), math.prod(_SHAPE))
