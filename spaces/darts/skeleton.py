"""The settings of the networks of DARTS, and where their cells stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from weaknas.errors import InputError, unknown
from weaknas.spaces.cells.skeleton import Skeleton, halved

NODES = 4
#: Channels and cells in each stage that were published with each stem.
STEMS = {"cifar": (36, 6), "imagenet": (48, 4)}
_STAGES = 3
_STEM_MULTIPLIER = 3


class Place(NamedTuple):
    """What stands around one cell.

    Parameters
    ----------
    before, inputs : int
        Channels of the outputs of the last but one and of the last cell.
    channels : int
        Channels of each node.
    reduces : bool
        Whether it is a reduction cell.
    after_reduction : bool
        Whether the last cell is, or a stem that halves the size.
    size : tuple of int
        Height and width of the output of the last cell.
    """

    before: int
    inputs: int
    channels: int
    reduces: bool
    after_reduction: bool
    size: tuple[int, ...]

    @property
    def outputs(self) -> int:
        """Channels of the concatenation of all nodes."""
        return NODES * self.channels

    @property
    def size_out(self) -> tuple[int, ...]:
        """Height and width of the output."""
        return halved(self.size) if self.reduces else self.size


@dataclass(frozen=True, kw_only=True)
class DARTSSkeleton(Skeleton):
    """A stem and three stages of normal cells, a reduction cell before the second and third.

    Liu, Simonyan and Yang (ICLR 2019, arXiv:1806.09055, section 3.2 and appendix A).
    With the stem "cifar" 6 cells in each stage are the 20 cells of the paper, and 2 the
    8 of its search, which had 16 channels.

    Parameters
    ----------
    classes, shape
        See `Skeleton`.
    stem : {"cifar", "imagenet"}
        A convolution to three times the channels, or three of stride 2 each.
    channels : int, optional
        Channels of the nodes of the first cell; a reduction cell and those after it
        have twice as many as those before. By default as published with the stem:
        36 or 48.
    cells : int, optional
        Normal cells in each stage; by default as published with the stem: 6 or 4, which
        makes 20 or 14 with the two reduction cells.
    auxiliary : bool
        Whether the networks have an auxiliary head after the second reduction.

    Raises
    ------
    InputError
        When a value cannot be used.
    """

    stem: str = "cifar"
    channels: int | None = None
    cells: int | None = None
    auxiliary: bool = False

    def __post_init__(self) -> None:
        if self.stem not in STEMS:
            raise unknown("stem", self.stem, STEMS)
        channels, cells = STEMS[self.stem]
        # As a frozen dataclass sets its fields.
        object.__setattr__(self, "channels", channels if self.channels is None else self.channels)
        object.__setattr__(self, "cells", cells if self.cells is None else self.cells)
        super().__post_init__()
        if self.width < 2:
            raise InputError("channels is 1; halves of them are concatenated, so at least 2")

    @property
    def width(self) -> int:
        """Channels of the nodes of the first cell."""
        assert self.channels is not None
        return self.channels

    @property
    def depth(self) -> int:
        """Number of all cells."""
        assert self.cells is not None
        return _STAGES * self.cells + len(self.reductions)

    @property
    def stem_channels(self) -> int:
        """Channels of the output of the stem."""
        return self.width if self.stem == "imagenet" else _STEM_MULTIPLIER * self.width

    @property
    def reductions(self) -> tuple[int, int]:
        """Numbers of the reduction cells; an auxiliary head stands after the last."""
        assert self.cells is not None
        return self.cells, 2 * self.cells + 1

    @property
    def places(self) -> list[Place]:
        """The place of each cell."""
        downsamples = self.stem == "imagenet"
        size = halved(self.shape, 3 if downsamples else 0)
        before = inputs = self.stem_channels
        channels = self.width
        places: list[Place] = []
        for index in range(self.depth):
            channels *= 2 if index in self.reductions else 1
            after = places[-1].reduces if places else downsamples
            places.append(Place(before, inputs, channels, index in self.reductions, after, size))
            before, inputs, size = inputs, places[-1].outputs, places[-1].size_out
        return places
