"""CIFAR-10 and CIFAR-100, from the official archives or what was unpacked from them."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from weaknas.errors import InputError
from weaknas.spaces.files.packed import open_unpacked, reporting
from weaknas.training.data._arrays import Labels, Pixels
from weaknas.training.data._base import Dataset, Images, from_arrays
from weaknas.training.data._files import candidate_paths, missing, read_bytes
from weaknas.training.data._pickles import read_batch

SHAPE = (3, 32, 32)
_PIXELS = 3072
_HINT = "get the official archive, the python or the binary version"


@dataclass(frozen=True)
class _Version:
    """The files of one official archive.

    Parameters
    ----------
    folder : str
        That it is unpacked to.
    train, test : tuple of str
    read : callable
        Content and name of a file to pixels and labels.
    """

    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    read: Callable[[bytes, str], tuple[Pixels, Labels]]


def read_cifar10(path: str | os.PathLike[str] | None, validation: int | None) -> Dataset:
    """CIFAR-10: 60,000 colour images of 10 classes, 32 x 32 (Krizhevsky, 2009).

    Of the 50,000 training images a fifth is held out for validation, 25,000 with
    ``validation=25000`` as NAS-Bench-201 and DARTS do; the official 10,000 test images
    are the test split.
    """
    numbers = range(1, 6)
    versions = (
        _Version(
            "cifar-10-batches-py",
            tuple(f"data_batch_{number}" for number in numbers),
            ("test_batch",),
            lambda content, name: read_batch(content, name, ["labels"], SHAPE),
        ),
        _Version(
            "cifar-10-batches-bin",
            tuple(f"data_batch_{number}.bin" for number in numbers),
            ("test_batch.bin",),
            lambda content, name: _read_binary(content, name, 1),
        ),
    )
    names = [
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ]
    return _read("cifar10", path, versions, names, validation)


def read_cifar100(path: str | os.PathLike[str] | None, validation: int | None) -> Dataset:
    """CIFAR-100: as CIFAR-10, with 100 (fine) classes (Krizhevsky, 2009)."""
    versions = (
        _Version(
            "cifar-100-python",
            ("train",),
            ("test",),
            lambda content, name: read_batch(content, name, ["fine_labels"], SHAPE),
        ),
        _Version(
            "cifar-100-binary",
            ("train.bin",),
            ("test.bin",),
            lambda content, name: _read_binary(content, name, 2),
        ),
    )
    return _read("cifar100", path, versions, [str(label) for label in range(100)], validation)


def _read(
    name: str,
    path: str | os.PathLike[str] | None,
    versions: Sequence[_Version],
    class_names: list[str],
    validation: int | None,
) -> Dataset:
    places = candidate_paths(name, path)
    for place in places:
        for version in versions:
            files = _open(place, version)
            if files is not None:
                train = _join(version, files, version.train, place)
                held = len(train) // 5 if validation is None else validation
                test = _join(version, files, version.test, place)
                return from_arrays(name, train, test, class_names, held)
    wanted = " or ".join(version.folder for version in versions)
    raise missing(name, f"the folder {wanted}, or it as .tar.gz,", places, _HINT)


def _open(place: Path, version: _Version) -> dict[str, bytes] | None:
    """Return the files of a version by name, None where it is not there."""
    wanted = (*version.train, *version.test)
    for archive in [place] if place.is_file() else sorted(place.glob("cifar*.tar.gz")):
        files = _read_archive(archive, version.folder, wanted)
        if files:
            return files
    for folder in (place / version.folder, place):
        there = [name for name in wanted if (folder / name).is_file()]
        if there:
            return {name: read_bytes(folder / name) for name in there}
    return None


def _read_archive(path: Path, folder: str, wanted: tuple[str, ...]) -> dict[str, bytes]:
    """Return the wanted files of an archive by name; nothing is unpacked to the disk."""
    found = {}
    # As a stream: what is not wanted is unpacked as well, and counts.
    with (
        reporting(str(path)),
        open_unpacked(path) as file,
        tarfile.open(fileobj=file, mode="r|") as archive,
    ):
        for member in archive:
            parent, _, name = member.name.removeprefix("./").rpartition("/")
            stream = archive.extractfile(member) if member.isfile() else None
            if stream is not None and parent == folder and name in wanted:
                found[name] = stream.read()
    return found


def _read_binary(content: bytes, name: str, labels: int) -> tuple[Pixels, Labels]:
    """Read records of `labels` bytes, the last being the class, and the pixels."""
    size = labels + _PIXELS
    if not content or len(content) % size:
        raise InputError(f"{name}: damaged; {len(content)} bytes are no multiple of {size}")
    records = np.frombuffer(content, np.uint8).reshape(-1, size)
    return records[:, labels:].reshape(-1, *SHAPE), records[:, labels - 1].astype(np.int64)


def _join(
    version: _Version, files: dict[str, bytes], names: tuple[str, ...], place: Path
) -> Images:
    for name in names:
        if name not in files:
            raise InputError(f"{place}: the file {name} of {version.folder} is missing")
    parts = [version.read(files[name], f"{place}: {name}") for name in names]
    pixels, labels = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Images(pixels, labels)
