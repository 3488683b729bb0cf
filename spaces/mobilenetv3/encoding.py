"""The features that once-for-all's accuracy predictor takes (arXiv:1908.09791, section 3.4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from weaknas.spaces.mobilenetv3 import moves
from weaknas.spaces.mobilenetv3.skeleton import EXPANSIONS, KERNELS, LAYERS

#: What the predictor was fitted to.
RESOLUTIONS = (160, 176, 192, 208, 224)

_FIRST_RESOLUTION, _STEP, _SLOTS = 112, 16, 8  # three slots have never been used
_KERNELS_END = LAYERS * len(KERNELS)
_EXPANSIONS_END = _KERNELS_END + LAYERS * len(EXPANSIONS)
FEATURES = _EXPANSIONS_END + _SLOTS


def encode_for_predictor(
    genotypes: npt.NDArray[np.integer], resolutions: Sequence[int]
) -> npt.NDArray[np.float64]:
    """Return one-hot kernels, expansions and resolution, shape (n, 128).

    A layer that is not there has zeros only, which says the depth.

    Parameters
    ----------
    genotypes : ndarray of int, shape (n, d)
    resolutions : sequence of int
        What the resolution column stands for; one value for all architectures.
    """
    rows = np.asarray(genotypes)
    present = moves.layers_present(rows)[:, :, None]
    kernels = rows[:, moves.KERNEL_COLUMNS, None] == np.arange(len(KERNELS))
    expansions = rows[:, moves.EXPANSION_COLUMNS, None] == np.arange(len(EXPANSIONS))
    features = np.zeros((len(rows), FEATURES))
    features[:, :_KERNELS_END] = (kernels & present).reshape(len(rows), -1)
    features[:, _KERNELS_END:_EXPANSIONS_END] = (expansions & present).reshape(len(rows), -1)
    index = rows[:, moves.CHOICES] if len(resolutions) > 1 else np.zeros(len(rows), dtype=int)
    slots = (np.asarray(resolutions)[index] - _FIRST_RESOLUTION) // _STEP
    features[np.arange(len(rows)), _EXPANSIONS_END + slots] = 1.0
    return features
