"""The benchmarks that come with weaknas, by name of the registry."""

from __future__ import annotations

import warnings
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from weaknas.errors import unknown
from weaknas.evaluators.tabular import LABELS, Labels, TabularBenchmark
from weaknas.spaces.nasbench201 import NASBench201
from weaknas.spaces.nasbench201.table import ROWS, Location, load_table, locate_table
from weaknas.spaces.tables import Columns


def nasbench201(
    dataset: str = "cifar10", labels: Labels = "one-seed", source: str = "auto"
) -> TabularBenchmark:
    """Return the table of NAS-Bench-201; a second call returns the same object.

    Parameters
    ----------
    dataset : {"cifar10", "cifar100", "imagenet16-120"}
    labels : {"one-seed", "mean"}
        What a query shows.
    source : {"auto", "pip", "official"}
        See `weaknas.spaces.nasbench201.table.load_table`.

    Returns
    -------
    TabularBenchmark
        Scores are validation accuracies in percent. A partial table restricts
        the space to the architectures it holds, with a warning.

    Raises
    ------
    InputError
        When a name is unknown, or the table is missing or damaged.
    """
    if labels not in LABELS:
        raise unknown("labels", labels, LABELS)
    location = locate_table(dataset, source)
    return _build_nasbench201(dataset, labels, location)


# The location has the time of the last change: a table imported meanwhile is seen.
@lru_cache(maxsize=16)
def _build_nasbench201(dataset: str, labels: Labels, location: Location) -> TabularBenchmark:
    columns = _load_nasbench201(dataset, location)
    rows = len(columns["genotype"])
    if rows < ROWS:
        message = (
            f"{location.path}: partial, {rows} of {ROWS} architectures; the search stays inside"
        )
        warnings.warn(message, RuntimeWarning, stacklevel=3)
    return TabularBenchmark(
        NASBench201(),
        columns,
        "valid_accuracy",
        labels=labels,
        cost="train_seconds" if _is_timed(columns) else None,
        test="test_accuracy" if "test_accuracy" in columns else None,
        partial=rows < ROWS,
        name=f"nasbench201/{dataset}",
    )


@lru_cache(maxsize=8)
def _load_nasbench201(dataset: str, location: Location) -> Columns:
    columns = load_table(dataset, location.kind)
    columns.pop("index", None)
    repeats = columns["valid_accuracy"].shape[1]
    return {
        name: _repeat(values, repeats) if "@" in name else values
        for name, values in columns.items()
    }


def _repeat(values: npt.NDArray[np.float64], width: int) -> npt.NDArray[np.float64]:
    """Fill rows, shape (n, m), to (n, width), going round the known values of each.

    A shorter schedule was trained less often than the full one; the k-th full
    training is shown with the k-th short one, beginning anew after the last.
    """
    known = np.isfinite(values)
    order = np.argsort(~known, axis=1, kind="stable")
    turn = np.arange(width) % np.maximum(known.sum(axis=1, keepdims=True), 1)
    return np.take_along_axis(values, np.take_along_axis(order, turn, axis=1), axis=1)


def _is_timed(columns: Columns) -> bool:
    """Whether all trainings have their seconds; early official files lack them here and there."""
    for name in [name for name in columns if name.partition("@")[0] == "valid_accuracy"]:
        seconds = columns.get(name.replace("valid_accuracy", "train_seconds"))
        if seconds is None:
            return False
        accuracy = columns[name]
        timed = np.isfinite(seconds.reshape(len(accuracy), -1))
        if not (timed | ~np.isfinite(accuracy)).all():
            return False
    return True
