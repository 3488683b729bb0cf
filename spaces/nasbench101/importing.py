"""Importing an official file in parts, so that an interrupted import can be continued."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError
from weaknas.spaces.files.tables import Columns, DamagedTableError, read_columns, write_columns
from weaknas.spaces.nasbench101 import cells
from weaknas.spaces.nasbench101.official import MEASURES, OfficialReader
from weaknas.spaces.nasbench101.tfrecord import Progress, read_blocks

FULL_EPOCHS = 108
_PART_RECORDS = 200_000  # some ten seconds of work
_HEAD = 1 << 16  # bytes that tell one file from another, with its size


def parts_folder(path: Path, folder: Path) -> Path:
    """Return the folder in `folder` for what is read of a file, wherever that file stands."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    size = path.stat().st_size
    key = hashlib.blake2b(head + size.to_bytes(8, "little"), digest_size=8).hexdigest()
    return folder / f".import-{key}"


class Records(NamedTuple):
    """What an official file holds.

    Parameters
    ----------
    columns : dict of str to ndarray
        One row a cell, by ascending code; see `weaknas.spaces.nasbench101.table.load_table`.
    epochs : int
        The longest schedule; the columns without a suffix are of it.
    dropped : int
        Cells that were not trained for so long, and are left out.
    """

    columns: Columns
    epochs: int
    dropped: int


def read_official(path: Path, parts: Path, progress: Progress | None = None) -> Records:
    """Read an official file, going on after what an earlier call has left in parts.

    Parameters
    ----------
    path : Path
    parts : Path
        Folder of the parts; remains for the caller to delete, but for damaged files.
    progress : callable, optional
        Called with the bytes that are read and the bytes there are.

    Returns
    -------
    Records

    Raises
    ------
    InputError
        When the file is damaged or of another kind.
    """
    chain = list(_chain(parts))
    for stray in set(parts.glob("*.parquet")) - {part for part, _ in chain}:
        stray.unlink()  # follows a damaged one; the bytes are read again
    _read_parts(path, parts, chain[-1][1] if chain else 0, progress)
    chain = list(_chain(parts))
    if (chain[-1][1] if chain else 0) != path.stat().st_size:
        raise InputError(
            f"{path}: the file or what is read of it in {parts} was changed by somebody else"
            " meanwhile; import it again"
        )
    if not chain:
        raise InputError(f"{path}: holds no record")
    return _assemble(path, [read_columns(part) for part, _ in chain])


def column_suffix(epochs: int, longest: int = FULL_EPOCHS) -> str:
    """Return what the names of the columns of a schedule end in."""
    return "" if epochs == longest else f"@{epochs}"


def _read_parts(path: Path, folder: Path, begin: int, progress: Progress | None) -> None:
    """Read the file from an offset on, and write it in parts named by the bytes they cover."""
    reader = OfficialReader(path)
    waiting: list[Columns] = []
    end = begin

    def flush() -> None:
        columns = {name: np.concatenate([block[name] for block in waiting]) for name in waiting[0]}
        write_columns(folder / f"{begin}-{end}.parquet", columns, path.name)
        waiting.clear()

    try:
        for block in read_blocks(path, begin, progress):
            waiting.append(reader.read(block))
            end = block.end
            if sum(len(columns["code"]) for columns in waiting) >= _PART_RECORDS:
                flush()
                begin = end
    except InputError:
        # Another download may differ anywhere: nothing of this one is kept.
        waiting.clear()
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        if waiting:  # also when interrupted
            flush()


def _chain(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield the whole parts that follow one another from the first byte on, with their ends."""
    position = 0
    while True:
        found = [
            (part, int(part.stem.partition("-")[2]))
            for part in sorted(folder.glob(f"{position}-*.parquet"))
            if _is_whole(part)
        ]
        if not found:
            return
        yield found[0]
        position = found[0][1]


def _is_whole(part: Path) -> bool:
    try:
        read_columns(part)
    except DamagedTableError:
        return False
    return True


def _assemble(path: Path, parts: list[Columns]) -> Records:
    """Turn rows of trainings into rows of cells, trainings in the order of the file."""
    records = {name: np.concatenate([part.pop(name) for part in parts]) for name in list(parts[0])}
    trained = len(np.unique(records["code"]))
    scored = np.isfinite(records["valid_accuracy"])
    if not scored.any():
        raise InputError(f"{path}: no training has a validation accuracy")
    longest = int(records["epochs"][scored].max())
    in_full = records["code"][scored & (records["epochs"] == longest)]
    kept = np.isin(records["code"], in_full) & (records["epochs"] <= longest)
    records = {name: values[kept] for name, values in records.items()}
    codes, first, row = np.unique(records["code"], return_index=True, return_inverse=True)
    columns: Columns = {
        "genotype": cells.unpack(codes),
        "hash": records["hash"][first],
        "parameters": records["parameters"][first],
    }
    for epochs in sorted(set(records["epochs"].tolist()), reverse=True):
        chosen = np.flatnonzero(records["epochs"] == epochs)
        order = chosen[np.argsort(row[chosen], kind="stable")]
        turn = _turns(row[order])
        for measure in MEASURES:
            values = np.full((len(codes), int(turn.max()) + 1), np.nan, dtype=np.float32)
            values[row[order], turn] = records[measure][order]
            columns[measure + column_suffix(epochs, longest)] = values
    return Records(columns, longest, trained - len(codes))


def _turns(rows: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Return 0, 1, 2, ... within each run of equal values of a sorted array."""
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    return np.arange(len(rows)) - np.repeat(starts, np.diff(starts, append=len(rows)))
