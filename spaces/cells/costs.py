"""What convolutions cost: the one thing that networks of cells are counted by."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Counts: TypeAlias = npt.NDArray[np.int64]


class Convolution(NamedTuple):
    """A convolution without bias; numbers, or one for each architecture.

    Parameters
    ----------
    area : int
        Elements of the kernel, e.g. 9.
    inputs : int or ndarray of int
        Input channels that one output channel is made of: 1 where it is depthwise.
    outputs : int or ndarray of int
        Output channels.
    pixels : int
        Height times width of the output.
    norm : bool
        Whether a batch norm with scale and shift follows.
    """

    area: int
    inputs: Counts | int
    outputs: Counts | int
    pixels: int
    norm: bool = True


#: What one convolution costs.
Cost: TypeAlias = Callable[[Convolution], Counts | int]


def count_parameters(convolution: Convolution) -> Counts | int:
    """Return the trainable weights, those of the batch norm included."""
    area, inputs, outputs, _, norm = convolution
    return area * inputs * outputs + 2 * outputs * norm


def count_macs(convolution: Convolution) -> Counts | int:
    """Return the multiply-adds of one image; those of a batch norm are not counted."""
    return convolution.area * convolution.inputs * convolution.outputs * convolution.pixels
