"""Optimizers, the learning rate over time, and which weights decay."""

from __future__ import annotations

import math

import torch
from torch import nn

from weaknas.training.protocol import Protocol


def make_optimizer(network: nn.Module, protocol: Protocol) -> torch.optim.Optimizer:
    """Return the optimizer of a protocol over all trainable weights of a network."""
    groups = parameter_groups(network, protocol)
    if protocol.optimizer == "adamw":
        return torch.optim.AdamW(groups, protocol.learning_rate, eps=protocol.epsilon)
    if protocol.optimizer == "rmsprop":
        return torch.optim.RMSprop(
            groups,
            protocol.learning_rate,
            alpha=0.9,
            eps=protocol.epsilon,
            momentum=protocol.momentum,
        )
    nesterov = protocol.nesterov and protocol.momentum > 0
    return torch.optim.SGD(
        groups, protocol.learning_rate, momentum=protocol.momentum, nesterov=nesterov
    )


def parameter_groups(network: nn.Module, protocol: Protocol) -> list[dict[str, object]]:
    """Return the weights that decay and those that do not.

    Without `Protocol.decay_all`, vectors do not decay: biases, and scales and shifts of
    norms.
    """
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    decayed = [weight for weight in trained if protocol.decay_all or weight.ndim > 1]
    spared = [weight for weight in trained if not protocol.decay_all and weight.ndim <= 1]
    groups: list[dict[str, object]] = [
        {"params": decayed, "weight_decay": protocol.weight_decay},
        {"params": spared, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def learning_rate(protocol: Protocol, epoch: float) -> float:
    """Return the learning rate at a time.

    Parameters
    ----------
    protocol : Protocol
    epoch : float
        Epochs since the beginning, with fractions, below `Protocol.epochs`.
    """
    if epoch < protocol.warmup:
        return protocol.learning_rate * epoch / protocol.warmup
    if protocol.schedule == "step":
        steps = epoch // protocol.step_epochs
        return protocol.learning_rate * float(protocol.step_factor**steps)
    if protocol.schedule == "constant" or protocol.epochs == protocol.warmup:
        return protocol.learning_rate
    done = (epoch - protocol.warmup) / (protocol.epochs - protocol.warmup)
    return protocol.learning_rate * (1 + math.cos(math.pi * done)) / 2
