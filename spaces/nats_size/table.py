"""The benchmark table of the size space of NATS-Bench, from official files."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from weaknas.errors import InputError, unknown
from weaknas.files import data_folders, making_folder
from weaknas.spaces.files.tables import Columns, describe_columns, read_columns, write_columns
from weaknas.spaces.nasbench201.official import DATASETS, Layout, Progress, read_official
from weaknas.spaces.nats_size.space import NATSSize

ROWS = 32_768

_LAYOUT = Layout(NATSSize().parse, {"": ("90",), "@12": ("12",), "@1": ("01",)})
_IMPORT = "weaknas table import nats-size NATS-sss-v1_0-50262-simple"


def load_table(dataset: str = "cifar10", *, curves: bool = False) -> Columns:
    """Return the table of one data set, a row an architecture in the official order.

    Parameters
    ----------
    dataset : {"cifar10", "cifar100", "imagenet16-120"}
    curves : bool
        Read the learning curves too.

    Returns
    -------
    dict of str to ndarray
        ``index``, ``genotype`` (n, 5), ``valid_accuracy`` and others as in
        `weaknas.spaces.nasbench201.table.load_table`, after 90 epochs; those of the
        schedules of 12 epochs and 1 epoch are named ``...@12`` and ``...@1``.

    Raises
    ------
    InputError
        When the data set is unknown, or the table not imported or damaged.
    """
    path = locate_table(dataset)
    return read_columns(path, lambda name: curves or not name.endswith("_curve"))


def locate_table(dataset: str = "cifar10") -> Path:
    """Return the imported table of a data set.

    Raises
    ------
    InputError
        When the data set is unknown or there is no such table.
    """
    if dataset not in DATASETS:
        raise unknown("dataset", dataset, DATASETS)
    for folder in data_folders():
        path = _file(folder, dataset)
        if path.is_file():
            return path
    folders = ", ".join(map(str, data_folders()))
    raise InputError(
        f"no imported table of nats-size/{dataset} in {folders}; get the folder"
        " NATS-sss-v1_0-50262-simple (github.com/D-X-Y/NATS-Bench says where) and import it:"
        f" {_IMPORT}"
    )


def import_table(
    path: Path, output: Path | None = None, progress: Progress | None = None
) -> list[Path]:
    """Convert official files to one Parquet table a data set.

    Parameters
    ----------
    path : Path
        What was downloaded: the folder ``NATS-sss-v1_0-50262-simple``, its tar
        archive, or the single file, which takes much memory.
    output : Path, optional
        Folder that gets ``nats-size/<dataset>.parquet``; default: the data folder.
    progress : callable, optional
        Called with what is done and what there is, in files of a folder, else in bytes.

    Returns
    -------
    list of Path
        The files that were written.

    Raises
    ------
    InputError
        When the files are of no known form, or damaged, or nothing can be written.
    """
    folder = output or data_folders()[0]
    written = []
    with making_folder(folder / "nats-size"):  # before the long reading
        for dataset, columns in read_official(Path(path), progress, _LAYOUT).items():
            rows = len(columns["genotype"])
            if rows < ROWS:
                message = f"the table of {dataset} is partial, {rows} of {ROWS} architectures"
                warnings.warn(f"{path}: {message}", RuntimeWarning, stacklevel=2)
            written.append(_file(folder, dataset))
            write_columns(written[-1], columns, f"official file {Path(path).name}")
    return written


def describe_table(dataset: str = "cifar10") -> dict[str, Any]:
    """Return source, path, rows, shapes of the columns and the best architecture of a table."""
    path = locate_table(dataset)
    info, columns = describe_columns(path), load_table(dataset)
    means = np.nanmean(columns["valid_accuracy"], axis=1)
    best = int(np.argmax(means))
    return {
        "space": "nats-size",
        "dataset": dataset,
        "source": info.source,
        "path": str(path),
        "rows": info.rows,
        "columns": {name: list(shape) for name, shape in info.shapes.items()},
        "best": {
            "architecture": NATSSize().format(columns["genotype"][best]),
            "valid_accuracy": round(float(means[best]), 4),
        },
    }


def _file(folder: Path, dataset: str) -> Path:
    return folder / "nats-size" / f"{dataset}.parquet"
