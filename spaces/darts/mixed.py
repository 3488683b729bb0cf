"""Both cells of DARTS in one network whose edges are weighted sums of operations.

Liu, Simonyan and Yang (ICLR 2019, arXiv:1806.09055, section 3.1): between any two nodes all
operations and ``none``; pooling is followed by a batch norm, as in the authors' code.
"""

from __future__ import annotations

from functools import reduce

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from weaknas.spaces._base import SearchSpace
from weaknas.spaces.cells.layers import Zero
from weaknas.spaces.cells.mixed import Mask, MixedEdge, MixedSupernet, drop_scales
from weaknas.spaces.darts.genotype import CELLS
from weaknas.spaces.darts.layers import operation
from weaknas.spaces.darts.network import Network, preprocessing
from weaknas.spaces.darts.skeleton import NODES, DARTSSkeleton, Place
from weaknas.spaces.rows import Genotypes

#: (source, node) of each edge of a cell, the inputs of a node side by side.
_EDGES = [(source, node) for node in range(2, NODES + 2) for source in range(node)]


class MixedCell(nn.Module):
    """A cell of four nodes, each the sum over all edges from what is before it."""

    def __init__(self, operations: tuple[str, ...], place: Place) -> None:
        super().__init__()
        self.preprocess = preprocessing(place)
        drop_scales(self.preprocess)
        self.edges = nn.ModuleList(
            MixedEdge(
                (
                    _layer(name, place.channels, 2 if place.reduces and source < 2 else 1)
                    for name in operations
                ),
                number + len(_EDGES) * place.reduces,
            )
            for number, (source, _) in enumerate(_EDGES)
        )

    def forward(self, before: Tensor, last: Tensor, dropped: float) -> Tensor:
        """Return the output of the cell; see `weaknas.spaces.darts.network.Cell`."""
        states = [layer(x) for layer, x in zip(self.preprocess, (before, last), strict=True)]
        for new in range(2, NODES + 2):
            values = [
                edge(states[source])
                for (source, node), edge in zip(_EDGES, self.edges, strict=True)
                if node == new and edge.kept
            ]
            states.append(reduce(torch.add, values))
        return torch.cat(states[2:], dim=1)


def _layer(name: str, channels: int, stride: int) -> nn.Module:
    if name == "none":
        return Zero()
    layer = operation(name, channels, stride)
    if "pool" in name:
        return nn.Sequential(layer, nn.BatchNorm2d(channels))
    return layer


class MixedCells(MixedSupernet):
    """Normal and reduction cells with weighted sums of ``none`` and all operations.

    Parameters
    ----------
    space : SearchSpace
    operations : tuple of str
        That an architecture can have, in the order of its genotypes.
    skeleton : DARTSSkeleton
    """

    def __init__(
        self, space: SearchSpace, operations: tuple[str, ...], skeleton: DARTSSkeleton
    ) -> None:
        self.skeleton = skeleton
        pairs = [(operations[0], source) for source in (0, 1) * NODES]
        operations = ("none", *operations)
        network = Network(pairs, pairs, skeleton)
        network.cells = nn.ModuleList(MixedCell(operations, p) for p in skeleton.places)
        count = len(_EDGES)
        super().__init__(
            space,
            network,
            operations,
            kinds={name: range(k * count, (k + 1) * count) for k, name in enumerate(CELLS)},
            nodes=[
                [k * count + edge for edge, (_, into) in enumerate(_EDGES) if into == node]
                for k in range(len(CELLS))
                for node in range(2, NODES + 2)
            ],
            choosable=[name != "none" for name in operations],
        )

    def genotype(self, chosen: Mask) -> Genotypes:
        """Return the architecture, shape (32,), whose operations are these, a row an edge."""
        edges = np.flatnonzero(chosen.any(axis=1))
        sources = np.array([source for source, _ in _EDGES])[edges % len(_EDGES)]
        pairs = np.stack([sources, chosen[edges].argmax(axis=1) - 1], axis=1)
        return pairs.ravel().astype(np.int16)

    def chosen(self, genotype: npt.NDArray[np.integer]) -> Mask:
        """Return the operations of an architecture, shape (28, operations)."""
        mask = np.zeros((len(CELLS) * len(_EDGES), len(self.operations)), dtype=bool)
        for kind, pairs in zip(self.kinds.values(), self._pairs(genotype), strict=True):
            for place, (name, source) in enumerate(pairs):
                mask[kind.start + _edge(source, place), self.operations.index(name)] = True
        return mask

    def _pairs(self, genotype: npt.NDArray[np.integer]) -> list[list[tuple[str, int]]]:
        """Return operation and source of both inputs of each node, of both cells."""
        cells = np.reshape(genotype, (len(CELLS), 2 * NODES, 2)).tolist()
        return [
            [(self.operations[1 + chosen], source) for source, chosen in cell] for cell in cells
        ]

    def _own_network(self, genotype: npt.NDArray[np.integer]) -> nn.Module:
        normal, reduction = self._pairs(genotype)
        return Network(normal, reduction, self.skeleton)

    def _shared_name(self, name: str, genotype: npt.NDArray[np.integer]) -> str:
        """Name of what is called ``cells.3.operations.1.1.weight`` in a network of its own."""
        before, _, rest = name.partition(".operations.")
        if not rest:
            return name
        place, _, weight = rest.partition(".")
        index = int(before.removeprefix("cells."))
        pairs = self._pairs(genotype)[int(self.skeleton.places[index].reduces)]
        chosen, source = pairs[int(place)]
        edge = _edge(source, int(place))
        return f"{before}.edges.{edge}.{self.operations.index(chosen)}.{weight}"


def _edge(source: int, place: int) -> int:
    """Return the number in its cell of the edge that is one of the inputs of all nodes."""
    return _EDGES.index((source, place // 2 + 2))
