"""The network around the choices: OFA's elastic MobileNetV3-Large, part by part.

Cai et al., "Once-for-All", ICLR 2020 (arXiv:1908.09791), after MobileNetV3-Large
(Howard et al., ICCV 2019, arXiv:1905.02244). A stem and one fixed block are
followed by five units of two to four inverted residual blocks and a head. What
a block is depends on its place and its own choices alone, never on those of
other blocks: the first of a unit has the stride and changes the width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from weaknas.errors import InputError, check_list

UNITS = 5
LAYERS_PER_UNIT = 4
LAYERS = UNITS * LAYERS_PER_UNIT
DEPTHS = (2, 3, 4)
KERNELS = (3, 5, 7)
EXPANSIONS = (3, 4, 6)
CLASSES = 1000
CHANNELS_IN = 3

_STEM = 16
_UNIT_CHANNELS = (24, 40, 80, 112, 160)
_FINAL_EXPAND = 960
_FEATURE_MIX = 1280
_STRIDES = (2, 2, 2, 2, 1, 2)  # the stem, then the units
_SMALLEST_MAP = 2
_SQUEEZE = (False, True, False, True, True)
_HARD_SWISH = (False, False, True, True, True)
_DIVISOR = 8


class Block(NamedTuple):
    """An inverted residual block: 1x1 expansion, depthwise convolution, 1x1 projection.

    Parameters
    ----------
    size_in, size_out : int
        Height and width in pixels.
    channels_in, channels_mid, channels_out : int
    kernel, expansion, stride : int
        With the expansion 1 there is no expanding convolution.
    squeeze : bool
        Whether squeeze-and-excitation follows the depthwise convolution.
    hard_swish : bool
        Hard swish, where ReLU otherwise.
    shortcut : bool
        Whether the input is added to the output.
    """

    size_in: int
    size_out: int
    channels_in: int
    channels_mid: int
    channels_out: int
    kernel: int
    expansion: int
    stride: int
    squeeze: bool
    hard_swish: bool
    shortcut: bool

    @property
    def channels_squeezed(self) -> int:
        """Channels between the two layers of squeeze-and-excitation."""
        return make_divisible(self.channels_mid // 4)


class Layer(NamedTuple):
    """A part of the network that is the same in all architectures and no block.

    Parameters
    ----------
    name : {"stem", "final_expand", "pool", "feature_mix", "classifier"}
    size_in, size_out, channels_in, channels_out : int
    kernel : int
        0 where there are no weights.
    norm, bias : bool
        Whether there is a batch norm, and whether there is a bias.
    """

    name: str
    size_in: int
    size_out: int
    channels_in: int
    channels_out: int
    kernel: int = 1
    norm: bool = False
    bias: bool = False


Part: TypeAlias = Block | Layer


class Skeleton:
    """The network at one width and resolution.

    Parameters
    ----------
    width : float
        Multiplier of all channels.
    resolution : int
        Height and width of the input, in pixels.
    classes, channels : int
        Number of classes, and of channels of the input.
    strides : sequence of int, optional
        Of the stem and the five units, 1 or 2 each; default: `strides_for` the resolution.

    Raises
    ------
    InputError
        When there are not six strides of 1 or 2.
    """

    def __init__(
        self,
        width: float,
        resolution: int,
        *,
        classes: int = CLASSES,
        channels: int = CHANNELS_IN,
        strides: Sequence[int] | None = None,
    ) -> None:
        self.width, self.resolution, self.classes = width, resolution, classes
        self.strides = check_strides(strides_for(resolution) if strides is None else strides)
        stem, *units = (make_divisible(c * width) for c in (_STEM, *_UNIT_CHANNELS))
        final, mixed = (make_divisible(c * width) for c in (_FINAL_EXPAND, _FEATURE_MIX))
        sizes = [resolution]
        for stride in self.strides:
            sizes.append(_shrink(sizes[-1], stride))
        self._sizes, self._channels = sizes[1:], (stem, *units)
        first, last = sizes[1], sizes[-1]
        self.first_block = Block(first, first, stem, stem, stem, 3, 1, 1, False, False, True)
        #: The parts that all architectures have, in order; the units stand after the second.
        self.fixed: tuple[Part, ...] = (
            Layer("stem", resolution, first, channels, stem, kernel=3, norm=True),
            self.first_block,
            Layer("final_expand", last, last, units[-1], final, norm=True),
            Layer("pool", last, 1, final, final, kernel=0),
            Layer("feature_mix", 1, 1, final, mixed),
            Layer("classifier", 1, 1, mixed, classes, bias=True),
        )

    def block(self, layer: int, kernel: int, expansion: int) -> Block:
        """Return the block at a place, 0 to 19 with four places a unit."""
        unit, position = divmod(layer, LAYERS_PER_UNIT)
        first = position == 0
        channels_out, size_out = self._channels[unit + 1], self._sizes[unit + 1]
        channels_in = self._channels[unit] if first else channels_out
        stride = self.strides[unit + 1] if first else 1
        return Block(
            size_in=self._sizes[unit] if first else size_out,
            size_out=size_out,
            channels_in=channels_in,
            channels_mid=make_divisible(channels_in * expansion),
            channels_out=channels_out,
            kernel=kernel,
            expansion=expansion,
            stride=stride,
            squeeze=_SQUEEZE[unit],
            hard_swish=_HARD_SWISH[unit],
            shortcut=stride == 1 and channels_in == channels_out,
        )


def make_divisible(channels: float) -> int:
    """Round to a multiple of 8, but never below 90 % (Howard et al., released code)."""
    rounded = max(_DIVISOR, int(channels + _DIVISOR / 2) // _DIVISOR * _DIVISOR)
    return rounded if rounded >= 0.9 * channels else rounded + _DIVISOR


def strides_for(resolution: int) -> tuple[int, ...]:
    """Return the published strides of stem and units, less the first for small images.

    As many are dropped as it takes for the last map to have two pixels a side;
    from 64 pixels on, none.
    """
    strides = list(_STRIDES)
    for place in range(len(strides)):
        if resolution // math.prod(strides) >= _SMALLEST_MAP:
            break
        strides[place] = 1
    return tuple(strides)


def check_strides(strides: Sequence[int]) -> tuple[int, ...]:
    """Return six strides of 1 or 2, those of the stem and the units.

    Raises
    ------
    InputError
        When they are something else.
    """
    check_list("strides", strides)
    if len(strides) != len(_STRIDES) or any(stride not in (1, 2) for stride in strides):
        raise InputError(
            f"strides are {len(_STRIDES)} numbers, 1 or 2, of the stem and the units, e.g."
            f" {_STRIDES}, not {strides!r}"
        )
    return tuple(int(stride) for stride in strides)


def _shrink(size: int, stride: int) -> int:
    return (size - 1) // stride + 1
