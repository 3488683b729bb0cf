"""How checks tell that batches, groupings and frequencies are as promised."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from weaknas.spaces import Genotypes, GraphBatch, SearchSpace
from weaknas.testing._check import require

#: Below this probability a sample counts as biased: a sound space fails once in
#: a billion seeds, and the seed is fixed.
_FALSE_ALARM = 1e-9


def require_batch(name: str, rows: Any, space: SearchSpace, n: int) -> None:
    shape, kind = (n, space.n_variables), space.genotype_dtype
    require(isinstance(rows, np.ndarray), f"{name} returns a {type(rows).__name__}")
    require(rows.shape == shape, f"{name} returns the shape {rows.shape}, not {shape}")
    require(rows.dtype == kind, f"{name} returns {rows.dtype}, not {kind}")


def first_where(rows: npt.NDArray[Any], where: Any) -> Any:
    return rows[int(np.argmax(where))].tolist()


def require_same_groups(
    rows: Genotypes,
    one: npt.NDArray[np.integer],
    other: npt.NDArray[np.integer],
    one_name: str,
    other_name: str,
) -> None:
    """Both numberings must put the same rows together."""
    for group, finer, same, different in (
        (one, other, one_name, other_name),
        (other, one, other_name, one_name),
    ):
        order = np.lexsort([finer, group])
        split = (np.diff(group[order]) == 0) & (np.diff(finer[order]) != 0)
        if split.any():
            at = int(np.argmax(split))
            a, b = rows[order[at]].tolist(), rows[order[at + 1]].tolist()
            raise AssertionError(f"{a} and {b} have the same {same} but not the same {different}")


def require_frequencies(
    what: str, seen: npt.NDArray[np.integer], weights: npt.NDArray[Any]
) -> None:
    """Pearson's chi-square test that the counts follow the weights."""
    impossible = (weights == 0) & (seen > 0)
    require(not impossible.any(), f"{what} that are not in the listing were drawn")
    expected = weights[weights > 0] * seen.sum() / weights.sum()
    observed = seen[weights > 0]
    if len(expected) < 2:
        return
    statistic = float(((observed - expected) ** 2 / expected).sum())
    chance = float(stats.chi2.sf(statistic, len(expected) - 1))
    worst = int(np.argmax(np.abs(observed - expected) / np.sqrt(expected)))
    require(
        chance > _FALSE_ALARM,
        f"{what} are not drawn uniformly (chi-square {statistic:.0f} with {len(expected) - 1}"
        f" degrees of freedom): one comes {observed[worst]} times where {expected[worst]:.0f}"
        " are expected",
    )


def same_values(one: Any, other: Any) -> bool:
    """Tell whether two arrays, tuples of arrays or graph batches are equal, bit by bit."""
    if isinstance(one, GraphBatch):
        return isinstance(other, GraphBatch) and (
            np.array_equal(one.adjacency, other.adjacency)
            and np.array_equal(one.operations, other.operations)
            and one.vocabulary == other.vocabulary
        )
    return np.array_equal(np.asarray(one), np.asarray(other), equal_nan=True)
