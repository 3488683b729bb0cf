"""The settings of the residual network."""

from __future__ import annotations

from dataclasses import dataclass

from weaknas.spaces.cells.skeleton import Skeleton


@dataclass(frozen=True, kw_only=True)
class ResidualSkeleton(Skeleton):
    """Three stages of blocks, of twice and four times the channels from the second on.

    The defaults are ResNet-20 (He et al., CVPR 2016, arXiv:1512.03385, section 4.2).

    Parameters
    ----------
    classes, shape
        See `Skeleton`.
    channels : int
        Channels of the first stage.
    cells : int
        Blocks, of two convolutions each, in each stage.
    """

    channels: int = 16
    cells: int = 3
