"""Layers that the networks of several spaces are made of (torch)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def relu_conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """ReLU, a convolution without bias that keeps or halves the size, batch norm."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    )


class Head(nn.Sequential):
    """Mean over height and width, and a linear classifier."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


class Zero(nn.Module):
    """Zeros of the shape of the input, with zeros as gradients."""

    def forward(self, x: Tensor) -> Tensor:
        """Return zeros."""
        return x * 0


def drop_path(x: Tensor, probability: float) -> Tensor:
    """Blank whole samples with a probability and scale the others up (arXiv:1605.07648)."""
    # Compared with, not given to a sampler: torch.compile need not compile for each value.
    kept = torch.rand(len(x), 1, 1, 1, device=x.device) >= probability
    return x * kept / (1 - probability)
