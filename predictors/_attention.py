"""Attention between the nodes of a graph."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from weaknas.errors import InputError
from weaknas.predictors._graphs import GraphLayout
from weaknas.predictors._networks import Linear

_RELATIONS = 6  # same node, edge to, edge from, path to, path from, none


class Transformer(nn.Module):
    """States of the nodes after some layers of attention, shape (m, b, v, h)."""

    def __init__(
        self,
        layout: GraphLayout,
        members: int,
        sizes: tuple[int, int, int],
        rng: np.random.Generator,
    ) -> None:
        super().__init__()
        hidden, layers, heads = sizes
        self.embed = Linear(members, layout.operations, hidden, rng)
        self.layers = nn.ModuleList(_Layer(members, hidden, heads, rng) for _ in range(layers))

    def forward(self, adjacency: Tensor, operations: Tensor) -> Tensor:
        present = operations.sum(dim=-1, keepdim=True)
        related = _relations(adjacency)
        states = self.embed(operations) * present
        for layer in self.layers:
            states = layer(states, related, present)
        return states


class _Layer(nn.Module):
    """Attention, then a perceptron a node; both add to the states."""

    def __init__(self, members: int, hidden: int, heads: int, rng: np.random.Generator) -> None:
        super().__init__()
        if hidden % heads:
            raise InputError(f"heads must divide hidden={hidden}, not be {heads}")
        self.heads = heads
        self.norm = nn.LayerNorm(hidden, elementwise_affine=False)
        self.project = Linear(members, hidden, 3 * hidden, rng)
        self.bias = Linear(members, _RELATIONS, heads, rng)
        self.merge = Linear(members, hidden, hidden, rng)
        self.widen = Linear(members, hidden, 2 * hidden, rng)
        self.narrow = Linear(members, 2 * hidden, hidden, rng)

    def forward(self, states: Tensor, related: Tensor, present: Tensor) -> Tensor:
        *batch, nodes, hidden = states.shape
        projected = self.project(self.norm(states)).reshape(*batch, nodes, 3, self.heads, -1)
        # each (m, b, heads, v, h')
        query, key, value = projected.movedim(-3, 0).transpose(-3, -2)
        logits = query @ key.transpose(-1, -2) / math.sqrt(hidden / self.heads)
        logits = logits + self.bias(related).movedim(-1, -3)
        absent = present[..., None, :, 0][..., None, :] == 0
        attention = logits.masked_fill(absent, -1e9).softmax(dim=-1)
        mixed = (attention @ value).transpose(-3, -2).reshape(*batch, nodes, hidden)
        states = states + self.merge(mixed) * present
        inner = nn.functional.silu(self.widen(self.norm(states)))
        return states + self.narrow(inner) * present


def _relations(adjacency: Tensor) -> Tensor:
    """One-hot relation of every pair of nodes, shape (m, b, v, v, 6)."""
    nodes = adjacency.shape[-1]
    same = torch.eye(nodes, device=adjacency.device).expand_as(adjacency)
    reach = adjacency + same
    for _ in range(max(nodes - 1, 1).bit_length()):  # paths of twice the length each time
        reach = (reach @ reach).clamp_max(1.0)
    path = reach - same - adjacency
    to = [adjacency, adjacency.transpose(-1, -2), path, path.transpose(-1, -2)]
    none = 1.0 - same - sum(to)
    return torch.stack([same, *to, none], dim=-1)
