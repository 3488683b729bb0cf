"""Folders of image files, as ImageNet is kept."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from weaknas.errors import InputError
from weaknas.training.data._base import Dataset, ImageFiles, hold_out
from weaknas.training.data._files import candidate_paths, missing

NAME = "imagenet-folder"
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")
SIZE = 224
# Of the training images of ILSVRC 2012, as everybody uses them.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_LARGEST_VALIDATION = 50_000


def read(path: str | os.PathLike[str] | None, validation: int | None) -> Dataset:
    """Images in ``train/CLASS/`` and ``val/CLASS/``, e.g. ImageNet; decoded by Pillow.

    The official validation images, those below ``val`` (or ``test``), are the test split:
    their labels are the ones that papers report. Of the training images a tenth, at most
    50,000, is held out for validation. Images are scaled and cropped to 224 x 224.
    """
    places = candidate_paths(NAME, path)
    folder = next((place for place in places if (place / "train").is_dir()), None)
    if folder is None:
        raise missing(NAME, "a folder train with a folder for each class", places, "unpack it")
    tests = [folder / name for name in ("val", "test") if (folder / name).is_dir()]
    if not tests:
        raise InputError(f"{folder} has neither a folder val nor test beside train")
    classes = sorted(entry.name for entry in (folder / "train").iterdir() if entry.is_dir())
    train, test = _list(folder / "train", classes), _list(tests[0], classes)
    default = min(max(1, len(train) // 10), _LARGEST_VALIDATION)
    rest, held = hold_out(train.labels, default if validation is None else validation)
    return Dataset(
        NAME,
        train.take(rest),
        train.take(held),
        test,
        tuple(classes),
        (3, SIZE, SIZE),
        _MEAN,
        _STD,
    )


def _list(folder: Path, classes: list[str]) -> ImageFiles:
    found = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    if found != classes:
        odd = sorted(set(found) ^ set(classes))[0]
        raise InputError(f"{folder}: not the classes of the training images ({odd!r} differs)")
    names, labels = [], []
    for label, name in enumerate(classes):
        files = sorted(os.scandir(folder / name), key=lambda entry: entry.name)
        images = [f"{name}/{file.name}" for file in files if _is_image(file.name)]
        if not images:
            raise InputError(f"{folder / name} has no image ({', '.join(SUFFIXES)})")
        names += images
        labels += [label] * len(images)
    return ImageFiles(folder, np.array(names), np.array(labels, dtype=np.int64), SIZE)


def _is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)
