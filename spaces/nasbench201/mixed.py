"""All cells of NAS-Bench-201 in one network whose edges are weighted sums of operations.

Dong and Yang (ICLR 2020, arXiv:2001.00326, section 4) run DARTS so.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import nn

from weaknas.spaces._base import SearchSpace
from weaknas.spaces.cells.mixed import Mask, MixedEdge, MixedSupernet
from weaknas.spaces.nasbench201.cell import EDGES, OPERATIONS
from weaknas.spaces.nasbench201.network import Cell, Network
from weaknas.spaces.nasbench201.skeleton import NASBench201Skeleton
from weaknas.spaces.nasbench201.supernet import shared_name
from weaknas.spaces.rows import Genotypes


class MixedCells(MixedSupernet):
    """The cells of NAS-Bench-201 with weighted sums of all five operations.

    Parameters
    ----------
    space : SearchSpace
    skeleton : NASBench201Skeleton
    """

    def __init__(self, space: SearchSpace, skeleton: NASBench201Skeleton) -> None:
        self.skeleton = skeleton
        network, *others = (
            Network([operation] * len(EDGES), skeleton) for operation in range(len(OPERATIONS))
        )
        # The cells of the first network get the edges of all; of the others no more is kept.
        for cell, *same in zip(network, *others, strict=True):
            if isinstance(cell, Cell):
                options = zip(cell.edges, *(other.edges for other in same), strict=True)
                cell.edges = nn.ModuleList(
                    MixedEdge(operations, number) for number, operations in enumerate(options)
                )
        super().__init__(
            space,
            network,
            OPERATIONS,
            kinds={"cell": range(len(EDGES))},
            nodes=(),
            choosable=[True] * len(OPERATIONS),
        )

    def genotype(self, chosen: Mask) -> Genotypes:
        """Return the architecture, shape (6,), whose operations are these, a row an edge."""
        return chosen.argmax(axis=1).astype(np.int16)

    def chosen(self, genotype: npt.NDArray[np.integer]) -> Mask:
        """Return the operations of an architecture, shape (6, 5)."""
        return np.asarray(np.arange(len(OPERATIONS)) == np.asarray(genotype)[:, None])

    def _own_network(self, genotype: npt.NDArray[np.integer]) -> nn.Module:
        return Network(genotype.tolist(), self.skeleton)

    def _shared_name(self, name: str, genotype: npt.NDArray[np.integer]) -> str:
        return shared_name(name, genotype.tolist())
