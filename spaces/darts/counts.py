"""Parameters and multiply-adds of a network, from the genotype alone.

The auxiliary head is not counted: it is there during training only, and the literature
leaves it out.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from weaknas.spaces.cells.costs import Convolution, Cost, Counts, count_macs, count_parameters
from weaknas.spaces.cells.skeleton import halved
from weaknas.spaces.darts.skeleton import NODES, DARTSSkeleton, Place


def parameters(
    genotypes: npt.NDArray[np.integer], operations: tuple[str, ...], skeleton: DARTSSkeleton
) -> Counts:
    """Return the trainable parameters of each row, shape (n,)."""
    head = skeleton.classes * (skeleton.places[-1].outputs + 1)
    return _convolutions(genotypes, operations, skeleton, count_parameters) + head


def macs(
    genotypes: npt.NDArray[np.integer], operations: tuple[str, ...], skeleton: DARTSSkeleton
) -> Counts:
    """Return the multiply-adds of one image of each row, shape (n,)."""
    head = skeleton.classes * skeleton.places[-1].outputs
    return _convolutions(genotypes, operations, skeleton, count_macs) + head


def _convolutions(
    genotypes: npt.NDArray[np.integer],
    operations: tuple[str, ...],
    skeleton: DARTSSkeleton,
    cost: Cost,
) -> Counts:
    def total(convolutions: list[Convolution]) -> int:
        return sum(int(cost(convolution)) for convolution in convolutions)

    fixed = total(_stem(skeleton))
    # By kind of cell, whether the operation takes the input of a reduction cell, operation.
    table = np.zeros((2, 2, len(operations)), dtype=np.int64)
    for place in skeleton.places:
        fixed += total(_preprocessing(place))
        for reads_input in (False, True):
            stride = 2 if place.reduces and reads_input else 1
            size = place.size if reads_input else place.size_out
            table[int(place.reduces), int(reads_input)] += [
                total(_operation(name, place.channels, stride, size)) for name in operations
            ]
    rows = np.asarray(genotypes).reshape(-1, 2, 2 * NODES, 2)
    sources, chosen = rows[..., 0], rows[..., 1]
    kinds = np.arange(2)[:, None]
    return fixed + np.asarray(table[kinds, (sources < 2).astype(int), chosen].sum(axis=(1, 2)))


def _stem(skeleton: DARTSSkeleton) -> list[Convolution]:
    inputs, outputs = skeleton.shape[0], skeleton.stem_channels
    if skeleton.stem == "cifar":
        return [Convolution(9, inputs, outputs, math.prod(skeleton.shape[1:]))]
    widths = [inputs, outputs // 2, outputs, outputs]
    pixels = [math.prod(halved(skeleton.shape, times)) for times in (1, 2, 3)]
    return [Convolution(9, i, o, p) for i, o, p in zip(widths, widths[1:], pixels, strict=False)]


def _preprocessing(place: Place) -> list[Convolution]:
    """Convolutions that bring both inputs of a cell to its channels and one size."""
    pixels = math.prod(place.size)
    return [Convolution(1, wide, place.channels, pixels) for wide in (place.before, place.inputs)]


def _operation(name: str, channels: int, stride: int, size: tuple[int, ...]) -> list[Convolution]:
    """Convolutions of one operation on an input of a size."""
    height, width = size
    pixels = math.prod(halved(size) if stride == 2 else size)
    kind, kernel = name.rpartition("_")[0], int(name[-1]) if name[-1].isdigit() else 1
    if kind in ("sep_conv", "dil_conv"):
        depthwise = Convolution(kernel**2, 1, channels, pixels, norm=False)
        return [depthwise, Convolution(1, channels, channels, pixels)] * (1 + (kind == "sep_conv"))
    if kind == "conv":
        return [Convolution(kernel**2, channels, channels, pixels)]
    if kind.startswith("conv_"):  # 1 x k, then k x 1
        rows = height * -(-width // stride)
        flat = Convolution(kernel, channels, channels, rows, norm=False)
        return [flat, Convolution(kernel, channels, channels, pixels)]
    if name == "skip_connect" and stride == 2:
        return [Convolution(1, channels, channels, pixels)]
    return []
