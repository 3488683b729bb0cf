"""Tables of measurements as people keep them, and models as files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.costs.model import CostModel
from weaknas.costs.process import Floats
from weaknas.costs.sources import Sources, check_measurements
from weaknas.errors import InputError, listed, unknown
from weaknas.files import read_csv, read_json, write_atomically
from weaknas.spaces import Genotypes, SearchSpace
from weaknas.spaces.limits.units import convert

FORMAT = "weaknas cost model 1"
_ARCHITECTURE, _UNIT = "architecture", "unit"
_GAP = 20.0  # between neighbours in order: a mix of units that differ by 1,000


# -- tables of measurements -----------------------------------------------------------------


def write_measurements(
    path: Path,
    space: SearchSpace,
    genotypes: npt.NDArray[np.integer],
    name: str,
    values: npt.NDArray[np.floating] | None = None,
    unit: str | None = None,
) -> None:
    """Write architectures, shape (n, d), with a column of measurements, or one to fill in.

    Parameters
    ----------
    path : Path
    space : SearchSpace
    genotypes : ndarray of int, shape (n, d)
    name : str
        Of the column.
    values : ndarray, shape (n,), optional
    unit : str, optional
        Of the values, for a column that says so: without one a reader has to guess whether
        units are mixed.
    """
    texts = [space.format(row) for row in genotypes]
    cells = [""] * len(texts) if values is None else [f"{value:.6g}" for value in values]
    columns = {_ARCHITECTURE: texts, name: cells}
    if unit is not None:
        columns[_UNIT] = [unit] * len(texts)
    content = io.StringIO(newline="")
    csv.writer(content, lineterminator="\n").writerows(
        [tuple(columns), *zip(*columns.values(), strict=True)]
    )
    write_atomically(path, lambda place: place.write_text(content.getvalue(), encoding="utf-8"))


def read_measurements(
    path: Path, space: SearchSpace, name: str, unit: str, least: int = 3
) -> tuple[Genotypes, Floats]:
    """Read what was measured of architectures.

    A CSV file with the columns ``architecture`` and that of the name; where there is a column
    ``unit``, values are converted from what it says.

    Parameters
    ----------
    path : Path
    space : SearchSpace
    name : str
        Of the column of measurements.
    unit : str
        That values are returned in.
    least : int
        How many measurements there must be.

    Returns
    -------
    genotypes : ndarray of int, shape (n, d)
    values : ndarray, shape (n,)

    Raises
    ------
    InputError
        When the file cannot be read, an architecture is not of the space, a measurement is
        missing or not positive, there are too few, or units seem to be mixed.
    """
    columns = read_csv(path)
    if name not in columns:
        measured = [column for column in columns if column not in (_ARCHITECTURE, _UNIT)]
        raise unknown(f"column of {path}", name, measured)
    genotypes = _architectures(path, columns, space)
    values = _numbers(path, name, columns[name])
    missing = np.flatnonzero(np.isnan(values))
    if len(missing):
        raise InputError(f"{path}: row {missing[0] + 2} has no {name}")
    check_measurements(f"{path}: {name}", values, least)
    if _UNIT in columns:
        pairs = zip(values, columns[_UNIT], strict=True)
        return genotypes, np.array([convert(value, own, unit) for value, own in pairs])
    _refuse_mixed_units(path, values, unit)
    return genotypes, values


def read_sources(path: Path, space: SearchSpace, names: Sequence[str] = ()) -> Sources:
    """Read a table of several devices: a column each, beside ``architecture``, or a cost model.

    Parameters
    ----------
    path : Path
        CSV, where a cell may be empty, or the file of a model, which becomes a device
        that is called as the file is.
    space : SearchSpace
    names : sequence of str
        The devices to take; default: all.

    Raises
    ------
    InputError
        When it cannot be read, is of another space, or has no such device.
    """
    if path.suffix == ".json":
        model = read_model(path, space)
        sources = Sources(space, model.genotypes, {path.stem: model.values})
    else:
        columns = read_csv(path)
        genotypes = _architectures(path, columns, space)
        devices = [column for column in columns if column not in (_ARCHITECTURE, _UNIT)]
        values = {name: _numbers(path, name, columns[name]) for name in devices}
        sources = Sources(space, genotypes, values)
    return sources.select(names) if names else sources


def join_sources(parts: Sequence[Sources]) -> Sources:
    """Return the devices of several tables as one.

    Raises
    ------
    InputError
        When a name is in two of them.
    """
    names = [name for part in parts for name in part.names]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"a source device is there twice: {listed(twice)}")
    counts = [len(part.genotypes) for part in parts]
    starts = np.cumsum(counts) - counts
    columns = {}
    for part, start in zip(parts, starts.tolist(), strict=True):
        for name, values in part.values.items():
            columns[name] = np.full(sum(counts), np.nan)
            columns[name][start : start + len(values)] = values
    return Sources(parts[0].space, np.vstack([part.genotypes for part in parts]), columns)


def _architectures(path: Path, columns: Mapping[str, list[str]], space: SearchSpace) -> Genotypes:
    if _ARCHITECTURE not in columns:
        raise unknown(f"column of {path}", _ARCHITECTURE, columns)
    rows = []
    for number, text in enumerate(columns[_ARCHITECTURE], start=2):
        try:
            rows.append(space.genotypes([text])[0])
        except InputError as error:
            raise InputError(f"{path}: row {number}: {error}") from error
    return np.array(rows, dtype=space.genotype_dtype).reshape(len(rows), space.n_variables)


def _numbers(path: Path, name: str, cells: Sequence[str]) -> Floats:
    """Return a column, empty cells as NaN."""
    numbers = np.full(len(cells), np.nan)
    for place, cell in enumerate(cells):
        if cell:
            try:
                numbers[place] = float(cell)
            except ValueError as error:
                raise InputError(
                    f"{path}: row {place + 2}: {name} must be a number, not {cell!r}"
                ) from error
    return numbers


def _refuse_mixed_units(path: Path, values: Floats, unit: str) -> None:
    if len(values) < 2:
        return
    order = np.argsort(values, kind="stable")
    gaps = values[order[1:]] / values[order[:-1]]
    widest = int(np.argmax(gaps))
    if gaps[widest] > _GAP:
        low, high = order[widest], order[widest + 1]
        raise InputError(
            f"{path}: nothing is between {values[low]:g} (row {low + 2}) and {values[high]:g}"
            f" (row {high + 2}), a factor of {gaps[widest]:.3g}: units that differ by 1,000 seem to"
            f" be mixed: give all in {unit}, or the unit of each in a column {_UNIT!r}"
        )


# -- models -----------------------------------------------------------------------------------


def write_model(path: Path, model: CostModel) -> None:
    """Write a model with its measurements and sources as JSON."""
    content = {
        "format": FORMAT,
        "name": model.name,
        "unit": model.unit,
        "setting": model.setting,
        "space": model.space.describe(),
        "measurements": {
            "genotypes": model.genotypes.tolist(),
            "values": model.values.tolist(),
        },
        "sources": None
        if model.sources is None
        else {
            "genotypes": model.sources.genotypes.tolist(),
            "values": {
                name: [None if np.isnan(value) else float(f"{value:.5g}") for value in values]
                for name, values in model.sources.values.items()
            },
        },
    }
    text = json.dumps(content)
    write_atomically(path, lambda place: place.write_text(text, encoding="utf-8"))


def read_model(path: Path, space: SearchSpace) -> CostModel:
    """Read a model of costs in a space.

    Raises
    ------
    InputError
        When the file is missing, damaged, no such model, or of another space.
    """
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path}: no model of costs as weaknas latency writes it")
    if content.get("space") != json.loads(json.dumps(space.describe())):
        raise InputError(
            f"{path}: a model of the space {json.dumps(content.get('space'))},"
            f" not of {json.dumps(space.describe())}"
        )
    try:
        sources = None
        if content["sources"] is not None:
            columns = content["sources"]["values"]
            values = {name: np.array(column, dtype=float) for name, column in columns.items()}
            sources = Sources(space, _rows(space, content["sources"]), values)
        names = {key: str(content[key]) for key in ("name", "unit")}
        model = CostModel(space, sources, setting=dict(content["setting"]), **names)
        measured = content["measurements"]
        return model.fit(_rows(space, measured), np.array(measured["values"], dtype=float))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, InputError):
            raise InputError(f"{path}: {error}") from error
        raise InputError(f"{path}: a damaged model of costs ({error!r})") from error


def _rows(space: SearchSpace, content: Mapping[str, Any]) -> Genotypes:
    return space.genotypes(np.array(content["genotypes"], dtype=np.int64))
