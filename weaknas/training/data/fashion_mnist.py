"""Fashion-MNIST, and anything else in the idx files of MNIST."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError
from weaknas.training.data._base import Dataset, Images, from_arrays
from weaknas.training.data._files import candidate_paths, find, read_bytes

NAME = "fashion-mnist"
CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_HINT = "Debian has it as the package dataset-fashion-mnist"
_UNSIGNED_BYTE = 0x08


def read(path: str | os.PathLike[str] | None, validation: int | None) -> Dataset:
    """Fashion-MNIST: 70,000 grey images of clothes, 28 x 28 (Xiao et al., arXiv:1708.07747).

    Read from its four idx files, packed by gzip or not. Of the 60,000 training images a
    sixth is held out for validation; the official 10,000 test images are the test split.
    """
    places = candidate_paths(NAME, path)
    train = _read_split(places, "train")
    held = len(train) // 6 if validation is None else validation
    return from_arrays(NAME, train, _read_split(places, "t10k"), CLASSES, held)


def _read_split(places: list[Path], prefix: str) -> Images:
    files = []
    for kind in ("images-idx3", "labels-idx1"):
        stems = (f"{prefix}-{kind}-ubyte", f"{prefix}-{kind.replace('-idx', '.idx')}-ubyte")
        names = [f"{stem}{end}" for stem in stems for end in ("", ".gz")]
        files.append(find(NAME, places, names, _HINT))
    pixels, labels = (
        read_idx(file, dimensions) for file, dimensions in zip(files, (3, 1), strict=True)
    )
    if len(pixels) != len(labels):
        raise InputError(f"{files[1]}: {len(labels)} labels for {len(pixels)} images")
    return Images(pixels[:, None], labels.astype(np.int64))


def read_idx(path: Path, dimensions: int) -> npt.NDArray[Any]:
    """Read an array of unsigned bytes in the idx format of MNIST (LeCun et al.).

    Two zero bytes, a code of the type, the number of dimensions, each dimension as a
    big-endian 32-bit integer, the data.

    Raises
    ------
    InputError
        When the file is damaged or of another type or number of dimensions.
    """
    content = read_bytes(path)
    if content[:4] != bytes([0, 0, _UNSIGNED_BYTE, dimensions]):
        raise InputError(
            f"{path}: not an idx file of bytes with {dimensions} dimensions (it begins with"
            f" {content[:4].hex(' ') or 'nothing'})"
        )
    start = 4 + 4 * dimensions
    shape = tuple(int(size) for size in np.frombuffer(content[4:start].ljust(start - 4), ">u4"))
    if len(content) != start + math.prod(shape):
        raise InputError(
            f"{path}: damaged; {len(content)} bytes where its header,"
            f" {' x '.join(map(str, shape))}, asks for {start + math.prod(shape)}"
        )
    # A copy: what lies in bytes cannot be written to, of which torch warns.
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()
