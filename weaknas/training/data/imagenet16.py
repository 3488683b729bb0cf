"""ImageNet16-120: the first 120 classes of ImageNet at 16 x 16 pixels."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from weaknas.errors import InputError
from weaknas.training.data._arrays import Labels, Pixels
from weaknas.training.data._base import Dataset, Images, from_arrays, hold_out
from weaknas.training.data._files import candidate_paths, find, read_bytes
from weaknas.training.data._pickles import read_batch

NAME = "imagenet16-120"
CLASSES = 120
SHAPE = (3, 16, 16)
_TRAIN = tuple(f"train_data_batch_{number}" for number in range(1, 11))
_TEST = "val_data"
_HINT = "get the 16 x 16 version of the downsampled ImageNet"


def read(path: str | os.PathLike[str] | None, validation: int | None) -> Dataset:
    """ImageNet16-120 (Chrabaszcz et al., arXiv:1707.08819; Dong and Yang, ICLR 2020).

    Of the downsampled ImageNet's ten training batches and one validation batch, the first
    120 classes. As in NAS-Bench-201 all 151,700 training images are for training and
    the 6,000 validation images are halved: 3,000 for validation, 3,000 for the test.
    """
    places = candidate_paths(NAME, path)
    places = [inner for place in places for inner in (place, place / "ImageNet16")]
    parts = [_read_part(find(NAME, places, [name], _HINT)) for name in _TRAIN]
    train = Images(*(np.concatenate(part) for part in zip(*parts, strict=True)))
    rest = Images(*_read_part(find(NAME, places, [_TEST], _HINT)))
    count = len(rest) // 2 if validation is None else validation
    test, held = hold_out(rest.labels, count)
    names = [str(label) for label in range(CLASSES)]
    return from_arrays(NAME, train, rest.take(test), names, rest.take(held))


def _read_part(path: Path) -> tuple[Pixels, Labels]:
    """Return the images of the first 120 classes; labels count from 1 in the files."""
    pixels, labels = read_batch(read_bytes(path), str(path), ["labels"], SHAPE)
    if len(labels) and labels.min() < 1:
        raise InputError(f"{path}: a label is {labels.min()}, where they count from 1")
    wanted = labels <= CLASSES
    return pixels[wanted], labels[wanted] - 1
