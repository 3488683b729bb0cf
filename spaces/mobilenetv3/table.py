"""Subnets of once-for-all whose ImageNet accuracy was measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from weaknas.errors import InputError
from weaknas.files import data_folders, read_csv
from weaknas.spaces.files.tables import Columns
from weaknas.spaces.mobilenetv3.space import MobileNetV3

_FILE = Path("mobilenet") / "ofa_mbv3_w1.0_r224_dynas.csv"
_COLUMNS = ("ks", "e", "d", "r", "top1_mean", "macs", "params")


def locate_table(path: str | Path | None = None) -> Path:
    """Return the path that is given, else that of the table in a data folder.

    Raises
    ------
    InputError
        When there is no such file.
    """
    folders = data_folders()
    for candidate in [Path(str(path))] if path is not None else [f / _FILE for f in folders]:
        if candidate.is_file():
            return candidate
    places = path or ", ".join(str(folder / _FILE) for folder in folders)
    raise InputError(
        f"no table of measured subnets at {places}; it is a CSV with the columns"
        f" {', '.join(_COLUMNS)}, from the results of github.com/IntelLabs/DyNAS-T; without,"
        " name an evaluator, e.g. 'ofa-predictor'"
    )


def read_table(space: MobileNetV3, path: Path) -> Columns:
    """Read measured subnets.

    Parameters
    ----------
    space : MobileNetV3
        Of the width and resolution that were measured.
    path : Path
        A CSV with the columns ``ks``, ``e`` (a digit for each of 20 layers, 0 where
        there is none), ``d``, ``r``, ``top1_mean`` (percent), ``macs`` and ``params``.

    Returns
    -------
    dict of str to ndarray
        ``genotype`` (n, d), ``top1``, ``macs`` and ``params`` (n,).

    Raises
    ------
    InputError
        When the file is of another form, or its costs are not those of the space,
        as with another width; the message has the line.
    """
    rows, values = [], []
    columns = read_csv(path)
    missing = [name for name in _COLUMNS if name not in columns]
    if missing:
        raise InputError(f"{path}: lacks the columns {', '.join(missing)}")
    for number, line in enumerate(zip(*(columns[name] for name in _COLUMNS), strict=True), start=2):
        try:
            rows.append(space.parse(",".join(line[:4])))
            values.append([float(text) for text in line[4:]])
        except ValueError as error:
            raise InputError(f"{path}, line {number}: not a measured subnet ({error})") from error
    if not rows:
        raise InputError(f"{path}: no line has a subnet")
    genotypes = np.stack(rows)
    top1, macs, params = np.array(values).T
    for name, stated, counted in (
        ("macs", macs, space.macs(genotypes)),
        ("params", params, space.parameters(genotypes)),
    ):
        wrong = np.flatnonzero(stated != counted)
        if len(wrong):
            raise InputError(
                f"{path}: row {wrong[0] + 1} has {stated[wrong[0]]:.0f} {name}, where the net of"
                f" width {space.width:g} has {counted[wrong[0]]}"
            )
    return {"genotype": genotypes, "top1": top1, "macs": macs, "params": params}
