"""All recurrent cells in one network, of which one is active.

As ENAS has it (Pham et al., ICML 2018, arXiv:1802.03268, section 2.1): each node has a
matrix for every predecessor and activation.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from weaknas.spaces._base import SearchSpace
from weaknas.spaces.architecture import ArchitectureLike
from weaknas.spaces.files.checkpoints import load_weights, read_checkpoint
from weaknas.spaces.language import LanguageSkeleton
from weaknas.spaces.language.model import LanguageModel
from weaknas.spaces.recurrent.cell import ACTIVATIONS
from weaknas.spaces.recurrent.network import Network, Plan, draw


class SharedCell(nn.Module):
    """The matrices of all cells.

    Parameters
    ----------
    plan : Plan
        The active cell.
    width : int
    nodes : int
    """

    def __init__(self, plan: Plan, width: int, nodes: int) -> None:
        super().__init__()
        self.plan = plan
        self.input, self.recurrent = draw(width, 2 * width), draw(width, 2 * width)
        self.nodes = nn.ParameterList(
            draw(node, len(ACTIVATIONS), width, 2 * width) for node in range(1, nodes + 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the state of the active cell at each token, of the shape of the input."""
        return self.plan.run(x @ self.input, self.recurrent, self.matrices(self.plan))

    def matrices(self, plan: Plan) -> list[Tensor]:
        """Return the matrix of each node of a cell."""
        decided = zip(self.nodes, plan.predecessors, plan.indices, strict=True)
        return [shared[source, activation] for shared, source, activation in decided]


class Supernet(nn.Module):
    """Recurrent cells with shared weights.

    Parameters
    ----------
    space : SearchSpace
        Gives architectures their meaning.
    skeleton : LanguageSkeleton
    nodes : int
    output : {"all", "leaves"}
    """

    def __init__(
        self, space: SearchSpace, skeleton: LanguageSkeleton, nodes: int, output: str
    ) -> None:
        super().__init__()
        self.space, self.skeleton, self.output = space, skeleton, output
        self.cell = SharedCell(self._plan([0] * space.n_variables), skeleton.width, nodes)
        self.network = LanguageModel(skeleton, self.cell)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits, shape (n, classes, length), by the active cell."""
        logits: Tensor = self.network(tokens)
        return logits

    def activate(self, architecture: ArchitectureLike) -> None:
        """Let `forward` run this architecture, its nodes numbered as they are given.

        Raises
        ------
        InputError
            When it is none of the space.
        """
        self.cell.plan = self._plan(architecture)

    def extract(self, architecture: ArchitectureLike) -> Network:
        """Return the architecture as a module of its own, with copies of its weights.

        Raises
        ------
        InputError
            When it is none of the space.
        """
        genotype = self.space.genotypes([architecture])[0]
        with torch.device("meta"):
            network = Network(genotype, self.skeleton, self.output)
        state = {
            name: weights.clone()
            for name, weights in self.network.state_dict().items()
            if not name.startswith("body.nodes.")
        }
        matrices = self.cell.matrices(self._plan(genotype))
        own = {f"body.nodes.{node}": part.detach().clone() for node, part in enumerate(matrices)}
        network.load_state_dict(state | own, assign=True)
        return network.train(self.training)

    def input_size(self, architecture: ArchitectureLike) -> None:
        """Return None: windows are as long as the data set has them."""

    def load_checkpoint(self, path: str | Path) -> None:
        """Load weights from a file of ``torch.save``; nothing in it is run.

        Raises
        ------
        InputError
            When the file is missing or damaged, or of another network: the first
            entry that differs is named with its shape.
        """
        load_weights(
            self,
            read_checkpoint(path),
            path,
            f"the supernet of {self.space.name} with width={self.skeleton.width}",
        )

    def _plan(self, architecture: ArchitectureLike) -> Plan:
        return Plan(self.space.genotypes([architecture])[0], self.output)
