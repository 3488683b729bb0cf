"""The settings of the networks of NAS-Bench-201."""

from __future__ import annotations

from dataclasses import dataclass

from weaknas.spaces.cells.skeleton import Skeleton


@dataclass(frozen=True, kw_only=True)
class NASBench201Skeleton(Skeleton):
    """A stem, three stages of cells with a residual block of stride 2 between, a classifier.

    Dong and Yang (ICLR 2020, arXiv:2001.00326, section 2.1). The defaults are those
    of the benchmark for CIFAR-10.

    Parameters
    ----------
    classes, shape
        See `Skeleton`.
    channels : int
        Channels of the first stage; each further one has twice as many.
    cells : int
        Cells in each stage.
    """

    channels: int = 16
    cells: int = 5

    @property
    def widths(self) -> list[int]:
        """Channels of each stage."""
        return [self.channels, 2 * self.channels, 4 * self.channels]
