"""Parameters and multiply-adds of a network, from the cell alone.

The network (Ying et al., ICML 2019, section 2.2; ``model_builder`` of
google-research/nasbench): a 3 x 3 convolution to 128 channels, three stacks of three
cells with max-pooling and twice the channels between stacks, global average pooling
and a dense layer. Every convolution is followed by a batch norm with scale and shift.
In a cell the channels are split evenly over the vertices that feed the output, the
first ones taking the remainder; other vertices are as wide as the widest they feed;
edges from the input are 1 x 1 projections to the width of their target.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from weaknas.spaces.cells.costs import Convolution, Cost, Counts, count_macs, count_parameters
from weaknas.spaces.cells.skeleton import halved
from weaknas.spaces.nasbench101.cells import COLUMN, EDGES, INNER, OPERATIONS, OUTPUT
from weaknas.spaces.nasbench101.skeleton import NASBench101Skeleton

_KERNELS = {OPERATIONS.index("conv3x3-bn-relu"): 3, OPERATIONS.index("conv1x1-bn-relu"): 1}


def parameters(canonical: npt.NDArray[np.integer], skeleton: NASBench101Skeleton) -> Counts:
    """Return the trainable parameters of each canonical row, shape (n,)."""
    head = skeleton.classes * (skeleton.widths[-1] + 1)
    return _convolutions(canonical, skeleton, count_parameters) + head


def macs(canonical: npt.NDArray[np.integer], skeleton: NASBench101Skeleton) -> Counts:
    """Return the multiply-adds of one image of each canonical row, shape (n,)."""
    head = skeleton.classes * skeleton.widths[-1]
    return _convolutions(canonical, skeleton, count_macs) + head


def vertex_channels(columns: npt.NDArray[np.integer], outputs: int) -> Counts:
    """Return the width of each vertex, as ``compute_vertex_channels`` of the benchmark does.

    The order of the vertices decides who takes the remainder.

    Parameters
    ----------
    columns : ndarray of int, shape (26, n)
        Canonical cells, transposed.
    outputs : int
        Channels of the cell.

    Returns
    -------
    ndarray of int64, shape (7, n)
        0 for the input, which is projected, and for absent vertices.
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


def _convolutions(
    canonical: npt.NDArray[np.integer], skeleton: NASBench101Skeleton, cost: Cost
) -> Counts:
    columns = np.asarray(canonical).T.astype(np.int64, order="C")
    inputs, pixels = skeleton.channels, math.prod(skeleton.shape[1:])
    stem = cost(Convolution(9, skeleton.shape[0], inputs, pixels))
    total = np.full(columns.shape[1], stem, dtype=np.int64)
    for stack, width in enumerate(skeleton.widths):
        pixels = math.prod(halved(skeleton.shape, stack))
        channels = vertex_channels(columns, width)
        # The first cell of a stack has the width of the stack before as its input.
        for count, wide in ((1, inputs), (skeleton.cells - 1, width)):
            total += count * _projections(columns, channels, cost, wide, pixels)
        total += skeleton.cells * _operations(columns, channels, cost, pixels)
        inputs = width
    return total


def _projections(columns: Counts, channels: Counts, cost: Cost, inputs: int, pixels: int) -> Counts:
    """Cost of the 1 x 1 convolutions from the input of one cell."""
    total = np.zeros(columns.shape[1], dtype=np.int64)
    for vertex in (*INNER, OUTPUT):
        projection = Convolution(1, inputs, channels[vertex], pixels)
        total += cost(projection) * columns[COLUMN[0, vertex]]
    return total


def _operations(columns: Counts, channels: Counts, cost: Cost, pixels: int) -> Counts:
    """Cost of the operations of one cell."""
    total = np.zeros(columns.shape[1], dtype=np.int64)
    for vertex in INNER:
        operation, width = columns[len(EDGES) + vertex - 1], channels[vertex]
        for index, kernel in _KERNELS.items():
            total += cost(Convolution(kernel**2, width, width, pixels)) * (operation == index)
    return total
