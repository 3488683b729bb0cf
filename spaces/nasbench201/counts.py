"""Parameters and multiply-adds of a network, from the cell alone."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from weaknas.spaces.cells.costs import Convolution, Cost, Counts, count_macs, count_parameters
from weaknas.spaces.cells.skeleton import halved
from weaknas.spaces.nasbench201.skeleton import NASBench201Skeleton

#: Kernel size of the operations that have weights, by their index.
_KERNELS = {2: 1, 3: 3}


def parameters(genotypes: npt.NDArray[np.integer], skeleton: NASBench201Skeleton) -> Counts:
    """Return the trainable parameters of each row, shape (n,)."""
    last = skeleton.widths[-1]
    head = 2 * last + skeleton.classes * (last + 1)  # batch norm and classifier
    return _convolutions(genotypes, skeleton, count_parameters) + head


def macs(genotypes: npt.NDArray[np.integer], skeleton: NASBench201Skeleton) -> Counts:
    """Return the multiply-adds of one image of each row, shape (n,).

    As in the benchmark's tables, adding the bias of the classifier counts too.
    """
    head = skeleton.classes * (skeleton.widths[-1] + 1)
    return _convolutions(genotypes, skeleton, count_macs) + head


def _convolutions(
    genotypes: npt.NDArray[np.integer], skeleton: NASBench201Skeleton, cost: Cost
) -> Counts:
    rows, widths = np.asarray(genotypes), skeleton.widths
    pixels = [int(np.prod(halved(skeleton.shape, stage))) for stage in range(len(widths))]
    stem = Convolution(9, skeleton.shape[0], widths[0], pixels[0])
    total = np.full(len(rows), cost(stem), dtype=np.int64)
    for (inputs, width), area in zip(pairwise(widths), pixels[1:], strict=True):
        total += cost(Convolution(9, inputs, width, area))
        total += cost(Convolution(9, width, width, area))
        total += cost(Convolution(1, inputs, width, area, norm=False))
    for operation, kernel in _KERNELS.items():
        stages = zip(widths, pixels, strict=True)
        edge = sum(cost(Convolution(kernel**2, w, w, area)) for w, area in stages)
        total += skeleton.cells * edge * (rows == operation).sum(axis=1)
    return total
