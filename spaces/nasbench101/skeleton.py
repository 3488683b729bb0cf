"""The settings of the networks of NAS-Bench-101."""

from __future__ import annotations

from dataclasses import dataclass

from weaknas.errors import InputError, check_number
from weaknas.spaces.cells.skeleton import Skeleton
from weaknas.spaces.nasbench101.cells import INNER


@dataclass(frozen=True, kw_only=True)
class NASBench101Skeleton(Skeleton):
    """A stem, stacks of cells with max-pooling and twice the channels between, a classifier.

    Ying et al. (ICML 2019, arXiv:1902.09635, section 2.2). The defaults are those of
    the benchmark, but for the momentum.

    Parameters
    ----------
    classes, shape
        See `Skeleton`.
    channels : int
        Channels of the stem and of the first stack, at least 5.
    stacks : int
        Number of stacks.
    cells : int
        Cells in each stack.
    momentum : float
        Weight of a batch in the running statistics of batch norms. The benchmark has
        0.003: right for its 17,000 steps, and useless after a hundred.

    Raises
    ------
    InputError
        When a value cannot be used.
    """

    channels: int = 128
    stacks: int = 3
    cells: int = 3
    momentum: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.channels < len(INNER):
            raise InputError(
                f"channels is {self.channels}; they are split over up to {len(INNER)} vertices"
            )
        check_number("momentum", self.momentum, above=0, most=1)

    @property
    def widths(self) -> list[int]:
        """Channels of each stack."""
        return [self.channels * 2**stack for stack in range(self.stacks)]
