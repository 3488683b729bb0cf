"""Genotypes as rows of small integers, whatever these mean: numbered, listed and changed."""

from __future__ import annotations

import math
import operator
from itertools import accumulate
from typing import Any, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt

#: Batches (n, d) or rows (d,), of the space's `genotype_dtype`.
Genotypes: TypeAlias = npt.NDArray[np.integer]
Fingerprints: TypeAlias = npt.NDArray[np.int64]

# Multiplier of Knuth's 64-bit linear congruential generator (TAOCP 2, 3.3.4).
_HASH_MULTIPLIER = np.uint64(6364136223846793005)


def genotype_dtype(cardinalities: npt.NDArray[np.integer]) -> np.dtype[Any]:
    """Return the smallest of int16, int32 and int64 that numbers all choices."""
    return np.promote_types(np.int16, np.min_scalar_type(-int(cardinalities.max())))


def is_row(value: Any, length: int) -> bool:
    """Tell whether a value can be read as a row of so many integers."""
    try:
        row = np.asarray(value)
    except ValueError:  # ragged
        return False
    return row.shape == (length,) and row.dtype.kind in "iu"


def is_batch(values: Any, length: int) -> TypeGuard[npt.NDArray[np.integer]]:
    """Tell whether a value is an array of rows of so many integers."""
    return (
        isinstance(values, np.ndarray)
        and values.dtype.kind in "iu"
        and values.ndim == 2
        and values.shape[1] == length
    )


def count_rows(cardinalities: npt.NDArray[np.integer]) -> int:
    """Return the exact number of rows there can be."""
    return math.prod(int(count) for count in cardinalities)


def number_rows(rows: Genotypes, cardinalities: npt.NDArray[np.integer]) -> Fingerprints:
    """Return one 64-bit integer a row, shape (n,).

    Exact (a mixed-radix number) where there are fewer than 2^63 rows. Above, a 64-bit
    hash: among a million rows two different ones collide with a probability of about 3e-8.
    """
    # Places of the digits, the last of which counts 1, and before them all rows there can be.
    *weights, total = accumulate(reversed(cardinalities.tolist()), operator.mul, initial=1)
    if total < 2**63:
        return np.asarray(rows.astype(np.int64) @ np.array(weights[::-1], dtype=np.int64))
    code = np.zeros(len(rows), dtype=np.uint64)
    for column in rows.T:
        code = (code + column.astype(np.uint64) + np.uint64(1)) * _HASH_MULTIPLIER
        code ^= code >> np.uint64(29)
    return code.view(np.int64)


def list_rows(cardinalities: npt.NDArray[np.integer]) -> Genotypes:
    """Return all rows in lexicographic order."""
    indices = np.unravel_index(np.arange(count_rows(cardinalities)), tuple(cardinalities))
    return np.stack(indices, axis=1).astype(genotype_dtype(cardinalities))


def change_one(
    rows: Genotypes, cardinalities: npt.NDArray[np.integer], rng: np.random.Generator
) -> Genotypes:
    """Return the rows, shape (n, d), each with another value in one column, drawn uniformly."""
    changed = np.array(rows, dtype=genotype_dtype(cardinalities))
    free = np.flatnonzero(cardinalities > 1)
    if len(free) == 0:
        return changed
    column = free[rng.integers(len(free), size=len(changed))]
    shift = rng.integers(1, cardinalities[column])
    line = np.arange(len(changed))
    changed[line, column] = (changed[line, column] + shift) % cardinalities[column]
    return changed


def all_changes(row: Genotypes, cardinalities: npt.NDArray[np.integer]) -> Genotypes:
    """Return every row that differs from one, shape (d,), in one column; shape (m, d)."""
    return all_changes_of_each(row[None], cardinalities)[0]


def all_changes_of_each(
    rows: Genotypes, cardinalities: npt.NDArray[np.integer]
) -> tuple[Genotypes, npt.NDArray[np.int64]]:
    """Return `all_changes` of each row, shape (n, d).

    Returns
    -------
    changed : ndarray of int, shape (m, d)
    owners : ndarray of int64, shape (m,)
        Which row each was made of, ascending.
    """
    columns = np.repeat(np.arange(rows.shape[1]), cardinalities)
    values = np.concatenate([np.arange(count) for count in cardinalities])
    owners, places = np.nonzero(values != rows[:, columns])
    changed = rows[owners]
    changed[np.arange(len(changed)), columns[places]] = values[places]
    return changed, owners
