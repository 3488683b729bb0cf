"""Reading TFRecord files without TensorFlow.

A record is its length (8 bytes, little endian), a checksum of these 8 bytes, the
data, and a checksum of the data. Checksums are masked CRC-32C (Castagnoli).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError

#: Called with the bytes that are done and the bytes there are.
Progress: TypeAlias = Callable[[int, int], None]

BLOCK = 4 << 20  # bytes read and checked at a time
_HEADER, _FOOTER = 12, 4
_LONGEST = 1 << 20  # bytes of a record; a longer one is a damaged length
_POLYNOMIAL = np.uint32(0x82F63B78)  # Castagnoli, bits reversed (RFC 3720, B.4)
_MASK = np.uint32(0xA282EAD8)


class Block(NamedTuple):
    """Whole records, checked.

    Parameters
    ----------
    records : list of bytes
    offsets : list of int
        Where in the file each record begins.
    end : int
        Where the next block begins.
    """

    records: list[bytes]
    offsets: list[int]
    end: int


def read_blocks(path: Path, offset: int = 0, progress: Progress | None = None) -> Iterator[Block]:
    """Read the records of a file from an offset on, about 4 MB at a time.

    Parameters
    ----------
    path : Path
    offset : int
        Where a record begins: 0 or the end of a block.
    progress : callable, optional
        Called before each block is read and at the end.

    Yields
    ------
    Block

    Raises
    ------
    InputError
        When a checksum does not match or the last record is cut short; the message
        has the offset. Records before it have been yielded.
    """
    size = path.stat().st_size
    report = progress or (lambda _done, _total: None)
    with path.open("rb") as file:
        file.seek(offset)
        rest = b""
        while True:
            report(offset, size)
            data = rest + file.read(BLOCK)
            if len(data) == len(rest):
                break
            starts, lengths, broken = _frames(data)
            whole = _count_whole(data, starts, lengths)
            ends = starts[:whole] + lengths[:whole]
            used = int(ends[-1]) + _FOOTER if whole else 0
            if whole:
                records = [data[s:e] for s, e in zip(starts, ends, strict=False)]
                yield Block(records, (starts[:whole] - _HEADER + offset).tolist(), offset + used)
            offset, rest = offset + used, data[used:]
            if broken or whole < len(starts):
                raise InputError(
                    f"{path}: not a TFRecord file, or damaged: the record at byte {offset} does"
                    " not match its checksum; download the file again"
                )
    if rest:
        raise InputError(
            f"{path}: the record at byte {offset} is cut short; download the file again"
        )


def _frames(data: bytes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], bool]:
    """Start and length of the data of each complete record; whether a length is no length."""
    starts, lengths = [], []
    position, broken = 0, False
    while position + _HEADER <= len(data):
        (length,) = struct.unpack_from("<Q", data, position)
        if length > _LONGEST:
            broken = True
            break
        following = position + _HEADER + length + _FOOTER
        if following > len(data):
            break
        starts.append(position + _HEADER)
        lengths.append(length)
        position = following
    return np.array(starts, dtype=np.int64), np.array(lengths, dtype=np.int64), broken


def _count_whole(data: bytes, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> int:
    """Count the records before the first whose checksums do not match."""
    content = np.frombuffer(data, dtype=np.uint8)
    eight = np.full(len(starts), 8)
    matches = masked_crc32c(content, starts - _HEADER, eight) == _words(content, starts - 4)
    matches &= masked_crc32c(content, starts, lengths) == _words(content, starts + lengths)
    return int(np.argmin(matches)) if not matches.all() else len(matches)


def _words(
    content: npt.NDArray[np.uint8], positions: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint32]:
    octets = content[positions[:, None] + np.arange(4)]
    return np.ascontiguousarray(octets).view("<u4")[:, 0].astype(np.uint32)


def masked_crc32c(
    content: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
) -> npt.NDArray[np.uint32]:
    """Return the masked checksum of many stretches of bytes, all of them in step.

    Parameters
    ----------
    content : ndarray of uint8, shape (m,)
    starts, lengths : ndarray of int, shape (n,)

    Returns
    -------
    ndarray of uint32, shape (n,)
    """
    order = np.argsort(-lengths, kind="stable")
    starts, lengths = starts[order], lengths[order]
    crc = np.full(len(starts), 0xFFFFFFFF, dtype=np.uint32)
    longest = int(lengths[0]) if len(lengths) else 0
    # How many of the stretches, the longest first, have a byte number 0, 1, ...
    active = np.searchsorted(-lengths, -np.arange(longest), side="left")
    for position, count in enumerate(active):
        head = crc[:count]
        octets = content[starts[:count] + position]
        crc[:count] = _TABLE[(head ^ octets) & np.uint32(0xFF)] ^ (head >> np.uint32(8))
    crc = ~crc
    masked = np.empty_like(crc)
    masked[order] = ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + _MASK
    return masked


def _crc_table() -> npt.NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> np.uint32(1)) ^ (table & np.uint32(1)) * _POLYNOMIAL
    return table


_TABLE = _crc_table()
