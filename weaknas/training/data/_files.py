"""Finding the files of a data set: at a path or in a data folder, never by a download."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from weaknas.errors import InputError
from weaknas.files import data_folders
from weaknas.spaces.files.packed import open_unpacked, reporting


def candidate_paths(name: str, path: str | os.PathLike[str] | None) -> list[Path]:
    """Return where to look: the path that was given, else the data folders."""
    if path is not None:
        return [Path(path).expanduser()]
    return [place for folder in data_folders() for place in (folder / name, folder)]


def missing(name: str, wanted: str, places: Iterable[Path], hint: str) -> InputError:
    """Return the error for a data set that is not there."""
    looked = ", ".join(str(place) for place in places)
    return InputError(
        f"the data set {name!r} is not at {looked}: {wanted} expected. Nothing is downloaded;"
        f" {hint}, then name the folder as the path or put it into a folder of WEAKNAS_DATA"
    )


def find(name: str, places: list[Path], names: Iterable[str], hint: str) -> Path:
    """Return the first file of one of these names in one of the places.

    Raises
    ------
    InputError
        When there is none.
    """
    names = list(names)
    for place in places:
        for candidate in names:
            if (place / candidate).is_file():
                return place / candidate
    raise missing(name, " or ".join(names), places, hint)


def read_bytes(path: Path) -> bytes:
    """Return the content of a file, unpacked where it is packed.

    Raises
    ------
    InputError
        When it cannot be read, or unpacks to more than its size lets expect.
    """
    with reporting(str(path)), open_unpacked(path) as file:
        return file.read()
