"""Reading a user's table from a file, CSV or Parquet."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from weaknas.errors import InputError, unknown
from weaknas.spaces.files.packed import check_parquet, reporting

_NAMING = ("architecture", "genotype")


def read_table_file(
    path: Path, choices: Collection[str], needed: Collection[str | None] = ()
) -> dict[str, Any]:
    """Return the columns of a file: those that tell the architectures, and numbers.

    Columns of other texts are left out. Empty cells of numbers are NaN.

    Parameters
    ----------
    path : Path
        ``.csv``, with the names in the first line, or ``.parquet``.
    choices : collection of str
        Names of the choices of the space.
    needed : collection of str
        Columns that are kept whatever is in them.

    Raises
    ------
    InputError
        When the file is missing, of another type, damaged or empty.
    """
    readers: dict[str, Callable[[Path], dict[str, list[Any]]]] = {
        ".csv": _read_csv,
        ".parquet": _read_parquet,
    }
    if path.suffix not in readers:
        raise unknown("type of table file", path.suffix, readers)
    with reporting(str(path)):
        columns = readers[path.suffix](path)
    if not columns or not next(iter(columns.values())):
        raise InputError(f"{path}: the table has no rows")
    naming = [name for name in _NAMING if name in columns] or list(choices)
    kept = {name: columns[name] for name in naming if name in columns}
    for name, values in columns.items():
        if name not in (*_NAMING, *choices):
            numbers = _numbers(values)
            if numbers is not None or name in needed:
                kept[name] = values if numbers is None else numbers
    return kept


def _read_csv(path: Path) -> dict[str, list[Any]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = [line for line in csv.reader(file, strict=True) if line]
    names, rows = (lines[0], lines[1:]) if lines else ([], [])
    for number, row in enumerate(rows, start=2):
        if len(row) != len(names):
            raise InputError(
                f"{path}: row {number} has {len(row)} cells where the first has {len(names)}"
            )
    if len(set(names)) < len(names):
        raise InputError(f"{path}: a column name is there twice: {', '.join(names)}")
    return {name.strip(): [row[i].strip() for row in rows] for i, name in enumerate(names)}


def _read_parquet(path: Path) -> dict[str, list[Any]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        check_parquet(file, path)
        return dict(file.read().to_pydict())


def _numbers(values: list[Any]) -> list[Any] | None:
    """Return the values as numbers, None where they are others."""
    try:
        return [_number(value) for value in values]
    except (TypeError, ValueError):
        return None


def _number(value: Any) -> Any:
    if isinstance(value, list):  # repeated trainings
        return [_number(item) for item in value]
    return math.nan if value is None or value == "" else float(value)
