"""The benchmarks that come with weaknas, by name of the registry."""

from __future__ import annotations

import warnings
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from weaknas.errors import unknown
from weaknas.evaluators.tabular import LABELS, Labels, TabularBenchmark
from weaknas.spaces import SearchSpace
from weaknas.spaces.nasbench101 import NASBench101
from weaknas.spaces.nasbench101 import table as nasbench101_table
from weaknas.spaces.nasbench201 import NASBench201
from weaknas.spaces.nasbench201.table import ROWS, Location, load_table, locate_table
from weaknas.spaces.tables import Columns


def nasbench201(
    dataset: str = "cifar100", labels: Labels = "one-seed", source: str = "auto"
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
    return _build(NASBench201(), ROWS, columns, location.path, labels, dataset)


@lru_cache(maxsize=8)
def _load_nasbench201(dataset: str, location: Location) -> Columns:
    columns = load_table(dataset, location.kind)
    columns.pop("index", None)
    repeats = columns["valid_accuracy"].shape[1]
    return {
        name: _repeat(values, repeats) if "@" in name else values
        for name, values in columns.items()
    }


def nasbench101(
    dataset: str = "cifar10", labels: Labels = "one-seed", source: str = "auto"
) -> TabularBenchmark:
    """Return the table of NAS-Bench-101; a second call returns the same object.

    Parameters
    ----------
    dataset : {"cifar10"}
    labels : {"one-seed", "mean"}
        What a query shows.
    source : {"auto", "official", "sample"}
        See `weaknas.spaces.nasbench101.table.load_table`.

    Returns
    -------
    TabularBenchmark
        Scores are validation accuracies in percent after 108 epochs; lower fidelities
        are the schedules of 4, 12 and 36 epochs, where the table has them. A partial
        table restricts the space to the cells it holds, with a warning.

    Raises
    ------
    InputError
        When a name is unknown, or the table is missing or damaged.
    """
    if labels not in LABELS:
        raise unknown("labels", labels, LABELS)
    location = nasbench101_table.locate_table(dataset, source)
    return _build_nasbench101(dataset, labels, location)


@lru_cache(maxsize=4)
def _build_nasbench101(
    dataset: str, labels: Labels, location: nasbench101_table.Location
) -> TabularBenchmark:
    columns = nasbench101_table.load_table(dataset, location.kind)
    columns.pop("hash")
    repeats = columns["valid_accuracy"].shape[1]
    columns = {name: _repeat(v, repeats) if "@" in name else v for name, v in columns.items()}
    space = NASBench101()
    return _build(space, space.size, columns, location.path, labels, dataset)


# -- shared pieces ------------------------------------------------------------------------


def _build(
    space: SearchSpace, whole: int, columns: Columns, path: Path, labels: Labels, dataset: str
) -> TabularBenchmark:
    """Return the benchmark of columns; fewer rows than `whole` are a partial table."""
    rows = len(columns["genotype"])
    if rows < whole:
        message = f"{path}: partial, {rows} of {whole} architectures; the search stays inside"
        warnings.warn(message, RuntimeWarning, stacklevel=4)
    return TabularBenchmark(
        space,
        columns,
        "valid_accuracy",
        labels=labels,
        cost="train_seconds" if _is_timed(columns) else None,
        test="test_accuracy" if "test_accuracy" in columns else None,
        partial=rows < whole,
        name=f"{space.name}/{dataset}",
    )


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
