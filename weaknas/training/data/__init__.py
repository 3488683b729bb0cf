"""Data sets by name, with fixed splits; read from files that are there, never downloaded.

Whatever a data set has no official split for is held out of its training images, each
class alike, by a rule that is the same for ever (`stratified`). The test split is for
one number at the end. One file a data set; imports nothing else of training.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from types import MappingProxyType

from weaknas.errors import InputError, check_whole, unknown
from weaknas.training.data._base import Dataset, ImageFiles, Images, Split, from_arrays, stratified

_READERS: Mapping[str, str] = MappingProxyType(
    {
        "cifar10": "cifar:read_cifar10",
        "cifar100": "cifar:read_cifar100",
        "digits": "digits:read",
        "fashion-mnist": "fashion_mnist:read",
        "imagenet-folder": "folder:read",
        "imagenet16-120": "imagenet16:read",
    }
)
#: Names that `load_dataset` knows.
DATASETS = tuple(_READERS)

__all__ = [
    "DATASETS",
    "Dataset",
    "ImageFiles",
    "Images",
    "Split",
    "from_arrays",
    "load_dataset",
    "stratified",
]


def check_dataset(dataset: object) -> str | Dataset:
    """Return what names a data set or is one.

    Raises
    ------
    InputError
        When it is neither, or a name that `load_dataset` does not know.
    """
    if isinstance(dataset, Dataset):
        return dataset
    if not isinstance(dataset, str):
        raise InputError(
            "dataset must be a name or a weaknas.training.Dataset, not a"
            f" {type(dataset).__name__}; weaknas.training.data.from_arrays makes one of arrays"
        )
    if dataset not in _READERS:
        raise unknown("data set", dataset, DATASETS)
    return dataset


def load_dataset(
    name: str, path: str | os.PathLike[str] | None = None, *, validation: int | None = None
) -> Dataset:
    """Read a data set.

    Parameters
    ----------
    name : str
        One of `DATASETS`.
    path : path, optional
        File or folder; default: a folder of this name, or the files themselves, in a
        folder of ``WEAKNAS_DATA`` (or the user's data folder).
    validation : int, optional
        Training images that are held out for validation; default: see each data set.

    Raises
    ------
    InputError
        When the name is unknown, `validation` is no whole number from 1 on, or files are
        missing or damaged; the message names them.
    """
    if name not in _READERS:
        raise unknown("data set", name, DATASETS)
    if validation is not None:
        check_whole("validation", validation)
    module, _, function = _READERS[name].partition(":")
    read: Callable[[str | os.PathLike[str] | None, int | None], Dataset]
    read = getattr(importlib.import_module(f"weaknas.training.data.{module}"), function)
    return read(path, validation)
