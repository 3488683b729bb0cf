"""Recurrent cells in torch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from weaknas.spaces.language import LanguageSkeleton
from weaknas.spaces.language.model import LanguageModel
from weaknas.spaces.recurrent.cell import ACTIVATIONS, leaves, split

#: What a node makes of its half of the products, by name.
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "identity": lambda x: x,
}


def highway(state: Tensor, products: Tensor, activation: str) -> Tensor:
    """Return s + sigmoid(c) (f(h) - s), where [c, h], shape (..., 2 width), is `products`.

    Parameters
    ----------
    state : Tensor, shape (n, width)
    products : Tensor, shape (n, 2 width)
    activation : str
    """
    gate, made = products.chunk(2, dim=-1)
    return state + torch.sigmoid(gate) * (FUNCTIONS[activation](made) - state)


class Plan:
    """What is computed at each token, of one genotype.

    Parameters
    ----------
    genotype : ndarray of int, shape (2 N - 1,)
    output : {"all", "leaves"}
    """

    def __init__(self, genotype: npt.NDArray[np.integer], output: str) -> None:
        predecessors, activations = (part[0].tolist() for part in split(np.asarray(genotype)[None]))
        self.predecessors: list[int] = predecessors
        self.indices: list[int] = activations
        self.activations = [ACTIVATIONS[index] for index in activations]
        nodes = len(predecessors)
        self.outputs = [*range(1, nodes + 1)] if output == "all" else leaves(predecessors, nodes)
        children: dict[int, list[int]] = defaultdict(list)
        for node, source in enumerate(predecessors, start=1):
            children[source].append(node)
        #: Each node that others come from, and those: one product of matrices for all of them.
        self.steps: list[tuple[int, list[int]]] = sorted(children.items())

    def run(self, inputs: Tensor, recurrent: Tensor, matrices: Sequence[Tensor]) -> Tensor:
        """Return the states at each token, shape (n, length, width), from a state of zeros.

        Parameters
        ----------
        inputs : Tensor, shape (n, length, 2 width)
            The part of the input in the products of node 0.
        recurrent : Tensor, shape (width, 2 width)
            The matrix of the state.
        matrices : sequence of Tensor, shape (width, 2 width)
            Of the nodes 1 to N.
        """
        joined = [
            torch.cat([matrices[node - 1] for node in children], dim=1)
            for _, children in self.steps
        ]
        state = inputs.new_zeros(inputs.shape[0], recurrent.shape[0])
        states = []
        for products in inputs.unbind(1):
            nodes = {0: highway(state, products + state @ recurrent, "tanh")}
            for (source, children), matrix in zip(self.steps, joined, strict=True):
                parts = (nodes[source] @ matrix).chunk(len(children), dim=1)
                for node, part in zip(children, parts, strict=True):
                    nodes[node] = highway(nodes[source], part, self.activations[node - 1])
            state = torch.stack([nodes[node] for node in self.outputs]).mean(0)
            states.append(state)
        return torch.stack(states, dim=1)


def draw(*shape: int) -> nn.Parameter:
    """Return matrices, drawn uniformly in +-1/sqrt(rows)."""
    bound = shape[-2] ** -0.5
    return nn.Parameter(torch.empty(*shape).uniform_(-bound, bound))


class Cell(nn.Module):
    """One cell, run along the tokens."""

    def __init__(self, plan: Plan, width: int) -> None:
        super().__init__()
        self.plan = plan
        self.input, self.recurrent = draw(width, 2 * width), draw(width, 2 * width)
        self.nodes = nn.ParameterList(draw(width, 2 * width) for _ in plan.predecessors)

    def forward(self, x: Tensor) -> Tensor:
        """Return the state at each token, of the shape of the input."""
        return self.plan.run(x @ self.input, self.recurrent, list(self.nodes))


class Network(LanguageModel):
    """A language model with one recurrent cell; each window begins with a state of zeros.

    Parameters
    ----------
    genotype : ndarray of int, shape (2 N - 1,)
    skeleton : LanguageSkeleton
    output : {"all", "leaves"}
    """

    def __init__(
        self, genotype: npt.NDArray[np.integer], skeleton: LanguageSkeleton, output: str
    ) -> None:
        super().__init__(skeleton, Cell(Plan(genotype, output), skeleton.width))
