"""Reading a user's table: which architectures it has, and columns of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError
from weaknas.spaces import Genotypes, SearchSpace

Values: TypeAlias = npt.NDArray[np.float64]


def read_table(space: SearchSpace, table: Any) -> tuple[Genotypes, dict[str, Values]]:
    """Return the genotypes, shape (n, d), and the columns, each (n, repeats), of a table.

    Parameters
    ----------
    space : SearchSpace
    table : mapping or DataFrame-like
        See `TabularBenchmark`.

    Raises
    ------
    InputError
        When there is no column to tell the architectures by, a value is not of
        the space, or a column is no array of numbers of the right length.
    """
    columns = _columns(space, table)
    if not columns:
        raise InputError("the table is empty")
    genotypes = _take_genotypes(space, columns)
    if len(genotypes) == 0:
        raise InputError("the table has no rows")
    values = {str(name): _numbers(name, column) for name, column in columns.items()}
    for name, column in values.items():
        if len(column) != len(genotypes):
            raise InputError(
                f"the column {name!r} has {len(column)} rows where the table has {len(genotypes)}"
            )
    return genotypes, values


def _columns(space: SearchSpace, table: Any) -> dict[str, Any]:
    if hasattr(table, "columns"):  # pandas, polars
        return {str(name): table[name] for name in table.columns}
    if not isinstance(table, Mapping):
        raise InputError(f"a table is a mapping or has columns; {type(table).__name__} is neither")
    identifying = {"architecture", "genotype", *space.variables}
    if identifying & {key for key in table if isinstance(key, str)}:
        return dict(table)
    return _columns_of_rows(space, table)


def _columns_of_rows(space: SearchSpace, rows: Mapping[Any, Any]) -> dict[str, Any]:
    """Turn a mapping from architecture to values into columns."""
    keys = [_row_key(space, key) for key in rows]
    records = [value if isinstance(value, Mapping) else {"score": value} for value in rows.values()]
    names = list(records[0]) if records else []
    for key, record in zip(rows, records, strict=True):
        if list(record) != names:
            raise InputError(f"the row of {key!r} has the columns {list(record)}, not {names}")
    return {"genotype": space.genotypes(keys)} | {
        name: [record[name] for record in records] for name in names
    }


def _row_key(space: SearchSpace, key: Any) -> Any:
    """A tuple of the values of the choices is as good a key as a genotype."""
    values = isinstance(key, tuple) and not all(isinstance(v, int | np.integer) for v in key)
    if values and hasattr(space, "encode"):
        return space.encode(dict(zip(space.variables, key, strict=True)))
    return key


def _take_genotypes(space: SearchSpace, columns: dict[str, Any]) -> Genotypes:
    """Take the columns that tell the architectures out of the table."""
    if "genotype" in columns:
        columns.pop("architecture", None)
        return space.genotypes(np.asarray(columns.pop("genotype")))
    if "architecture" in columns:
        return space.genotypes([str(text) for text in columns.pop("architecture")])
    missing = [name for name in space.variables if name not in columns]
    if missing:
        raise InputError(
            "a table tells its architectures by a column 'architecture', a column 'genotype' or"
            f" one column a choice; it lacks {', '.join(missing)}"
        )
    chosen = [list(columns.pop(name)) for name in space.variables]
    if hasattr(space, "encode"):
        names = space.variables
        rows = [space.encode(dict(zip(names, row, strict=True))) for row in zip(*chosen, strict=True)]
        return space.genotypes(rows)
    return space.genotypes(np.array(chosen).T)


def _numbers(name: str, column: Any) -> npt.NDArray[np.float64]:
    try:
        values = np.asarray(column if hasattr(column, "dtype") else list(column), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"the column {name!r} is not numeric: {error}") from error
    if values.ndim not in (1, 2):
        raise InputError(f"the column {name!r} has {values.ndim} dimensions; 1 or 2 are read")
    return values.reshape(len(values), -1)
