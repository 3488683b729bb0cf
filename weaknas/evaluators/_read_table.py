"""Reading a user's table: which architectures it has, and columns of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        return _named_columns(table, list(table.columns))
    if not isinstance(table, Mapping):
        raise InputError(f"a table is a mapping or has columns; {type(table).__name__} is neither")
    if not table:
        raise InputError("the table is empty")
    identifying = {"architecture", "genotype", *space.variables}
    if identifying & {key for key in table if isinstance(key, str)}:
        return _named_columns(table, list(table))
    return _columns_of_rows(space, table)


def _named_columns(table: Any, names: list[Any]) -> dict[str, Any]:
    texts = [str(name) for name in names]
    for text in texts:
        if texts.count(text) > 1:
            raise InputError(f"the table has {texts.count(text)} columns named {text!r}")
    return {text: table[name] for text, name in zip(texts, names, strict=True)}


def _columns_of_rows(space: SearchSpace, rows: Mapping[Any, Any]) -> dict[str, Any]:
    """Turn a mapping from architecture to values into columns."""
    keys = _row_keys(space, list(rows))
    records = [value if isinstance(value, Mapping) else {"score": value} for value in rows.values()]
    names = list(records[0]) if records else []
    for key, record in zip(rows, records, strict=True):
        if list(record) != names:
            raise InputError(f"the row of {key!r} has the columns {list(record)}, not {names}")
    return {"genotype": space.genotypes(keys)} | {
        name: [record[name] for record in records] for name in names
    }


def _row_keys(space: SearchSpace, keys: list[Any]) -> list[Any]:
    """Read tuples of values of the choices, which are as good keys as genotypes.

    Values may be integers too. Keys that could be either are taken for values
    where both readings name the same architectures and refused otherwise.
    """
    if not hasattr(space, "encode") or not all(isinstance(key, tuple) for key in keys):
        return keys
    try:
        by_value: list[Any] = [space.encode(_by_name(space, key)) for key in keys]
    except InputError:
        if all(isinstance(value, int | np.integer) for key in keys for value in key):
            return keys  # genotypes
        raise
    try:
        by_index = space.genotypes(keys)
    except InputError:
        return by_value
    if not np.array_equal(by_index, np.array(by_value)):
        raise InputError(
            f"the row of {keys[0]!r} could be of a genotype or of the values of the choices;"
            " name the architectures by a column a choice"
        )
    return by_value


def _by_name(space: SearchSpace, values: Sequence[Any]) -> dict[str, Any]:
    if len(values) != space.n_variables:
        raise InputError(
            f"{values!r} has {len(values)} values where {space.n_variables} are chosen"
        )
    return dict(zip(space.variables, values, strict=True))


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
    lengths = {name: len(values) for name, values in zip(space.variables, chosen, strict=True)}
    if len(set(lengths.values())) > 1:
        raise InputError(f"the columns of the choices have different lengths: {lengths}")
    rows = list(zip(*chosen, strict=True))
    if hasattr(space, "encode"):
        return space.genotypes([space.encode(_by_name(space, row)) for row in rows])
    return space.genotypes(rows)


def _numbers(name: str, column: Any) -> npt.NDArray[np.float64]:
    try:
        values = np.asarray(column if hasattr(column, "dtype") else list(column), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"the column {name!r} is not numeric: {error}") from error
    if values.ndim not in (1, 2):
        raise InputError(f"the column {name!r} has {values.ndim} dimensions; 1 or 2 are read")
    return values.reshape(len(values), -1)
