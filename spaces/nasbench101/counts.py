"""Parameters and multiply-adds of the published network, from the cell alone.

The network (Ying et al., ICML 2019, section 2.2; ``model_builder`` of
google-research/nasbench): a 3 x 3 convolution to 128 channels, three stacks of three
cells with max-pooling and twice the channels between stacks, global average pooling
and a dense layer. Every convolution is followed by a batch norm with scale and shift.
In a cell the channels are split evenly over the vertices that feed the output, the
first ones taking the remainder; other vertices are as wide as the widest they feed;
edges from the input are 1 x 1 projections to the width of their target.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from weaknas.spaces.nasbench101.cells import COLUMN, EDGES, INNER, OPERATIONS, OUTPUT

Counts: TypeAlias = npt.NDArray[np.int64]
#: Cost of convolutions: kernel size, input and output channels, pixels.
Cost: TypeAlias = Callable[[int, Counts | int, Counts | int, int], Counts | int]

_STEM = 128
_STACKS = 3
_CELLS = 3
_KERNELS = {OPERATIONS.index("conv3x3-bn-relu"): 3, OPERATIONS.index("conv1x1-bn-relu"): 1}


def parameters(canonical: npt.NDArray[np.integer], classes: int) -> Counts:
    """Return the trainable parameters of each canonical row, shape (n,)."""
    return _network(canonical, _convolution_parameters, 32) + classes * (_widths()[-1] + 1)


def macs(canonical: npt.NDArray[np.integer], classes: int, pixels: int) -> Counts:
    """Return the multiply-adds of one image of each canonical row, shape (n,)."""
    return _network(canonical, _convolution_macs, pixels) + classes * _widths()[-1]


def _convolution_parameters(
    kernel: int, inputs: Counts | int, outputs: Counts | int, pixels: int
) -> Counts | int:
    return kernel**2 * inputs * outputs + 2 * outputs


def _convolution_macs(
    kernel: int, inputs: Counts | int, outputs: Counts | int, pixels: int
) -> Counts | int:
    return kernel**2 * inputs * outputs * pixels**2


def _widths() -> list[int]:
    return [_STEM * 2**stack for stack in range(_STACKS)]


def _network(canonical: npt.NDArray[np.integer], cost: Cost, pixels: int) -> Counts:
    columns = np.asarray(canonical).T.astype(np.int64, order="C")
    total = np.full(columns.shape[1], cost(3, 3, _STEM, pixels), dtype=np.int64)
    inputs = _STEM
    for stack, width in enumerate(_widths()):
        size = pixels >> stack
        channels = _channels(columns, width)
        # The first cell of a stack has the width of the stack before as its input.
        for count, wide in ((1, inputs), (_CELLS - 1, width)):
            total += count * _projections(columns, channels, cost, wide, size)
        total += _CELLS * _operations(columns, channels, cost, size)
        inputs = width
    return total


def _projections(columns: Counts, channels: Counts, cost: Cost, inputs: int, pixels: int) -> Counts:
    """Cost of the 1 x 1 convolutions from the input of one cell."""
    total = np.zeros(columns.shape[1], dtype=np.int64)
    for vertex in (*INNER, OUTPUT):
        total += cost(1, inputs, channels[vertex], pixels) * columns[COLUMN[0, vertex]]
    return total


def _operations(columns: Counts, channels: Counts, cost: Cost, pixels: int) -> Counts:
    """Cost of the operations of one cell."""
    total = np.zeros(columns.shape[1], dtype=np.int64)
    for vertex in INNER:
        operation, width = columns[len(EDGES) + vertex - 1], channels[vertex]
        for index, kernel in _KERNELS.items():
            total += cost(kernel, width, width, pixels) * (operation == index)
    return total


def _channels(columns: Counts, outputs: int) -> Counts:
    """Width of each vertex, shape (7, n), in pruned cells, shape (26, n), of so many channels.

    The order of the vertices decides who takes the remainder. 0 for the input, which
    is projected, and for absent vertices.
    """
    channels = np.zeros((OUTPUT + 1, columns.shape[1]), dtype=np.int64)
    channels[OUTPUT] = outputs
    feeds = np.stack([columns[COLUMN[v, OUTPUT]] for v in INNER]) > 0
    share, remainder = np.divmod(outputs, np.maximum(feeds.sum(axis=0), 1))
    rank = feeds.cumsum(axis=0) - 1
    channels[1:OUTPUT] = feeds * (share + (rank < remainder))
    for vertex in reversed(INNER):
        fed = [channels[t] * columns[COLUMN[vertex, t]] for t in range(vertex + 1, OUTPUT)]
        widest = np.max(fed, axis=0, initial=0)
        channels[vertex] = np.where(feeds[vertex - 1], channels[vertex], widest)
    return channels
