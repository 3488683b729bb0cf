"""The networks of NAS-Bench-201 (Dong and Yang, ICLR 2020, arXiv:2001.00326), in torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn

from weaknas.spaces.cells.layers import Head, Zero, relu_conv_norm
from weaknas.spaces.nasbench201.cell import EDGES, OPERATIONS
from weaknas.spaces.nasbench201.skeleton import NASBench201Skeleton

_LAYERS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda channels: Zero(),
    "skip_connect": lambda channels: nn.Identity(),
    "nor_conv_1x1": lambda channels: relu_conv_norm(channels, channels, 1),
    "nor_conv_3x3": lambda channels: relu_conv_norm(channels, channels, 3),
    "avg_pool_3x3": lambda channels: nn.AvgPool2d(3, 1, 1, count_include_pad=False),
}


class Cell(nn.Module):
    """Four nodes; each is the sum of what the edges into it make of earlier nodes."""

    def __init__(self, genotype: Sequence[int], channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(_LAYERS[OPERATIONS[op]](channels) for op in genotype)

    def forward(self, x: Tensor) -> Tensor:
        """Return the last node, of the shape of the input."""
        nodes = [x]
        for (source, target), edge in zip(EDGES, self.edges, strict=True):
            value = edge(nodes[source])
            if target == len(nodes):
                nodes.append(value)
            else:
                nodes[target] = nodes[target] + value
        return nodes[-1]


class Reduction(nn.Module):
    """A basic residual block that halves the size and changes the channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            relu_conv_norm(inputs, outputs, 3, stride=2), relu_conv_norm(outputs, outputs, 3)
        )
        # Rounding up matters for odd sizes alone, where the convolutions round up.
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, 2, ceil_mode=True), nn.Conv2d(inputs, outputs, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both branches."""
        return self.shortcut(x) + self.convolutions(x)


class Network(nn.Sequential):
    """The network around one cell; maps images to logits, shape (n, classes).

    Every edge is there, also those that lead nowhere: in the benchmark they are, too,
    and an unreachable convolution adds its bias. Weights start as torch draws them.

    Parameters
    ----------
    genotype : sequence of int
    skeleton : NASBench201Skeleton
    """

    def __init__(self, genotype: Sequence[int], skeleton: NASBench201Skeleton) -> None:
        widths = skeleton.widths
        stem = nn.Conv2d(skeleton.shape[0], widths[0], 3, padding=1, bias=False)
        stages = [[Cell(genotype, width) for _ in range(skeleton.cells)] for width in widths]
        blocks: list[nn.Module] = [*stages[0]]
        for (inputs, width), stage in zip(pairwise(widths), stages[1:], strict=True):
            blocks += [Reduction(inputs, width), *stage]
        super().__init__(
            nn.Sequential(stem, nn.BatchNorm2d(widths[0])),
            *blocks,
            nn.Sequential(nn.BatchNorm2d(widths[-1]), nn.ReLU()),
            Head(widths[-1], skeleton.classes),
        )
