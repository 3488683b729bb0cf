"""Reading a user's table from a file, CSV or Parquet, and finding the scores in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from weaknas.errors import InputError, listed, unknown
from weaknas.evaluators._read_table import read_table
from weaknas.files import check_regular, read_csv
from weaknas.spaces import SearchSpace
from weaknas.spaces.files.packed import check_parquet, reporting


def read_table_file(path: Path) -> Mapping[str, Any]:
    """Return the columns of a file, as `weaknas.evaluators.TabularBenchmark` takes them.

    Parameters
    ----------
    path : Path
        ``.csv`` or ``.tsv``, with the names in the first line and cells separated by
        commas, semicolons, tabs or ``|``; or ``.parquet``.

    Raises
    ------
    InputError
        When the file is missing, of another type, damaged, too large or empty.
    """
    readers: dict[str, Callable[[Path], dict[str, Any]]] = {
        ".csv": read_csv,
        ".tsv": read_csv,
        ".parquet": _read_parquet,
    }
    suffix = path.suffix.lower()
    if suffix not in readers:
        raise unknown("type of table file", path.suffix, readers)
    columns = readers[suffix](path)
    if not columns or len(next(iter(columns.values()))) == 0:
        raise InputError(f"{path}: the table has no rows")
    return columns


def find_objective(space: SearchSpace, table: Any) -> str:
    """Return the column of scores where nobody named one: ``score``, or the only one of numbers.

    Parameters
    ----------
    space : SearchSpace
    table : mapping, data frame or pyarrow.Table
        As `weaknas.evaluators.TabularBenchmark` takes it.

    Raises
    ------
    InputError
        When there are several; the message has their names.
    """
    if isinstance(table, Mapping) and "score" in table:
        return "score"
    columns = [name for name in read_table(space, table)[1] if "@" not in name]
    if "score" in columns or not columns:
        return "score"
    if len(columns) > 1:
        raise InputError(
            f"it has {len(columns)} columns of numbers; say by objective= which one scores are:"
            f" {listed(columns)}"
        )
    return columns[0]


def _read_parquet(path: Path) -> dict[str, Any]:
    import pyarrow.parquet as pq

    check_regular(path)
    with reporting(str(path)), pq.ParquetFile(path) as file:
        check_parquet(file, path)
        table = file.read()
    twice = [name for name, count in Counter(table.column_names).items() if count > 1]
    if twice:
        raise InputError(f"{path}: a column name is there twice: {listed(twice)}")
    return dict(zip(table.column_names, table.columns, strict=True))
