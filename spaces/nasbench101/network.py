"""The networks of NAS-Bench-101 (Ying et al., ICML 2019, arXiv:1902.09635), in torch."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from weaknas.spaces.cells.layers import Head
from weaknas.spaces.nasbench101.cells import COLUMN, EDGES, INNER, OPERATIONS, OUTPUT
from weaknas.spaces.nasbench101.counts import vertex_channels
from weaknas.spaces.nasbench101.skeleton import NASBench101Skeleton

_KERNELS = {"conv3x3-bn-relu": 3, "conv1x1-bn-relu": 1}
# The standard deviation of a normal distribution that is cut off two of them from its mean.
_TRUNCATED = 0.87962566103423978


class ConvNormReLU(nn.Sequential):
    """A convolution without bias, batch norm, ReLU; what all weights of a cell are in."""

    def __init__(self, inputs: int, outputs: int, kernel: int, momentum: float) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(outputs, momentum=momentum),
            nn.ReLU(),
        )


class Cell(nn.Module):
    """One cell: sums into vertices, a concatenation and a sum into the output.

    Parameters
    ----------
    genotype : ndarray of int, shape (26,)
        In the canonical form.
    inputs, outputs : int
        Channels.
    momentum : float
        Of the batch norms.
    """

    def __init__(
        self, genotype: npt.NDArray[np.integer], inputs: int, outputs: int, momentum: float
    ) -> None:
        super().__init__()
        self.channels = vertex_channels(genotype[:, None], outputs)[:, 0].tolist()
        edges = [edge for edge in EDGES if genotype[COLUMN[edge]]]
        self.sources = {t: [s for s, target in edges if target == t] for _, t in edges}
        self.projections = nn.ModuleDict(
            {
                str(t): ConvNormReLU(inputs, self.channels[t], 1, momentum)
                for t, sources in self.sources.items()
                if 0 in sources
            }
        )
        self.operations = nn.ModuleDict()
        for vertex in INNER:
            operation = OPERATIONS[genotype[len(EDGES) + vertex - 1]]
            width = self.channels[vertex]
            if operation in _KERNELS:
                layer: nn.Module = ConvNormReLU(width, width, _KERNELS[operation], momentum)
            else:
                layer = nn.MaxPool2d(3, 1, 1)
            if vertex in self.sources:
                self.operations[str(vertex)] = layer

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, h, w) to (n, outputs, h, w)."""
        values = {0: x}
        for name, operation in self.operations.items():
            vertex = int(name)
            width = self.channels[vertex]
            inner = [values[s][:, :width] for s in self.sources[vertex] if s]
            values[vertex] = operation(sum_of(inner + self._projected(x, vertex)))
        inner = [values[s] for s in self.sources[OUTPUT] if s]
        together = [torch.cat(inner, dim=1)] if inner else []
        return sum_of(together + self._projected(x, OUTPUT))

    def _projected(self, x: Tensor, vertex: int) -> list[Tensor]:
        name = str(vertex)
        return [self.projections[name](x)] if name in self.projections else []


def sum_of(values: list[Tensor]) -> Tensor:
    """Add one or more tensors."""
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


class Network(nn.Sequential):
    """The network around one cell; maps images to logits, shape (n, classes).

    Weights start as in the benchmark: those of convolutions are normal with variance
    1 / fan-in, cut off at two standard deviations, those of the classifier uniform
    (Glorot and Bengio, 2010), its bias is 0.

    Parameters
    ----------
    genotype : ndarray of int, shape (26,)
        In the canonical form: the order of the vertices decides their widths.
    skeleton : NASBench101Skeleton
    """

    def __init__(self, genotype: npt.NDArray[np.integer], skeleton: NASBench101Skeleton) -> None:
        inputs, momentum = skeleton.channels, skeleton.momentum
        layers: list[nn.Module] = [ConvNormReLU(skeleton.shape[0], inputs, 3, momentum)]
        for stack, width in enumerate(skeleton.widths):
            if stack:
                layers.append(nn.MaxPool2d(2, 2, ceil_mode=True))  # TensorFlow's "same"
            for _ in range(skeleton.cells):
                layers.append(Cell(genotype, inputs, width, momentum))
                inputs = width
        super().__init__(*layers, Head(inputs, skeleton.classes))
        self.apply(_initialise)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        deviation = 1 / math.sqrt(module.weight[0].numel()) / _TRUNCATED
        limit = 2 * deviation
        nn.init.trunc_normal_(module.weight, std=deviation, a=-limit, b=limit)
    elif isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
