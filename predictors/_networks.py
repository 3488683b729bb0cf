"""Networks of the torch predictors: the members of an ensemble side by side."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from weaknas.predictors._graphs import GraphLayout
from weaknas.predictors._losses import loss_of, loss_of_margins
from weaknas.predictors.labels import Floats


class Linear(nn.Module):
    """One affine map a member, from shape (m, ..., i) to (m, ..., o)."""

    def __init__(self, members: int, inputs: int, outputs: int, rng: np.random.Generator) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(max(inputs, 1))
        self.weight = _parameter(rng.uniform(-bound, bound, (members, inputs, outputs)))
        self.bias = _parameter(rng.uniform(-bound, bound, (members, 1, outputs)))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.reshape(x.shape[0], -1, x.shape[-1])
        return torch.baddbmm(self.bias, flat, self.weight).reshape(*x.shape[:-1], -1)


class Perceptron(nn.Module):
    """Layers of `Linear` with SiLU between them."""

    def __init__(self, members: int, widths: tuple[int, ...], rng: np.random.Generator) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Linear(members, i, o, rng) for i, o in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        for index, layer in enumerate(self.layers):
            x = layer(nn.functional.silu(x) if index else x)
        return x


def _parameter(values: Floats) -> nn.Parameter:
    return nn.Parameter(torch.from_numpy(values.astype(np.float32)))


class Scorer(nn.Module):
    """Maps rows to scores; what a predictor needs of a network.

    Rows are adjacency ``(m, b, v, v)`` and operations ``(m, b, v, k)`` of graphs,
    and plain features ``(m, b, g)`` where there are no graphs, for m members.
    """

    def scores(self, *rows: Tensor) -> Tensor:
        """Return scores, shape (m, b)."""
        return self(*rows)

    def loss(self, name: str, rows: list[Tensor], labels: Tensor, weights: Tensor) -> Tensor:
        """Return the loss of a batch, summed over members."""
        return loss_of(name, self(*rows), labels, weights)

    def finish(self, rows: list[Tensor], labels: Tensor) -> None:
        """Learn from all training rows, in ascending order of labels, after the training."""


class Convolutions(nn.Module):
    """States of the nodes after some rounds of messages, shape (m, b, v, h)."""

    def __init__(
        self, layout: GraphLayout, members: int, hidden: int, layers: int, rng: np.random.Generator
    ) -> None:
        super().__init__()
        # An operation and its place: input and output are told apart by it.
        self.embed = Linear(members, layout.operations, hidden, rng)
        self.mix = nn.ModuleList(Linear(members, 3 * hidden, hidden, rng) for _ in range(layers))
        self.norms = nn.ModuleList(
            nn.LayerNorm(hidden, elementwise_affine=False) for _ in range(layers)
        )

    def forward(self, adjacency: Tensor, operations: Tensor) -> Tensor:
        present = operations.sum(dim=-1, keepdim=True)
        forward = _averaged(adjacency.transpose(-1, -2))
        backward = _averaged(adjacency)
        states = self.embed(operations) * present
        for mix, norm in zip(self.mix, self.norms, strict=True):
            normal = norm(states) * present
            messages = torch.cat([normal, forward @ normal, backward @ normal], dim=-1)
            states = states + nn.functional.silu(mix(messages)) * present
        return states


def _averaged(adjacency: Tensor) -> Tensor:
    return adjacency / adjacency.sum(dim=-1, keepdim=True).clamp_min(1.0).sqrt()


class Readout(Scorer):
    """A score of the states of the nodes, or of plain features, shape (m, b)."""

    def __init__(
        self,
        states: nn.Module,
        members: int,
        widths: tuple[int, int],
        outputs: int,
        rng: np.random.Generator,
    ) -> None:
        super().__init__()
        self.states = states
        hidden, plain = widths
        self.head = Perceptron(members, (plain or 2 * hidden, hidden, outputs), rng)

    def forward(self, adjacency: Tensor, operations: Tensor, plain: Tensor) -> Tensor:
        """Return outputs of each graph, shape (m, b, o), or (m, b) where o is 1."""
        if plain.shape[-1]:
            read = plain
        else:
            states = self.states(adjacency, operations)
            read = torch.cat([states.mean(dim=-2), states[..., -1, :]], dim=-1)
        return self.head(read).squeeze(-1)


class Plain(Scorer):
    """A perceptron on plain features alone."""

    def __init__(self, layers: Perceptron) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, adjacency: Tensor, operations: Tensor, plain: Tensor) -> Tensor:
        return self.layers(plain).squeeze(-1)


class Relation(Scorer):
    """Says of two graphs which is better; a score is the share of wins against rivals."""

    rivals: Tensor  # embeddings, shape (m, c, h)

    def __init__(
        self, embed: nn.Module, members: int, sizes: tuple[int, int], rng: np.random.Generator
    ) -> None:
        super().__init__()
        hidden, self.count = sizes
        self.embed = embed
        self.home = Linear(members, hidden, hidden, rng)
        self.guest = Linear(members, hidden, hidden, rng)
        self.judge = Linear(members, hidden, 1, rng)

    def forward(self, adjacency: Tensor, operations: Tensor, plain: Tensor) -> Tensor:
        """Return embeddings, shape (m, b, h)."""
        return nn.functional.silu(self.embed(adjacency, operations, plain))

    def margins(self, one: Tensor, other: Tensor) -> Tensor:
        """Log-odds that rows, (m, b, h), are better than others, (m, c, h); shape (m, b, c)."""
        forward = self._compare(self.home(one), self.guest(other))
        return forward - self._compare(self.home(other), self.guest(one)).transpose(1, 2)

    def _compare(self, home: Tensor, guest: Tensor) -> Tensor:
        pairs = nn.functional.silu(home[:, :, None, :] + guest[:, None, :, :])
        return self.judge(pairs).squeeze(-1)

    def loss(self, name: str, rows: list[Tensor], labels: Tensor, weights: Tensor) -> Tensor:
        """Return the loss of all pairs of a batch, summed over members."""
        embedded = self(*rows)
        return loss_of_margins(name, self.margins(embedded, embedded), labels, weights)

    def finish(self, rows: list[Tensor], labels: Tensor) -> None:
        """Keep rivals that are spread evenly over the ranks."""
        places = np.linspace(0, labels.shape[-1] - 1, min(self.count, labels.shape[-1]))
        spread = torch.from_numpy(places.round().astype(np.int64)).to(labels.device)
        self.register_buffer("rivals", self(*(block[:, spread] for block in rows)))

    def scores(self, *rows: Tensor) -> Tensor:
        """Return the expected share of wins, shape (m, b)."""
        embedded = self(*rows)
        chunks = embedded.split(_PAIRED, dim=1)
        wins = [self.margins(chunk, self.rivals).sigmoid().mean(dim=-1) for chunk in chunks]
        return torch.cat(wins, dim=1)


_PAIRED = 1024  # rows that are compared with the rivals at a time
