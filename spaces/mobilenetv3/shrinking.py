"""Progressive shrinking: which choices once-for-all frees, and in which order."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from weaknas.spaces.mobilenetv3 import moves
from weaknas.spaces.mobilenetv3.skeleton import DEPTHS, EXPANSIONS, KERNELS


class ShrinkingStage(NamedTuple):
    """One stage.

    Parameters
    ----------
    name : str
    lowest : tuple of int
        Index of the lowest choice of each decision that is drawn.
    share : float
        Of the epochs of all stages; the published number.
    rate : float
        Times the learning rate of the first stage.
    subnets : int
        Architectures that are drawn in each step.
    sort : tuple of int
        Expansions trained so far, by which channels are sorted before the stage.
    """

    name: str
    lowest: tuple[int, ...]
    share: float
    rate: float
    subnets: int
    sort: tuple[int, ...] = ()


# Epochs, learning rate for 64 images, subnets a step, and the indices of the lowest
# kernel, depth and expansion (Cai et al., 2020, arXiv:1908.09791, section 4.1 and the
# released settings: 2.6 for 2,048 images at first).
_FULL_RATE = 2.6 / 32
_STAGES = (
    ("full", 180, _FULL_RATE, 1, (2, 2, 2), ()),
    ("kernel", 125, 0.03, 1, (0, 2, 2), ()),
    ("depth 1", 25, 0.0025, 2, (0, 1, 2), ()),
    ("depth 2", 125, 0.0075, 2, (0, 0, 2), ()),
    ("expansion 1", 25, 0.0025, 4, (0, 0, 1), EXPANSIONS[-1:]),
    ("expansion 2", 125, 0.0075, 4, (0, 0, 0), EXPANSIONS[-2:]),
)


def shrinking_stages(
    cardinalities: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> list[ShrinkingStage]:
    """Return the stages for genotypes of these cardinalities; a resolution is always drawn."""
    assert len(KERNELS) == len(DEPTHS) == len(EXPANSIONS) == 3
    stages = []
    for name, epochs, rate, subnets, (kernel, depth, expansion), sort in _STAGES:
        lowest = np.zeros(len(cardinalities), dtype=int)
        lowest[moves.KERNEL_COLUMNS] = kernel
        lowest[moves.DEPTH_COLUMNS] = depth
        lowest[moves.EXPANSION_COLUMNS] = expansion
        stages.append(
            ShrinkingStage(name, tuple(lowest.tolist()), epochs, rate / _FULL_RATE, subnets, sort)
        )
    return stages
