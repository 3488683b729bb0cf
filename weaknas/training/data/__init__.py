"""Data sets by name, with fixed splits; read from files that are there, never downloaded.

Whatever a data set has no official split for is held out of its training images, each
class alike, by a rule that is the same for ever (`stratified`). The test split is for
one number at the end. One file a data set; imports nothing else of training.

Beside images there are texts, cut into windows of tokens, and samples of numbers with classes
or values, `Samples`.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import Any

from weaknas import registry
from weaknas.errors import InputError, check_whole, unknown
from weaknas.spaces import SearchSpace
from weaknas.training.data._base import (
    Dataset,
    ImageFiles,
    Images,
    Split,
    from_arrays,
    representative,
    stratified,
)
from weaknas.training.data._samples import IGNORED, TASKS, Samples, windows

#: Names that `load_dataset` knows, beside those of plug-ins and ``module:function``.
DATASETS = registry.DATASETS.builtin

__all__ = [
    "DATASETS",
    "IGNORED",
    "TASKS",
    "Dataset",
    "ImageFiles",
    "Images",
    "Samples",
    "Split",
    "from_arrays",
    "load_dataset",
    "representative",
    "stratified",
    "windows",
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
    if dataset not in DATASETS:
        _reader(dataset)
    return dataset


def check_inputs(space: SearchSpace, dataset: Dataset) -> None:
    """Refuse a data set that the networks of a space cannot read.

    Raises
    ------
    InputError
        When one has tokens and the other reads none.
    """
    wants_tokens = space.reads == "tokens"
    if wants_tokens and not dataset.has_tokens:
        raise InputError(
            f"the networks of {space.name!r} read tokens, which {dataset.name!r} has none of;"
            " data sets that have: pydoc, pydoc-characters, text, text-characters"
        )
    if dataset.has_tokens and space.reads == "images":
        raise InputError(
            f"the networks of {space.name!r} read images, and {dataset.name!r} is a text; spaces"
            " for it: recurrent, transformer"
        )


def load_dataset(
    name: str, path: str | os.PathLike[str] | None = None, *, validation: int | None = None
) -> Dataset:
    """Read a data set.

    Parameters
    ----------
    name : str
        One of `DATASETS`, of a plug-in, or ``module:function``, which returns a `Dataset`.
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
    read = _reader(name)
    if validation is not None:
        check_whole("validation", validation)
    known = inspect.signature(read).parameters
    given = {}
    for option, value in {"path": path, "validation": validation}.items():
        if option not in known and value is not None:
            raise InputError(f"the data set {name!r} takes no {option}, given {value!r}")
        if option in known and (
            value is not None or known[option].default is inspect.Signature.empty
        ):
            given[option] = value
    found = read(**given)
    if not isinstance(found, Dataset):
        raise InputError(
            f"{name} returned a {type(found).__name__}, not a weaknas.training.Dataset;"
            " weaknas.training.data.from_arrays makes one of arrays"
        )
    return found


def _reader(name: str) -> Callable[..., Any]:
    if not registry.is_own(name):
        if name not in registry.DATASETS.names():
            raise unknown("data set", name, registry.DATASETS.names())
        read: Callable[..., Any] = registry.DATASETS.load(name)
        return read
    read = registry.load_own(name)
    if not callable(read):
        raise InputError(f"{name} is a {type(read).__name__}, not a function that reads data")
    for needed in inspect.signature(read).parameters.values():
        if needed.name not in ("path", "validation") and needed.default is needed.empty:
            raise InputError(
                f"{name} needs {needed.name!r}, where a function that reads data is given path and"
                " validation, if it has them"
            )
    return read
