"""Reading a user's table: which architectures it has, and columns of numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from weaknas.errors import InputError
from weaknas.evaluators._columns import NotNumbersError, Values, cells, numbers
from weaknas.spaces import Genotypes, SearchSpace


@runtime_checkable
class _ArrowTable(Protocol):
    column_names: list[str]

    def column(self, number: int) -> Any:
        """Return a column."""


@runtime_checkable
class _Frame(Protocol):
    """A data frame of pandas or polars."""

    columns: Any

    def __getitem__(self, name: Any) -> Any:
        """Return a column."""


def read_table(
    space: SearchSpace, table: Any, needed: Collection[str | None] = ()
) -> tuple[Genotypes, dict[str, Values]]:
    """Return the genotypes, shape (n, d), and the columns, each (n, repeats), of a table.

    Columns of something else than numbers are left out.

    Parameters
    ----------
    space : SearchSpace
    table : mapping or DataFrame-like
        See `TabularBenchmark`.
    needed : collection of str
        Columns that must be numbers, at all fidelities.

    Raises
    ------
    InputError
        When there is no column to tell the architectures by, a value is not of
        the space, or a column that is needed is no array of numbers of the right length.
    """
    columns = _columns(space, table)
    genotypes = _take_genotypes(space, columns)
    for name in space.variables:  # where another column tells the architectures
        if name not in needed:
            columns.pop(name, None)
    if len(genotypes) == 0:
        raise InputError("the table has no rows")
    values: dict[str, Values] = {}
    for name, column in columns.items():
        try:
            values[name] = numbers(name, column)
        except NotNumbersError:
            if name in needed or name.partition("@")[0] in needed:
                raise
    for name, column in values.items():
        if len(column) != len(genotypes):
            raise InputError(
                f"the column {name!r} has {len(column)} rows where the table has {len(genotypes)}"
            )
    return genotypes, values


def _columns(space: SearchSpace, table: Any) -> dict[str, Any]:
    if isinstance(table, _ArrowTable):
        names = list(table.column_names)
        _refuse_twice(names)
        return {name: table.column(number) for number, name in enumerate(names)}
    if isinstance(table, _Frame) and not isinstance(table, Mapping):
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
    _refuse_twice(texts)
    return {text: table[name] for text, name in zip(texts, names, strict=True)}


def _refuse_twice(names: Sequence[str]) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise InputError(f"the table has {count} columns named {name!r}")


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
    named = {"architecture", "genotype"} - set(space.variables)  # a choice may be called so
    if "genotype" in columns and "genotype" in named:
        if "architecture" in named:
            columns.pop("architecture", None)
        return space.genotypes(_rows(columns.pop("genotype")))
    if "architecture" in columns and "architecture" in named:
        return space.genotypes([str(text) for text in cells(columns.pop("architecture"))])
    missing = [name for name in space.variables if name not in columns]
    if missing:
        raise InputError(
            "a table tells its architectures by a column 'architecture', a column 'genotype' or"
            f" one column a choice; it lacks {', '.join(missing)}"
        )
    chosen = [cells(columns.pop(name)) for name in space.variables]
    lengths = {name: len(values) for name, values in zip(space.variables, chosen, strict=True)}
    if len(set(lengths.values())) > 1:
        raise InputError(f"the columns of the choices have different lengths: {lengths}")
    rows = list(zip(*chosen, strict=True))
    if hasattr(space, "encode"):
        return space.genotypes([space.encode(_by_name(space, row)) for row in rows])
    return space.genotypes(rows)


def _rows(column: Any) -> Any:
    """Return genotypes as an array where they have one length; others are refused one by one."""
    rows = column if isinstance(column, np.ndarray) else cells(column)
    try:
        return np.asarray(rows)
    except ValueError:
        return rows
