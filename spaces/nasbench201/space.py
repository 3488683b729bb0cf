"""The NAS-Bench-201 search space (Dong and Yang, ICLR 2020, arXiv:2001.00326)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import optional_import
from weaknas.spaces.cells.costs import Counts
from weaknas.spaces.cells.space import CellSpace
from weaknas.spaces.graphs import GraphBatch
from weaknas.spaces.nasbench201 import counts
from weaknas.spaces.nasbench201.cell import EDGES, OPERATIONS, read_cell, write_cell
from weaknas.spaces.nasbench201.skeleton import NASBench201Skeleton
from weaknas.spaces.rows import Genotypes

if TYPE_CHECKING:
    from torch.nn import Module

    from weaknas.spaces.nasbench201.mixed import MixedCells
    from weaknas.spaces.nasbench201.supernet import Supernet

# Genotype columns after the inner nodes 1 and 2 have changed places; the edge
# 1 -> 2 (column 2) must be absent for that.
_SWAPPED = [1, 0, 2, 3, 5, 4]

# Which edges follow which, with the input as node 0 and the output as node 7.
_LINE_GRAPH = np.zeros((8, 8), dtype=bool)
for _node, (_source, _target) in enumerate(EDGES, start=1):
    _LINE_GRAPH[0, _node] = _source == 0
    _LINE_GRAPH[_node, 7] = _target == 3
    _LINE_GRAPH[_node, 1:7] = [start == _target for start, _ in EDGES]


class NASBench201(CellSpace[NASBench201Skeleton]):
    """Cells of four nodes; each of the six edges i -> j (i < j) has one of five operations.

    A genotype has six values in the order of the official string
    ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``, each an index into `OPERATIONS`.

    The canonical form covers what the structure alone decides. (1) An edge with
    the operation ``none`` carries nothing. (2) An inner node that the input
    cannot reach, or that cannot reach the output, is unused, and so are its
    edges: they become ``none``. (3) When no edge joins the inner nodes 1 and 2
    these may change places: of the two genotypes the lexicographically smaller
    stands for both. The 15,625 genotypes fall into 8,765 such classes. Two
    things are left apart on purpose, for the trained networks differ or the
    structure alone does not show it: an unreachable convolution outputs its
    batch-norm bias in the official network (ignored here, as in (2)), and
    ``skip_connect`` is an operation like the others, so contracting it is not
    an isomorphism.

    `macs` counts the bias of the classifier as well, as the benchmark's tables do.
    """

    name = "nasbench201"
    skeleton = NASBench201Skeleton
    variables = tuple(f"{target}<-{source}" for source, target in EDGES)
    cardinalities = np.full(len(EDGES), len(OPERATIONS))
    ordered = np.zeros(len(EDGES), dtype=bool)
    choices = (OPERATIONS,) * len(EDGES)

    @property
    def value_names(self) -> list[list[str]]:
        """Operations of each edge."""
        return [list(OPERATIONS) for _ in self.variables]

    def format(self, genotype: npt.NDArray[np.integer]) -> str:
        """Return the official string of one genotype, shape (6,)."""
        return write_cell(genotype)

    def parse(self, text: str) -> Genotypes:
        """Read an official string; edges may stand in any order within a node.

        Raises
        ------
        InputError
            When the form is wrong or an operation is unknown.
        """
        return read_cell(text)

    def canonicalize(self, genotypes: npt.NDArray[np.integer]) -> Genotypes:
        """Prune unused nodes and order the inner nodes; see the class for what is covered."""
        rows = np.array(genotypes, dtype=np.int16)
        to_1, to_2, between, _, from_1, from_2 = (rows > 0).T
        reached_2 = to_2 | (between & to_1)
        leads_1 = from_1 | (between & from_2)
        used_1, used_2 = to_1 & leads_1, reached_2 & from_2
        alive = [used_1, used_2, used_1 & used_2, np.ones_like(used_1), used_1, used_2]
        rows *= np.stack(alive, axis=1)
        swapped = rows[:, _SWAPPED]
        weights = len(OPERATIONS) ** np.arange(len(EDGES))[::-1]
        swap = (rows[:, 2] == 0) & (swapped @ weights < rows @ weights)
        rows[swap] = swapped[swap]
        return rows

    def graphs(self, genotypes: npt.NDArray[np.integer]) -> GraphBatch:
        """Return graphs of up to 8 nodes: input, one node an edge that is not ``none``, output.

        An edge of the cell becomes a node that leads to the edges that start where
        it ends. Canonical forms are drawn, so that isomorphic cells give equal graphs.
        """
        rows = self.canonicalize(genotypes)
        operations = np.full((len(rows), 8), -1, dtype=np.int16)
        operations[:, 0], operations[:, 7] = 0, 1
        operations[:, 1:7] = np.where(rows > 0, rows + 1, -1)
        present = operations >= 0
        return GraphBatch(
            _LINE_GRAPH & present[:, :, None] & present[:, None, :],
            operations,
            ("input", "output", *OPERATIONS[1:]),
        )

    # -- the network ----------------------------------------------------------------

    def _parameters(
        self, genotypes: npt.NDArray[np.integer], skeleton: NASBench201Skeleton
    ) -> Counts:
        return counts.parameters(genotypes, skeleton)

    def _macs(self, genotypes: npt.NDArray[np.integer], skeleton: NASBench201Skeleton) -> Counts:
        return counts.macs(genotypes, skeleton)

    def _network(self, genotype: npt.NDArray[np.integer], skeleton: NASBench201Skeleton) -> Module:
        # Its edges as they are given: the benchmark keeps those that lead nowhere.
        from weaknas.spaces.nasbench201.network import Network

        return Network(genotype.tolist(), skeleton)

    def supernet(
        self,
        *,
        classes: int | None = None,
        shape: tuple[int, ...] | None = None,
        **skeleton: Any,
    ) -> Supernet:
        """Return a network that shares weights among all cells, untrained.

        Parameters
        ----------
        classes, shape, **skeleton
            As for `network`.

        Raises
        ------
        InputError
            When a value cannot be used or torch is not installed.
        """
        settings = self.skeleton.read(classes, shape, skeleton)
        optional_import("torch", "train")
        from weaknas.spaces.nasbench201.supernet import Supernet

        return Supernet(self, settings)

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
            As for `network`.

        Raises
        ------
        InputError
            When a value cannot be used or torch is not installed.
        """
        settings = self.skeleton.read(classes, shape, skeleton)
        optional_import("torch", "train")
        from weaknas.spaces.nasbench201.mixed import MixedCells

        return MixedCells(self, settings)
