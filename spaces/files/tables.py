"""Benchmark tables as Parquet files: columns of numbers, checked when they are read."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError
from weaknas.files import remove_leftovers, write_atomically
from weaknas.spaces.files.packed import check_parquet

#: Name to numbers, shape (n,), (n, trainings) or (n, trainings, epochs); NaN where unknown.
Columns: TypeAlias = dict[str, npt.NDArray[Any]]

FORMAT = 1
_KEY = b"weaknas"
_LONGEST_WRITE = 3600.0  # seconds; what is older is of a process that was killed


class DamagedTableError(InputError):
    """A table file that cannot be read or does not hold what was written."""


@dataclass(frozen=True)
class TableInfo:
    """What a table file says of itself.

    Parameters
    ----------
    source : str
        Where the numbers come from.
    rows : int
    shapes : dict of str to tuple of int
        Shape of each column.
    """

    source: str
    rows: int
    shapes: dict[str, tuple[int, ...]]


def write_columns(path: Path, columns: Columns, source: str) -> None:
    """Write columns to one Parquet file, whole or not at all.

    Arrays become (nested) lists of fixed size. The schema metadata hold, under
    ``weaknas``, JSON with the format version, the source, the number of rows,
    the version of weaknas and for each column its type, shape and checksum.

    Parameters
    ----------
    path : Path
    columns : dict of str to ndarray
        All of the same length.
    source : str
        Where the numbers come from.

    Raises
    ------
    InputError
        When the columns are no table.
    OSError
        When the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = {name: np.ascontiguousarray(values) for name, values in columns.items()}
    rows = _count_rows(arrays)
    header = {
        "format": FORMAT,
        "source": source,
        "rows": rows,
        "weaknas": _version(),
        "columns": {
            name: {"dtype": a.dtype.str, "shape": list(a.shape), "checksum": _checksum(a)}
            for name, a in arrays.items()
        },
    }
    table = pa.table({name: _to_arrow(values) for name, values in arrays.items()})
    table = table.replace_schema_metadata({_KEY: json.dumps(header).encode()})
    # Dictionaries pay for repeated values only; numbers of experiments rarely repeat.
    write_atomically(
        path,
        lambda temporary: pq.write_table(
            table, temporary, compression="zstd", use_dictionary=False, row_group_size=rows
        ),
    )


def read_columns(path: Path, select: Callable[[str], bool] | None = None) -> Columns:
    """Read a table file and check that it holds what was written.

    Parameters
    ----------
    path : Path
    select : callable, optional
        Whether to read the column of this name; default: all.

    Raises
    ------
    DamagedTableError
        When it does not.
    """
    return _read(path, select)[1]


def describe_columns(path: Path) -> TableInfo:
    """Return what a table file says of itself, without reading its columns.

    Raises
    ------
    DamagedTableError
        When it cannot be read.
    """
    return _read(path, lambda _: False)[0]


def cached_columns(path: Path, source: str, build: Callable[[], Columns]) -> Columns:
    """Read a table from its cache file; build it, and the file, where there is none.

    A damaged file, and one that cannot be written, cost a warning. A file of
    another source or format version is replaced.

    Parameters
    ----------
    path : Path
        The cache file.
    source : str
        What the table is built from, with its version.
    build : callable
        Returns the columns.
    """
    if path.exists():
        try:
            info, columns = _read(path, None)
            if info.source == source:
                return columns
        except DamagedTableError as error:
            warnings.warn(f"{error}; the table is built anew", RuntimeWarning, stacklevel=2)
    columns = build()
    remove_leftovers(path.parent, path.name, age=_LONGEST_WRITE)
    try:
        write_columns(path, columns, source)
    except OSError as error:
        message = f"{path}: cannot be written ({error}); the table is not cached"
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    return columns


def _read(path: Path, select: Callable[[str], bool] | None) -> tuple[TableInfo, Columns]:
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            check_parquet(file, path)
            header = _header(file.schema_arrow.metadata, file.metadata.num_rows)
            names = [name for name in header["columns"] if select is None or select(name)]
            table = file.read(columns=names)
        columns = {name: _from_arrow(table[name], header["columns"][name]) for name in names}
        shapes = {name: tuple(spec["shape"]) for name, spec in header["columns"].items()}
        return TableInfo(header["source"], header["rows"], shapes), columns
    except Exception as error:
        # One changed byte may make nearly anything of a file: found by trying.
        detail = " ".join(str(error).split())
        raise DamagedTableError(f"{path}: not a whole table of weaknas ({detail})") from error


def _header(metadata: dict[bytes, bytes] | None, rows: int) -> dict[str, Any]:
    header: dict[str, Any] = json.loads((metadata or {}).get(_KEY, b"{}"))
    if header.get("format") != FORMAT:
        raise ValueError(f"format version {header.get('format')}, where {FORMAT} is read")
    if header["rows"] != rows:
        raise ValueError(f"{rows} rows, where {header['rows']} were written")
    return header


def _count_rows(arrays: Columns) -> int:
    lengths = {len(values) for values in arrays.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise InputError(f"the columns of a table have one length, not {sorted(lengths)}")
    for name, values in arrays.items():
        if values.ndim > 3 or 0 in values.shape or values.dtype.kind not in "biuf":
            raise InputError(f"column {name!r} of {values.dtype} {values.shape} cannot be written")
    return lengths.pop()


# Arrow's own conversions from and to numpy import pandas where it is installed,
# a third of a second that its plain buffers save.


def _to_arrow(values: npt.NDArray[Any]) -> Any:
    import pyarrow as pa

    plain = values.view(np.uint8) if values.dtype.kind == "b" else values
    kind = pa.from_numpy_dtype(plain.dtype)
    array = pa.Array.from_buffers(kind, plain.size, [None, pa.py_buffer(plain)])
    for size in reversed(values.shape[1:]):
        array = pa.FixedSizeListArray.from_arrays(array, size)
    return array


def _from_arrow(column: Any, spec: dict[str, Any]) -> npt.NDArray[Any]:
    array = column.combine_chunks()
    for _ in spec["shape"][1:]:
        array = array.flatten()
    dtype = np.dtype(spec["dtype"])
    start = array.offset * dtype.itemsize
    flat = np.frombuffer(array.buffers()[1], dtype, count=len(array), offset=start)
    values = flat.reshape(spec["shape"]).copy()
    if _checksum(values) != spec["checksum"]:
        raise ValueError("a checksum does not match")
    return values


def _checksum(values: npt.NDArray[Any]) -> str:
    digest = hashlib.blake2b(f"{values.dtype.str} {values.shape} ".encode(), digest_size=16)
    digest.update(values.data)
    return digest.hexdigest()


def _version() -> str:
    try:
        return importlib.metadata.version("weaknas")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
