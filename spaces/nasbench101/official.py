"""Reading the official files ``nasbench_only108.tfrecord`` and ``nasbench_full.tfrecord``.

A record is JSON ``[hash, epochs, adjacency, operations, metrics]``: one training of
one cell. ``adjacency`` is the matrix row by row as digits, ``operations`` names joined
by commas, ``metrics`` a base64 protocol buffer with the network's parameters and, as
`evaluation_data`, what was measured at the start, halfway and at the end of training
(``model_metrics.proto`` of google-research/nasbench).
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError
from weaknas.files import parse_json
from weaknas.spaces.files.tables import Columns
from weaknas.spaces.nasbench101 import cells
from weaknas.spaces.nasbench101.hashing import cell_hashes
from weaknas.spaces.nasbench101.tfrecord import Block
from weaknas.spaces.rows import Genotypes

#: Columns of `Training` by number of the field of EvaluationData, in percent or seconds.
_FIELDS = {2: "train_seconds", 3: "train_accuracy", 4: "valid_accuracy", 5: "test_accuracy"}
MEASURES = tuple(_FIELDS.values())
_MOST_EPOCHS = 1_000_000
_EVALUATION_DATA, _TRAINABLE_PARAMETERS = 1, 2
_VARINT, _DOUBLE, _BYTES, _FLOAT = 0, 1, 2, 5  # wire types of protocol buffers


class _Cell(NamedTuple):
    code: int
    digest: bytes


class OfficialReader:
    """Turns blocks of records into columns; knows the cells it has met.

    Parameters
    ----------
    path : Path
        For messages.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._cells: dict[tuple[str, str], _Cell] = {}

    def read(self, block: Block) -> Columns:
        """Return one row a record.

        Returns
        -------
        dict of str to ndarray
            ``code`` (n,) canonical code of the cell, ``hash`` (n, 2) its official MD5
            as two numbers, ``epochs`` and ``parameters`` (n,), and (n,) of each of
            `MEASURES` at the end of training, accuracies in percent.

        Raises
        ------
        InputError
            When a record has another layout, or its hash is not that of its cell.
        """
        rows = []
        for record, offset in zip(block.records, block.offsets, strict=True):
            try:
                rows.append(_read_record(record))
            except (LookupError, TypeError, ValueError, struct.error) as error:
                raise InputError(
                    f"{self.path}: the record at byte {offset} is not one of NAS-Bench-101"
                    f" ({error!r})"
                ) from error
        self._learn({row.cell: i for i, row in reversed(list(enumerate(rows)))}, block)
        known = [self._cells[row.cell] for row in rows]
        for row, cell, offset in zip(rows, known, block.offsets, strict=True):
            if row.digest != cell.digest:
                raise InputError(
                    f"{self.path}: the record at byte {offset} has the hash {row.digest.hex()},"
                    f" its cell {cell.digest.hex()}"
                )
        columns: Columns = {
            "code": np.array([cell.code for cell in known], dtype=np.int64),
            "hash": hash_numbers(cell.digest for cell in known),
            "epochs": np.array([row.epochs for row in rows], dtype=np.int32),
            "parameters": np.array([row.parameters for row in rows], dtype=np.int32),
        }
        measures = np.array([row.measures for row in rows], dtype=np.float32)
        return columns | dict(zip(MEASURES, measures.T, strict=True))

    def _learn(self, found: dict[tuple[str, str], int], block: Block) -> None:
        """Decode the cells that were not met before, all of one size at a time."""
        new = [cell for cell in found if cell not in self._cells]
        for length in {len(adjacency) for adjacency, _ in new}:
            group = [cell for cell in new if len(cell[0]) == length]
            try:
                rows = cells_from_text(group)
            except ValueError as error:
                where = block.offsets[found[group[0]]]
                raise InputError(
                    f"{self.path}: at or after byte {where}: cells of another layout ({error})"
                ) from error
            codes = cells.canonical_codes(cells.prune(rows)).tolist()
            hashes = cell_hashes(cells.prune(rows))
            for cell, code, text in zip(group, codes, hashes, strict=True):
                self._cells[cell] = _Cell(code, bytes.fromhex(text))


def hash_numbers(digests: Iterable[bytes]) -> npt.NDArray[np.uint64]:
    """Return MD5 digests as two numbers each, shape (n, 2), the first half first."""
    return np.frombuffer(b"".join(digests), dtype=">u8").reshape(-1, 2).astype(np.uint64)


