"""Files that may be packed, and how much they may unpack to."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError
from weaknas.files import check_regular

# Tables, images and weights shrink 2 to 20 times; what claims more is made to fill the memory.
_MOST_TIMES = 100
_ALWAYS = 1 << 22
_LONGEST = 200  # of what errors quote
_UNPACK: dict[bytes, Callable[[IO[bytes]], Any]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}


def most_unpacked(packed: int) -> int:
    """Return how many bytes may come of so many packed ones."""
    return _ALWAYS + _MOST_TIMES * packed


@contextlib.contextmanager
def open_unpacked(path: Path) -> Iterator[io.BufferedReader]:
    """Open a file to read, unpacked where it is packed by gzip, bzip2 or xz.

    Raises
    ------
    InputError
        When it is missing or no file that ends; when it is read, where it unpacks to too
        much, beside the many errors that damage leads to.
    OSError
        When it cannot be opened.
    """
    check_regular(path)
    with path.open("rb") as file:
        yield unpacked(file)


def unpacked(file: io.BufferedReader[Any]) -> io.BufferedReader[Any]:
    """Return a stream of what a file holds, unpacked where it is packed.

    Parameters
    ----------
    file : buffered binary stream
        At its beginning, and with an end.
    """
    head = file.peek(8)
    kind = next((unpack for magic, unpack in _UNPACK.items() if head.startswith(magic)), None)
    if kind is None:
        return file
    # Readers are fast on streams that they can peek into.
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return io.BufferedReader(_Limited(kind(file), size), 1 << 20)


def check_archive(archive: zipfile.ZipFile) -> None:
    """Refuse a zip archive whose members unpack to too much.

    Raises
    ------
    InputError
        When they do.
    """
    stream: Any = archive.fp
    packed = stream.seek(0, os.SEEK_END)
    check_size(sum(member.file_size for member in archive.infolist()), packed)


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays in an ``.npz`` file of numpy by name; none of Python's objects.

    Raises
    ------
    InputError
        When the file is missing or damaged, or unpacks to more than its size lets expect.
    """
    with reporting(str(path)), open_unpacked(path) as file, zipfile.ZipFile(file) as archive:
        check_archive(archive)
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)


def check_parquet(file: Any, path: Path) -> None:
    """Refuse a Parquet file with more numbers than may come of its size.

    Parameters
    ----------
    file : pyarrow.parquet.ParquetFile
    path : Path

    Raises
    ------
    InputError
        When it has more.
    """
    # Not by what its columns say: pyarrow crashes where damage has taken that away.
    width = sum(_numbers_a_row(field.type) for field in file.schema_arrow)
    check_size(8 * width * file.metadata.num_rows, path.stat().st_size)


def _numbers_a_row(kind: Any) -> int:
    if str(kind).startswith("fixed_size_list"):
        return int(kind.list_size) * _numbers_a_row(kind.value_type)
    return 1


def check_size(size: int, packed: int) -> None:
    """Refuse more bytes than may come of so many packed ones.

    Raises
    ------
    InputError
        When there are more.
    """
    if size > most_unpacked(packed):
        raise InputError(
            f"unpacks to more than {most_unpacked(packed):,} bytes, which {packed:,} packed"
            " ones are not expected to hold"
        )


@contextlib.contextmanager
def reporting(name: str) -> Iterator[None]:
    """Turn whatever reading a bad file raises into an error that names it."""
    try:
        yield
    except InputError as error:
        if str(error).startswith(name):
            raise
        raise InputError(f"{name}: {error}") from error
    except FileNotFoundError as error:
        raise InputError(f"{name}: no such file") from error
    except MemoryError as error:
        raise InputError(f"{name}: not enough memory to read it") from error
    except PermissionError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror})") from error
    except Exception as error:
        # Damage leads to nearly anything; of pickles Python's documentation says so.
        detail = "a part is missing" if isinstance(error, LookupError) else str(error)
        detail = " ".join(detail.split())[:_LONGEST] or type(error).__name__
        raise InputError(f"{name}: damaged, or not of a known format ({detail})") from error


class _Limited(io.RawIOBase):
    """What is unpacked from a stream, up to what may come of it."""

    def __init__(self, stream: IO[bytes], packed: int) -> None:
        self._stream, self._packed, self._size = stream, packed, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._stream.read(len(buffer))
        self._size += len(content)
        check_size(self._size, self._packed)
        buffer[: len(content)] = content
        return len(content)
