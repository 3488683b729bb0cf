"""The operations of the cells of DARTS and NASNet, in torch.

Liu, Simonyan and Yang (ICLR 2019, arXiv:1806.09055, section 3.1): convolutions are
ReLU, convolution, batch norm; separable ones are applied twice.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from weaknas.spaces.cells.layers import relu_conv_norm


def operation(name: str, channels: int, stride: int) -> nn.Module:
    """Return the layer of an operation, e.g. ``sep_conv_3x3``, that keeps the channels."""
    if name == "skip_connect":
        return nn.Identity() if stride == 1 else FactorizedReduction(channels, channels)
    kind, kernel = name.rpartition("_")[0], int(name[-1])
    if kind == "max_pool":
        return nn.MaxPool2d(kernel, stride, kernel // 2)
    if kind == "avg_pool":
        return nn.AvgPool2d(kernel, stride, kernel // 2, count_include_pad=False)
    return nn.Sequential(*_convolutions(kind, channels, kernel, stride))


def _convolutions(kind: str, channels: int, kernel: int, stride: int) -> Iterable[nn.Module]:
    if kind == "dil_conv":
        return _separable(channels, kernel, stride, dilation=2)
    if kind == "sep_conv":
        return _separable(channels, kernel, stride) + _separable(channels, kernel, 1)
    if kind == "conv":
        return relu_conv_norm(channels, channels, kernel, stride)
    half = kernel // 2  # conv_kx1_1xk
    return [
        nn.ReLU(),
        nn.Conv2d(channels, channels, (1, kernel), (1, stride), (0, half), bias=False),
        nn.Conv2d(channels, channels, (kernel, 1), (stride, 1), (half, 0), bias=False),
        nn.BatchNorm2d(channels),
    ]


def _separable(channels: int, kernel: int, stride: int, dilation: int = 1) -> list[nn.Module]:
    padding = dilation * (kernel // 2)
    return [
        nn.ReLU(),
        nn.Conv2d(
            channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False
        ),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
    ]


class FactorizedReduction(nn.Module):
    """Half the size without losing pixels: two 1 x 1 convolutions, one shifted by a pixel.

    The last row and column of an odd size have no shifted neighbour: it is taken as 0.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        self.relu = nn.ReLU()
        self.even = nn.Conv2d(inputs, half, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(inputs, outputs - half, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, h, w) to (n, outputs, ceil(h / 2), ceil(w / 2))."""
        x = self.relu(x)
        height, width = x.shape[-2:]
        padded = nn.functional.pad(x, (0, width % 2, 0, height % 2))
        reduced: Tensor = self.norm(torch.cat([self.even(x), self.odd(padded[:, :, 1:, 1:])], 1))
        return reduced