class _Record(NamedTuple):
    cell: tuple[str, str]
    digest: bytes
    epochs: int
    parameters: int
    measures: tuple[float, ...]


def _read_record(record: bytes) -> _Record:
    digest, epochs, adjacency, operations, metrics = parse_json(record)
    if not isinstance(epochs, int) or not 0 < epochs < _MOST_EPOCHS:
        raise ValueError(f"a training of {epochs!r} epochs")
    parameters, measures = read_metrics(base64.b64decode(metrics))
    return _Record((adjacency, operations), bytes.fromhex(digest), epochs, parameters, measures)


def cells_from_text(texts: list[tuple[str, str]]) -> Genotypes:
    """Decode cells of one size.

    Parameters
    ----------
    texts : list of (str, str)
        Adjacency as digits, row by row, and the operations of all vertices, joined by commas.

    Returns
    -------
    ndarray of int16, shape (n, 26)

    Raises
    ------
    ValueError
        When one of them is no such cell.
    """
    digits = np.frombuffer("".join(adjacency for adjacency, _ in texts).encode(), dtype=np.uint8)
    size = round(len(texts[0][0]) ** 0.5)
    matrices = digits.reshape(len(texts), size, size) - ord("0")
    names = [operations.split(",") for _, operations in texts]
    if any((first, last) != ("input", "output") for first, *_, last in names):
        raise ValueError("operations that do not go from input to output")
    inner = np.array([[cells.OPERATIONS.index(op) for op in row[1:-1]] for row in names])
    return cells_from_arrays(matrices, inner.reshape(len(texts), size - 2))


def cells_from_arrays(
    matrices: npt.NDArray[np.integer], operations: npt.NDArray[np.integer]
) -> Genotypes:
    """Return cells of one size as rows.

    Parameters
    ----------
    matrices : ndarray of int, shape (n, v, v)
        Upper triangular, 0 and 1.
    operations : ndarray of int, shape (n, v - 2)
        Index into `cells.OPERATIONS` of the inner vertices.

    Returns
    -------
    ndarray of int16, shape (n, 26)

    Raises
    ------
    ValueError
        When a matrix is not such a one.
    """
    size = matrices.shape[1]
    if not 2 <= size <= cells.VERTICES or (matrices > 1).any() or np.tril(matrices).any():
        raise ValueError(f"no upper triangular matrices of 0 and 1 of up to {cells.VERTICES}")
    rows = np.zeros((len(matrices), len(cells.EDGES) + len(cells.INNER)), dtype=np.int16)
    place = [*range(size - 1), cells.OUTPUT]
    for source in range(size):
        for target in range(source + 1, size):
            rows[:, cells.COLUMN[place[source], place[target]]] = matrices[:, source, target]
    rows[:, len(cells.EDGES) : len(cells.EDGES) + size - 2] = operations
    return rows


# -- protocol buffers ---------------------------------------------------------------------


def read_metrics(message: bytes) -> tuple[int, tuple[float, ...]]:
    """Return parameters and, in the order of `MEASURES`, what the last evaluation measured.

    Raises
    ------
    LookupError, ValueError, struct.error
        When the message lacks something or is cut short.
    """
    parameters: int | None = None
    last: bytes | None = None
    for number, value in _fields(message):
        if number == _EVALUATION_DATA:
            last = value
        elif number == _TRAINABLE_PARAMETERS:
            parameters = value
    if parameters is None or last is None:
        raise ValueError("metrics without parameters or evaluations")
    values = dict(_fields(last))
    scale = (1.0, 100.0, 100.0, 100.0)
    return parameters, tuple(
        factor * values[number] for number, factor in zip(_FIELDS, scale, strict=True)
    )


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yield number and value of each field of a message."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        kind = tag & 7
        value: Any
        if kind == _DOUBLE:
            (value,) = struct.unpack_from("<d", message, position)
            position += 8
        elif kind == _BYTES:
            length, position = _varint(message, position)
            value = message[position : position + length]
            position += length
            if position > len(message):
                raise ValueError("metrics that are cut short")
        elif kind == _VARINT:
            value, position = _varint(message, position)
        elif kind == _FLOAT:
            (value,) = struct.unpack_from("<f", message, position)
            position += 4
        else:
            raise ValueError(f"metrics with the wire type {kind}")
        yield tag >> 3, value


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        octet = message[position]
        position += 1
        value |= (octet & 0x7F) << shift
        if octet < 0x80:
            return value, position
        shift += 7
