"""What an architecture costs: sums, or the largest, over the parts of the network.

A part's cost depends on its own choices alone (see `skeleton`), so that each
cost is a small table, and a batch is looked up in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from weaknas.spaces.mobilenetv3.skeleton import (
    EXPANSIONS,
    KERNELS,
    LAYERS,
    Block,
    Layer,
    Part,
    Skeleton,
)

PartCost: TypeAlias = Callable[[Part], float]

_CODES = 1 + len(KERNELS) * len(EXPANSIONS)  # 0 is a layer that is not there
_OFFSETS = _CODES * np.arange(LAYERS)


class CostTable:
    """The cost of every block at every place.

    Parameters
    ----------
    part_costs : mapping of Skeleton to callable
        For each resolution, what gives the cost of one part.
    reduce : {"sum", "max"}
        How the costs of the parts make that of the network.
    """

    def __init__(
        self,
        part_costs: Mapping[Skeleton, PartCost],
        reduce: Literal["sum", "max"] = "sum",
    ) -> None:
        self._reduce = np.add if reduce == "sum" else np.maximum
        fixed = [list(map(cost, skeleton.fixed)) for skeleton, cost in part_costs.items()]
        self._fixed = self._reduce.reduce(np.array(fixed), axis=1)
        self._blocks = np.array(
            [
                [[0, *map(cost, _blocks(skeleton, layer))] for layer in range(LAYERS)]
                for skeleton, cost in part_costs.items()
            ]
        ).reshape(len(part_costs), -1)

    def __call__(
        self,
        layers: npt.NDArray[np.integer],
        resolution: npt.NDArray[np.integer],
    ) -> npt.NDArray[Any]:
        """Return the cost of each architecture, shape (n,).

        Parameters
        ----------
        layers : ndarray of int, shape (n, 20)
            0 where there is no layer, else 1 + 3 x index of the kernel + index of the expansion.
        resolution : ndarray of int, shape (n,)
            Index of the skeleton.
        """
        start = resolution.astype(np.int64)[:, None] * self._blocks.shape[1]
        parts = self._blocks.ravel()[layers + _OFFSETS + start]
        return np.asarray(self._reduce(self._fixed[resolution], self._reduce.reduce(parts, axis=1)))


def count_macs(part: Part) -> int:
    """Return the multiply-adds of one image through the convolutions and linear layers."""
    if isinstance(part, Layer):
        return part.kernel**2 * part.size_out**2 * part.channels_in * part.channels_out
    expand = part.size_in**2 * part.channels_in if part.expansion > 1 else 0
    depthwise = part.size_out**2 * part.kernel**2
    project = part.size_out**2 * part.channels_out
    squeeze = 2 * part.channels_squeezed if part.squeeze else 0
    return part.channels_mid * (expand + depthwise + project + squeeze)


def count_parameters(part: Part) -> int:
    """Return the number of weights; the running statistics of batch norms are none."""
    if isinstance(part, Layer):
        weights = part.kernel**2 * part.channels_in * part.channels_out
        return weights + (2 * part.norm + part.bias) * part.channels_out
    mid, squeezed = part.channels_mid, part.channels_squeezed
    expand = part.channels_in + 2 if part.expansion > 1 else 0
    squeeze = 2 * squeezed + 1 if part.squeeze else 0
    weights = mid * (expand + part.kernel**2 + 2 + squeeze + part.channels_out)
    return weights + 2 * part.channels_out + (squeezed if part.squeeze else 0)


def count_peak_values(part: Part) -> int:
    """Return the most numbers held at once: operands, result, and a shortcut that waits.

    Every convolution writes to new memory; batch norms, activations, the
    scaling of squeeze-and-excitation and the addition of the shortcut work in
    place, as inference engines do.
    """
    given = part.size_in**2 * part.channels_in
    made = part.size_out**2 * part.channels_out
    if isinstance(part, Layer):
        return given + made
    waits = given if part.shortcut else 0
    wide_in, wide_out = part.size_in**2 * part.channels_mid, part.size_out**2 * part.channels_mid
    project = wide_out + made + waits
    if part.expansion == 1:
        return max(given + wide_out, project)
    return max(given + wide_in, wide_in + wide_out + waits, project)


def _blocks(skeleton: Skeleton, layer: int) -> list[Block]:
    """All blocks at one place, in the order of the codes."""
    return [skeleton.block(layer, k, e) for k, e in product(KERNELS, EXPANSIONS)]
