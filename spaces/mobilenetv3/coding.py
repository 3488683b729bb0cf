"""Genotypes of `MobileNetV3` as the choices they stand for, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, unknown
from weaknas.spaces.mobilenetv3 import moves
from weaknas.spaces.mobilenetv3.skeleton import DEPTHS, EXPANSIONS, KERNELS, LAYERS, UNITS
from weaknas.spaces.mobilenetv3.text import Choices
from weaknas.spaces.rows import Genotypes


def decision_values(resolutions: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Return the values of each decision: of depths, kernels, expansions and the resolution.

    A single resolution is no decision.
    """
    searched = [tuple(resolutions)] if len(resolutions) > 1 else []
    return (*[DEPTHS] * UNITS, *[KERNELS] * LAYERS, *[EXPANSIONS] * LAYERS, *searched)


def decode(genotype: npt.NDArray[np.integer], resolutions: Sequence[int]) -> Choices:
    """Return the choices that a genotype, shape (d,), stands for; the resolution is said."""
    row = np.asarray(genotype)[None]
    present = moves.layers_present(row)[0]
    kernels = np.asarray(KERNELS)[row[0, moves.KERNEL_COLUMNS]] * present
    expansions = np.asarray(EXPANSIONS)[row[0, moves.EXPANSION_COLUMNS]] * present
    depths = np.asarray(DEPTHS)[row[0, moves.DEPTH_COLUMNS]]
    resolution = resolutions[int(moves.resolution_index(row)[0])]
    return Choices(
        tuple(kernels.tolist()), tuple(expansions.tolist()), tuple(depths.tolist()), resolution
    )


def encode(choices: Choices, resolutions: Sequence[int]) -> Genotypes:
    """Return the genotype of choices, shape (d,).

    Raises
    ------
    InputError
        When the resolution is not said where it is searched, or is none of these.
    """
    resolution = choices.resolution
    if resolution is None and len(resolutions) > 1:
        raise InputError(f"no resolution is given; it is searched among {resolutions}")
    if resolution is None:
        resolution = resolutions[0]
    if resolution not in resolutions:
        raise unknown("resolution", resolution, resolutions)
    values = [
        *choices.depths,
        *(kernel or KERNELS[0] for kernel in choices.kernels),
        *(expansion or EXPANSIONS[0] for expansion in choices.expansions),
        resolution,
    ]
    # A fixed resolution is no decision.
    pairs = zip(decision_values(resolutions), values, strict=False)
    return np.array([allowed.index(value) for allowed, value in pairs], dtype=np.int16)
