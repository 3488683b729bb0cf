"""The benchmark table of NAS-Bench-101: imported official files, or a partial sample."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from weaknas.errors import InputError, unknown
from weaknas.files import data_folders, making_folder
from weaknas.spaces.files.packed import read_arrays
from weaknas.spaces.files.tables import Columns, describe_columns, read_columns, write_columns
from weaknas.spaces.nasbench101 import cells
from weaknas.spaces.nasbench101.enumeration import SIZE
from weaknas.spaces.nasbench101.importing import (
    FULL_EPOCHS,
    column_suffix,
    parts_folder,
    read_official,
)
from weaknas.spaces.nasbench101.official import cells_from_arrays, hash_numbers
from weaknas.spaces.nasbench101.space import NASBench101
from weaknas.spaces.nasbench101.tfrecord import Progress

Source: TypeAlias = Literal["auto", "official", "sample"]
SOURCES: tuple[Source, ...] = ("auto", "official", "sample")
DATASETS = ("cifar10",)
_SAMPLE = "sample_30001.npz"
_HOW = (
    "download nasbench_only108.tfrecord (499 MB) or nasbench_full.tfrecord (1.95 GB, with 4, 12"
    " and 36 epochs) from https://storage.googleapis.com/nasbench/ and import it:"
    " weaknas table import nasbench101 FILE"
)


class Location(NamedTuple):
    """Where a table comes from; equal as long as the file is the same.

    Parameters
    ----------
    kind : {"official", "sample"}
    path : Path
    changed : int
        When the file was last changed, in nanoseconds.
    """

    kind: Literal["official", "sample"]
    path: Path
    changed: int


# -- reading --------------------------------------------------------------------------------


def load_table(dataset: str = "cifar10", source: str = "auto") -> Columns:
    """Return the table, a row a cell.

    Parameters
    ----------
    dataset : {"cifar10"}
    source : {"auto", "official", "sample"}
        ``"official"`` is what `import_table` wrote, ``"sample"`` the file
        ``nasbench101/sample_30001.npz`` in a data folder: 30,001 random cells with the
        best validation accuracy of three trainings. ``"auto"`` takes the first there is.

    Returns
    -------
    dict of str to ndarray
        ``genotype`` (n, 26), canonical; ``hash`` (n, 2), the official MD5 as two
        numbers; ``parameters`` (n,); ``valid_accuracy``, ``test_accuracy``,
        ``train_accuracy`` in percent and ``train_seconds``, each (n, trainings), at the
        end of 108 epochs, and the same of shorter schedules named ``...@36`` and so on.
        The sample has neither test nor training accuracy, and one value a cell; its
        seconds of the shorter schedules are estimated: in proportion to the epochs.

    Raises
    ------
    InputError
        When a name is unknown, or the source is missing or damaged.
    """
    location = locate_table(dataset, source)
    return _read_sample(location.path) if location.kind == "sample" else read_columns(location.path)


def locate_table(dataset: str = "cifar10", source: str = "auto") -> Location:
    """Return where `load_table` finds the table.

    Raises
    ------
    InputError
        When a name is unknown, or there is no such table: the message says how to get one.
    """
    if dataset not in DATASETS:
        raise unknown("dataset", dataset, DATASETS)
    if source not in SOURCES:
        raise unknown("source", source, SOURCES)
    kinds: tuple[Literal["official", "sample"], ...] = ("official", "sample")
    for kind in kinds:
        for folder in data_folders() if source in ("auto", kind) else ():
            path = _file(folder, kind)
            if path.is_file():
                return Location(kind, path, path.stat().st_mtime_ns)
    folders = ", ".join(str(folder) for folder in data_folders())
    lacking = "no table" if source == "auto" else f"no {source} table"
    raise InputError(f"{lacking} of {NASBench101.name} in {folders}; {_HOW}")


def describe_table(dataset: str = "cifar10", source: str = "auto") -> dict[str, Any]:
    """Return source, path, rows, shapes of the columns and the best cell of the table.

    Returns
    -------
    dict
        Plain JSON types. ``best`` is the best mean validation accuracy after 108 epochs.
    """
    location = locate_table(dataset, source)
    columns = load_table(dataset, source)
    origin = _SAMPLE if location.kind == "sample" else describe_columns(location.path).source
    means = np.nanmean(columns["valid_accuracy"], axis=1)
    best = int(np.argmax(means))
    return {
        "space": NASBench101.name,
        "dataset": dataset,
        "source": origin,
        "path": str(location.path),
        "rows": len(means),
        "columns": {name: list(values.shape) for name, values in columns.items()},
        "best": {
            "architecture": NASBench101().format(columns["genotype"][best]),
            "valid_accuracy": round(float(means[best]), 4),
        },
    }


def _file(folder: Path, kind: Literal["official", "sample"]) -> Path:
    name = _SAMPLE if kind == "sample" else f"{DATASETS[0]}.parquet"
    return folder / NASBench101.name / name


def _read_sample(path: Path) -> Columns:
    data = read_arrays(path)
    try:
        kinds = np.array([cells.OPERATIONS.index(name) for name in data["op_names"]])
        rows = np.zeros((len(data["adj"]), NASBench101().n_variables), dtype=np.int16)
        for size in np.unique(data["n_vertices"]).tolist():
            group = data["n_vertices"] == size
            matrices = data["adj"][group, :size, :size]
            rows[group] = cells_from_arrays(matrices, kinds[data["ops"][group, : size - 2]])
        columns: Columns = {
            "genotype": NASBench101().canonicalize(rows),
            "hash": hash_numbers(bytes.fromhex(h.decode()) for h in data["hash"]),
            "parameters": data["params"],
        }
        for column, epochs in enumerate(data["epochs"].tolist()):
            share = epochs / FULL_EPOCHS
            suffix = column_suffix(epochs)
            columns[f"valid_accuracy{suffix}"] = 100.0 * data["val_acc_max3"][:, column, None]
            columns[f"train_seconds{suffix}"] = share * data["train_time108_s"][:, None]
    except (OSError, LookupError, ValueError) as error:
        raise InputError(f"{path}: not the expected sample of cells ({error!r})") from error
    return columns


# -- importing ------------------------------------------------------------------------------


def import_table(
    path: Path, output: Path | None = None, progress: Progress | None = None
) -> list[Path]:
    """Convert an official file to one Parquet table.

    An import that was interrupted is continued when the same file is imported again:
    what has been read is kept in parts beside the table until that is written.

    Parameters
    ----------
    path : Path
        ``nasbench_only108.tfrecord`` or ``nasbench_full.tfrecord``.
    output : Path, optional
        Folder that gets ``nasbench101/cifar10.parquet``; default: the data folder,
        where `load_table` looks.
    progress : callable, optional
        Called with the bytes that are read and the bytes there are.

    Returns
    -------
    list of Path
        The file that was written.

    Raises
    ------
    InputError
        When the file is missing, damaged or of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; {_HOW}")
    target = _file(Path(output or data_folders()[0]), "official")
    with making_folder(target.parent):  # before the long reading
        parts = parts_folder(path, target.parent)
        records = read_official(path, parts, progress)
        columns, source = records.columns, f"official file {path.name}"
        if records.epochs != FULL_EPOCHS:
            source += f", after {records.epochs} epochs"
            message = f"{path}: nothing was trained for {FULL_EPOCHS} epochs; the scores are those"
            warnings.warn(f"{message} after {records.epochs}", RuntimeWarning, stacklevel=2)
        if len(columns["genotype"]) < SIZE:
            message = f"{path}: partial, {len(columns['genotype'])} of {SIZE} cells"
            if records.dropped:
                message += f"; {records.dropped} more were not trained for {records.epochs} epochs"
            warnings.warn(message, RuntimeWarning, stacklevel=2)
        write_columns(target, columns, source)
        shutil.rmtree(parts)
    return [target]
