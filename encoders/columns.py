"""Columns that tell the choices of a decision apart: never more than a bounded number."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from weaknas.spaces import Genotypes

#: Columns of one decision; with more choices than this, it has no column for each.
MOST_COLUMNS = 64
_MOST_TOGETHER = 4096  # columns of all decisions, where that leaves each enough
_ENOUGH = 8
_KNOTS = 9  # of a decision between very many ordered choices


def most_columns(cardinalities: npt.NDArray[np.integer]) -> int:
    """Return how many columns a decision may have in a space of so many decisions."""
    return next(
        (
            width
            for width in (MOST_COLUMNS, MOST_COLUMNS // 2, MOST_COLUMNS // 4)
            if np.minimum(cardinalities, width).sum() <= _MOST_TOGETHER
        ),
        _ENOUGH,
    )


def _ordered_width(most: int) -> int:
    return _KNOTS if most >= _KNOTS else 1


def _hats(ranks: npt.NDArray[np.float64], knots: int) -> npt.NDArray[np.float64]:
    """Return the hat functions that have their tops at equal distances; of one top the rank."""
    if knots == 1:
        return ranks[:, None]
    return np.asarray(np.maximum(1 - np.abs((knots - 1) * ranks[:, None] - np.arange(knots)), 0))


@lru_cache(maxsize=64)
def choice_columns(count: int, ordered: bool, most: int = MOST_COLUMNS) -> npt.NDArray[np.float32]:
    """Return the features of each choice of one decision.

    One column a choice, 1 where it is taken, where that makes no more than `most`.
    Of more choices that are ordered, nine hat functions of the rank, so that what is linear in
    the columns may rise and fall with it, as with choices that have a column each; the rank in
    [0, 1] where `most` is less than that. Of more without an order, a fixed random direction
    each: like unit vectors, any two of them are at about the same distance, the root of two
    (Johnson and Lindenstrauss 1984).

    Parameters
    ----------
    count : int
        Number of choices.
    ordered : bool
    most : int
        Columns.

    Returns
    -------
    ndarray of float32, shape (count, f)
        Read-only.
    """
    if count <= most:
        columns = np.eye(count)
    elif ordered:
        columns = _hats(np.linspace(0, 1, count), _ordered_width(most))
    else:
        columns = np.random.default_rng(count).standard_normal((count, most))
        columns /= np.linalg.norm(columns, axis=1, keepdims=True)
    features = columns.astype(np.float32)
    features.flags.writeable = False
    return features


def encode_choices(
    rows: Genotypes, cardinalities: npt.NDArray[np.integer], ordered: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """Return the columns of all decisions of genotypes, shape (n, d), side by side."""
    most = most_columns(cardinalities)
    widths = np.where(
        cardinalities <= most, cardinalities, np.where(ordered, _ordered_width(most), most)
    )
    starts = np.cumsum(widths) - widths
    features = np.zeros((len(rows), int(widths.sum())), dtype=np.float32)
    single = widths == cardinalities
    np.put_along_axis(features, rows[:, single] + starts[single], 1.0, axis=1)
    for column in np.flatnonzero(~single).tolist():
        block = slice(int(starts[column]), int(starts[column] + widths[column]))
        table = choice_columns(int(cardinalities[column]), bool(ordered[column]), most)
        features[:, block] = table[rows[:, column]]
    return features
