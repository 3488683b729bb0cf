"""All recurrent cells in one network whose nodes are weighted sums, as DARTS has them (torch)."""

from __future__ import annotations

from functools import reduce

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from weaknas.spaces._base import SearchSpace
from weaknas.spaces.cells.mixed import Mask, MixedSupernet
from weaknas.spaces.language import LanguageSkeleton
from weaknas.spaces.language.model import LanguageModel
from weaknas.spaces.recurrent.cell import ACTIVATIONS, join, split
from weaknas.spaces.recurrent.network import FUNCTIONS, Network, draw, highway
from weaknas.spaces.rows import Genotypes


class MixedCell(nn.Module):
    """Nodes that come from all earlier ones by all activations, each with its weight.

    A matrix belongs to a node, whatever it comes from, as in the cells themselves.

    Parameters
    ----------
    width : int
    nodes : int

    Attributes
    ----------
    weights : list of Tensor, shapes (predecessors, activations), or None
        Of each node; set by the supernet while it runs.
    """

    def __init__(self, width: int, nodes: int) -> None:
        super().__init__()
        self.input, self.recurrent = draw(width, 2 * width), draw(width, 2 * width)
        self.nodes = nn.ParameterList(draw(width, 2 * width) for _ in range(nodes))
        self.weights: list[Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return the state at each token, of the shape of the input."""
        assert self.weights is not None
        state, states = x.new_zeros(len(x), x.shape[2]), []
        for products in (x @ self.input).unbind(1):
            known = [highway(state, products + state @ self.recurrent, "tanh")]
            for matrix, weights in zip(self.nodes, self.weights, strict=True):
                known.append(mix(torch.stack(known), matrix, weights[:, :, None, None]))
            state = torch.stack(known[1:]).mean(0)
            states.append(state)
        return torch.stack(states, dim=1)


def mix(before: Tensor, matrix: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted sum over predecessors p and activations f of s + sigmoid(c) (f(h) - s).

    Parameters
    ----------
    before : Tensor, shape (predecessors, n, width)
    matrix : Tensor, shape (width, 2 width)
    weights : Tensor, shape (predecessors, activations, 1, 1)
    """
    gate, made = (before @ matrix).chunk(2, dim=-1)
    terms = [weights[:, k] * FUNCTIONS[name](made) for k, name in enumerate(ACTIVATIONS)]
    kept = weights.sum(1) * before
    return (kept + torch.sigmoid(gate) * (reduce(torch.add, terms) - kept)).sum(0)


class MixedRecurrent(MixedSupernet):
    """Recurrent cells with weighted sums of ``none`` and all activations.

    Liu et al. (arXiv:1806.09055, appendix A.1.2) add up what a node gets from its
    predecessors and normalise it by a batch norm, which derived cells do not have. Here it is
    the mean over the predecessors: one activation of one predecessor a node is the cell's
    own network.

    Parameters
    ----------
    space : SearchSpace
    skeleton : LanguageSkeleton
    nodes : int
    """

    def __init__(self, space: SearchSpace, skeleton: LanguageSkeleton, nodes: int) -> None:
        self.skeleton = skeleton
        cell = MixedCell(skeleton.width, nodes)
        #: The edges into each node, of all nodes side by side.
        into = [range(n * (n - 1) // 2, n * (n + 1) // 2) for n in range(1, nodes + 1)]
        super().__init__(
            space,
            LanguageModel(skeleton, cell),
            ("none", *ACTIVATIONS),
            kinds={"cell": range(into[-1].stop)},
            nodes=into,
            choosable=[False] + [True] * len(ACTIVATIONS),
            inputs=1,
        )
        self._cell = [cell]  # a list: it is a part of the network already

    def genotype(self, chosen: Mask) -> Genotypes:
        """Return the architecture, shape (2 N - 1,), whose operations are these, a row an edge."""
        edges = np.flatnonzero(chosen.any(axis=1))
        first = np.array([node[0] for node in self.nodes])
        rows = join((edges - first)[None], chosen[edges].argmax(axis=1)[None] - 1)
        row: Genotypes = rows[0]
        return row

    def chosen(self, genotype: npt.NDArray[np.integer]) -> Mask:
        """Return the operations of an architecture, shape (edges, operations)."""
        mask = np.zeros(tuple(self.alpha.shape), dtype=bool)
        predecessors, activations = (part[0] for part in split(np.asarray(genotype)[None]))
        first = np.array([node[0] for node in self.nodes])
        mask[first + predecessors, activations + 1] = True
        return mask

    def _give(self, weights: Tensor | None) -> None:
        (cell,) = self._cell
        cell.weights = None
        if weights is not None:
            parts = [weights[node[0] : node[-1] + 1] for node in self.nodes]
            cell.weights = [part[:, 1:] / _present(part) for part in parts]

    def _own_network(self, genotype: npt.NDArray[np.integer]) -> nn.Module:
        return Network(genotype, self.skeleton, "all")

    def _shared_name(self, name: str, genotype: npt.NDArray[np.integer]) -> str:
        return name


def _present(weights: Tensor) -> Tensor:
    """Return the number of edges, rows, on which anything weighs; at least 1."""
    return weights.detach().any(dim=1).sum().clamp_min(1)
