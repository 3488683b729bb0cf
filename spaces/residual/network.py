"""The residual network of He et al. for CIFAR-10 (CVPR 2016, arXiv:1512.03385), in torch."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from weaknas.spaces.cells.layers import Head
from weaknas.spaces.residual.skeleton import ResidualSkeleton


class Block(nn.Module):
    """Two convolutions and a shortcut, a 1x1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        stride = 1 if inputs == outputs else 2
        self.convolutions = nn.Sequential(
            _conv_norm(inputs, outputs, 3, stride), nn.ReLU(), _conv_norm(outputs, outputs, 3)
        )
        self.shortcut = _conv_norm(inputs, outputs, 1, stride) if stride > 1 else nn.Identity()
        self.activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return the activated sum of both branches."""
        activated: Tensor = self.activation(self.shortcut(x) + self.convolutions(x))
        return activated


class Network(nn.Sequential):
    """A convolution, three stages of blocks, a classifier; images to logits, shape (n, classes).

    As in section 4.2 of the paper, but with 1x1 convolutions for shortcuts that change the
    shape (its option B) in place of zeros.

    Parameters
    ----------
    skeleton : ResidualSkeleton
    """

    def __init__(self, skeleton: ResidualSkeleton) -> None:
        widths = [skeleton.channels * factor for factor in (1, 1, 2, 4)]
        blocks = [
            Block(inputs if block == 0 else width, width)
            for inputs, width in pairwise(widths)
            for block in range(skeleton.cells)
        ]
        super().__init__(
            nn.Sequential(_conv_norm(skeleton.shape[0], widths[0], 3), nn.ReLU()),
            *blocks,
            Head(widths[-1], skeleton.classes),
        )


def _conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))
