"""Measured architectures of the DARTS space."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from weaknas.errors import InputError
from weaknas.files import read_csv
from weaknas.spaces.darts.genotype import CELLS
from weaknas.spaces.darts.space import DARTS
from weaknas.spaces.files.tables import Columns

_ACCURACIES = {"test_acc_best": "best_test_accuracy", "test_acc_epoch600": "test_accuracy"}


def read_random_sample(path: Path) -> Columns:
    """Read the 214 random architectures of Yang et al. (ICLR 2020, arXiv:1912.12522).

    Each line of the CSV has both cells as ``operation~input,operation~input|...``,
    one node between bars, and CIFAR-10 test accuracies of one full training.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict of str to ndarray
        ``genotype`` (n, 32); ``test_accuracy`` (n,) after the last of 600 epochs and
        ``best_test_accuracy`` (n,), that of the best epoch, in percent.

    Raises
    ------
    InputError
        When the file is of another form; the message has the line.
    """
    space = DARTS()
    rows = []
    accuracies: list[list[float]] = []
    columns = read_csv(path)
    missing = [name for name in (*CELLS, *_ACCURACIES) if name not in columns]
    if missing:
        raise InputError(f"{path}: lacks the columns {', '.join(missing)}")
    lines = zip(*(columns[name] for name in (*CELLS, *_ACCURACIES)), strict=True)
    for number, line in enumerate(lines, start=2):
        try:
            rows.append(space.from_cells([_cell(text) for text in line[: len(CELLS)]]))
            accuracies.append([float(text) for text in line[len(CELLS) :]])
        except ValueError as error:
            where = f"{path}, line {number}"
            raise InputError(f"{where}: not a measured genotype ({error})") from error
    if not rows:
        raise InputError(f"{path}: no line has a genotype")
    values = np.array(accuracies)
    named = {name: values[:, column] for column, name in enumerate(_ACCURACIES.values())}
    return {"genotype": np.stack(rows), **named}


def _cell(text: str) -> list[tuple[str, int]]:
    pairs = [pair.partition("~") for pair in text.replace("|", ",").split(",")]
    return [(operation, int(source)) for operation, _, source in pairs]
