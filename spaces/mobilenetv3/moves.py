"""Moves between architectures: a layer that is not there has no choices to inherit or change.

All functions take and return genotypes of `MobileNetV3`, shape (n, d): five
depths, 20 kernels, 20 expansions and perhaps the resolution, as indices.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from weaknas.spaces.mobilenetv3.skeleton import (
    DEPTHS,
    EXPANSIONS,
    KERNELS,
    LAYERS,
    LAYERS_PER_UNIT,
    UNITS,
)
from weaknas.spaces.rows import Genotypes

DEPTH_COLUMNS = slice(0, UNITS)
KERNEL_COLUMNS = slice(UNITS, UNITS + LAYERS)
EXPANSION_COLUMNS = slice(UNITS + LAYERS, UNITS + 2 * LAYERS)
CHOICES = UNITS + 2 * LAYERS

_POSITION = np.tile(np.arange(LAYERS_PER_UNIT), UNITS)


def layers_present(genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Tell which layers there are, shape (n, 20)."""
    depths = np.asarray(DEPTHS)[np.asarray(genotypes)[:, DEPTH_COLUMNS]]
    return np.asarray(np.repeat(depths, LAYERS_PER_UNIT, axis=1) > _POSITION)


def decisions_present(genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Tell which decisions the architecture depends on, shape (n, d)."""
    present = np.ones(np.shape(genotypes), dtype=bool)
    present[:, KERNEL_COLUMNS] = present[:, EXPANSION_COLUMNS] = layers_present(genotypes)
    return present


def resolution_index(genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """Return which resolution each architecture has, shape (n,); 0 where it is not searched."""
    rows = np.asarray(genotypes)
    return rows[:, CHOICES] if rows.shape[1] > CHOICES else np.zeros(len(rows), dtype=np.int16)


def mutate(
    genotypes: npt.NDArray[np.integer],
    cardinalities: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> Genotypes:
    """Change one decision that matters; layers that this adds get random choices."""
    present = decisions_present(genotypes)
    free = rng.integers(cardinalities, size=present.shape)
    rows = np.where(present, genotypes, free).astype(np.int16)
    weights = np.where(present & (cardinalities > 1), rng.random(present.shape), -1.0)
    column = weights.argmax(axis=1)
    line = np.arange(len(rows))
    shift = rng.integers(1, cardinalities[column])
    rows[line, column] = (rows[line, column] + shift) % cardinalities[column]
    return rows


def crossover(
    first: npt.NDArray[np.integer], second: npt.NDArray[np.integer], rng: np.random.Generator
) -> Genotypes:
    """Take each decision from either parent, but from one that has the layer."""
    take = rng.random(np.shape(first)) < 0.5
    in_first, in_second = decisions_present(first), decisions_present(second)
    take = np.where(in_first == in_second, take, in_first)
    return np.where(take, first, second).astype(np.int16)


def neighbors(genotype: npt.NDArray[np.integer], cardinalities: npt.NDArray[np.int64]) -> Genotypes:
    """Return all architectures that one changed decision can lead to, shape (m, d).

    A unit that grows by one layer gives nine of them and by two layers 81, one for
    each way the new layers can be; so being neighbours is mutual.
    """
    base = np.asarray(genotype, dtype=np.int16)
    present = decisions_present(base[None])[0]
    moved = [
        _with(base, column, value)
        for column in np.flatnonzero(present).tolist()
        for value in range(int(cardinalities[column]))
        if value != base[column] and not (column < UNITS and value > base[column])
    ]
    grown = [
        row
        for unit in range(UNITS)
        for depth in range(int(base[unit]) + 1, len(DEPTHS))
        for row in _grow(base, unit, depth)
    ]
    return np.array(moved + grown, dtype=np.int16).reshape(-1, len(base))


def _with(base: Genotypes, column: int, value: int) -> Genotypes:
    row = base.copy()
    row[column] = value
    return row


def _grow(base: Genotypes, unit: int, depth: int) -> Genotypes:
    """All ways to give a unit another, larger depth (an index)."""
    added = np.arange(DEPTHS[base[unit]], DEPTHS[depth]) + unit * LAYERS_PER_UNIT
    columns = np.concatenate([added + KERNEL_COLUMNS.start, added + EXPANSION_COLUMNS.start])
    counts = [len(KERNELS)] * len(added) + [len(EXPANSIONS)] * len(added)
    rows = np.repeat(_with(base, unit, depth)[None], int(np.prod(counts)), axis=0)
    rows[:, columns] = np.indices(counts).reshape(len(counts), -1).T
    return rows
