"""All cells of NAS-Bench-201 in one network, of which one path is active.

Guo et al., "Single Path One-Shot Neural Architecture Search with Uniform Sampling",
ECCV 2020 (arXiv:1904.00420): every edge of every cell has the weights of all five
operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from weaknas.spaces._base import SearchSpace
from weaknas.spaces.architecture import ArchitectureLike
from weaknas.spaces.files.checkpoints import load_weights, read_checkpoint
from weaknas.spaces.nasbench201.network import Cell, Network
from weaknas.spaces.nasbench201.skeleton import NASBench201Skeleton


class Choice(nn.ModuleList):
    """All operations of one edge, of which one is active."""

    active = 0

    def forward(self, x: Tensor) -> Tensor:
        """Run the active operation."""
        made: Tensor = self[self.active](x)
        return made


class Supernet(nn.Module):
    """The cells of NAS-Bench-201 with shared weights.

    Parameters
    ----------
    space : SearchSpace
        Gives architectures their meaning.
    skeleton : NASBench201Skeleton
    """

    def __init__(self, space: SearchSpace, skeleton: NASBench201Skeleton) -> None:
        super().__init__()
        self.space, self.skeleton = space, skeleton
        edges, operations = space.n_variables, int(space.cardinalities[0])
        self.network, *others = (
            Network([operation] * edges, skeleton) for operation in range(operations)
        )
        # The cells of the first network get the edges of all; of the others no more is kept.
        for cell, *same in zip(self.network, *others, strict=True):
            if isinstance(cell, Cell):
                options = zip(cell.edges, *(other.edges for other in same), strict=True)
                cell.edges = nn.ModuleList(map(Choice, options))

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, shape (n, classes), by the active path."""
        logits: Tensor = self.network(images)
        return logits

    def activate(self, architecture: ArchitectureLike) -> None:
        """Let `forward` run this architecture, its edges as they are given.

        Raises
        ------
        InputError
            When it is none of the space.
        """
        genotype = self.space.genotypes([architecture])[0].tolist()
        for cell in self.network:
            if isinstance(cell, Cell):
                for choice, operation in zip(cell.edges, genotype, strict=True):
                    choice.active = operation

    def extract(self, architecture: ArchitectureLike) -> Network:
        """Return the architecture as a module of its own, with copies of its weights.

        Raises
        ------
        InputError
            When it is none of the space.
        """
        genotype = self.space.genotypes([architecture])[0].tolist()
        with torch.device("meta"):
            network = Network(genotype, self.skeleton)
        shared = self.network.state_dict()
        state = {name: shared[shared_name(name, genotype)].clone() for name in network.state_dict()}
        network.load_state_dict(state, assign=True)
        return network.train(self.training)

    def input_size(self, architecture: ArchitectureLike) -> None:
        """Return None: images are as large as the data set has them."""

    def load_checkpoint(self, path: str | Path) -> None:
        """Load weights from a file of ``torch.save``; nothing in it is run.

        Raises
        ------
        InputError
            When the file is missing or damaged, or of another network: the first
            entry that differs is named with its shape.
        """
        channels, cells = self.skeleton.channels, self.skeleton.cells
        load_weights(
            self,
            read_checkpoint(path),
            path,
            f"the supernet of {self.space.name} with channels={channels}, cells={cells}",
        )


def shared_name(name: str, genotype: Sequence[int]) -> str:
    """Name in the shared network of what is called ``3.edges.1.1.weight`` in a single one."""
    layer, _, rest = name.partition(".edges.")
    if not rest:
        return name
    edge, _, weight = rest.partition(".")
    return f"{layer}.edges.{edge}.{genotype[int(edge)]}.{weight}"
