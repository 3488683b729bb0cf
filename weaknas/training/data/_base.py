"""What a data set is, and how images are held out: the same on every machine, for ever."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError

Pixels: TypeAlias = npt.NDArray[np.uint8]
Labels: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Images:
    """One split, in memory.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (n, channels, height, width)
    labels : ndarray of int64, shape (n,)
    """

    pixels: Pixels
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: npt.NDArray[np.integer]) -> Self:
        """Return the images of these rows."""
        return replace(self, pixels=self.pixels[rows], labels=self.labels[rows])

    def joined(self, other: Self) -> Self:
        """Return these images and then the others."""
        pixels = np.concatenate([self.pixels, other.pixels])
        return replace(self, pixels=pixels, labels=np.concatenate([self.labels, other.labels]))

    @cached_property
    def checksum(self) -> str:
        """Return a short text that differs between other images or labels."""
        digest = hashlib.blake2b(np.ascontiguousarray(self.pixels).data, digest_size=8)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """One split, each image a file that is decoded when it is needed.

    Parameters
    ----------
    root : Path
    names : ndarray of str, shape (n,)
        Paths below `root`, with ``/``.
    labels : ndarray of int64, shape (n,)
    size : int
        Height and width that images are given.
    """

    root: Path
    names: npt.NDArray[np.str_]
    labels: Labels
    size: int

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: npt.NDArray[np.integer]) -> Self:
        """Return the images of these rows."""
        return replace(self, names=self.names[rows], labels=self.labels[rows])

    def joined(self, other: Self) -> Self:
        """Return these images and then the others."""
        names = np.concatenate([self.names, other.names])
        return replace(self, names=names, labels=np.concatenate([self.labels, other.labels]))

    @cached_property
    def checksum(self) -> str:
        """Return a short text that differs between other file names or labels."""
        digest = hashlib.blake2b("\n".join(self.names.tolist()).encode(), digest_size=8)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()


Split: TypeAlias = Images | ImageFiles


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images with labels in three splits.

    A search trains on `train` and compares on `validation`. `test` is for one number
    at the end, of the network that was chosen.

    Parameters
    ----------
    name : str
    train, validation, test : Images or ImageFiles
    class_names : tuple of str
    shape : tuple of int
        Channels, height and width.
    mean, std : tuple of float
        A channel each, of pixels between 0 and 1 of the training images.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    class_names: tuple[str, ...]
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    def merged(self) -> Dataset:
        """Return the data set whose training images include those of the validation split.

        Its validation split is the same, so that it says nothing any more: for a last
        training whose one number is that of the test split.
        """
        return replace(self, train=self.train.joined(self.validation))  # type: ignore[arg-type]

    def part(self, fraction: float) -> Dataset:
        """Return the data set with a fraction of the training images, each class alike.

        Smaller parts lie within larger ones.

        Raises
        ------
        InputError
            When the fraction is not above 0 and at most 1.
        """
        if not 0 < fraction <= 1:
            raise InputError(f"a fraction of the images is above 0 and at most 1, not {fraction}")
        if fraction == 1:
            return self
        count = max(1, round(fraction * len(self.train)))
        return replace(self, train=self.train.take(np.sort(stratified(self.train.labels)[:count])))

    def describe(self) -> dict[str, Any]:
        """Return what distinguishes this data set from another, as plain JSON types."""
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        return {
            "name": self.name,
            "classes": self.classes,
            "shape": list(self.shape),
            **{name: len(split) for name, split in splits.items()},
            "checksum": self.train.checksum + self.validation.checksum,
        }


def from_arrays(
    name: str,
    train: Images,
    test: Images,
    class_names: Sequence[str],
    validation: int | Images,
) -> Dataset:
    """Return a data set, the validation images held out of the training images if a number.

    Raises
    ------
    InputError
        When a label is not that of a class, or too many images are held out.
    """
    if isinstance(validation, int):
        rest, held = hold_out(train.labels, validation)
        train, validation = train.take(rest), train.take(held)
    for split in (train, validation, test):
        if not len(split):
            raise InputError(f"{name}: a split has no images")
        low, high = int(split.labels.min()), int(split.labels.max())
        if low < 0 or high >= len(class_names):
            raise InputError(
                f"{name}: the label {low if low < 0 else high} is not among the"
                f" {len(class_names)} classes, 0 to {len(class_names) - 1}"
            )
    mean, std = _moments(train.pixels)
    shape = (train.pixels.shape[1], train.pixels.shape[2], train.pixels.shape[3])
    return Dataset(name, train, validation, test, tuple(class_names), shape, mean, std)


def hold_out(labels: Labels, count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the rows that stay and the `count` rows that are held out, each class alike.

    Raises
    ------
    InputError
        When nothing would be held out or nothing would stay.
    """
    if not 0 < count < len(labels):
        raise InputError(
            f"{count} validation images cannot be held out of {len(labels)} training images"
        )
    order = stratified(labels)
    return np.sort(order[count:]), np.sort(order[:count])


def stratified(labels: Labels) -> npt.NDArray[np.int64]:
    """Return an order of the rows of which every beginning has the classes in proportion.

    Within a class the order is that of a hash of the row (the finalizer of SplitMix64,
    Steele, Lea and Flood, OOPSLA 2014): random to all purposes, and unlike the streams
    of a random generator the same in every version of every library.
    """
    rows = np.arange(1, len(labels) + 1, dtype=np.uint64)
    keys = rows * np.uint64(0x9E3779B97F4A7C15)
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    keys ^= keys >> np.uint64(31)
    by_class = np.lexsort((keys, labels))
    counts = np.bincount(labels)
    starts = np.cumsum(counts) - counts
    rank = np.empty(len(labels))
    rank[by_class] = np.arange(len(labels)) - starts[labels[by_class]]
    return np.lexsort((keys, (rank + 0.5) / counts[labels]))


def _moments(pixels: Pixels) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each channel, exact from the histogram of its 256 values."""
    values, means, deviations = np.arange(256) / 255, [], []
    for channel in range(pixels.shape[1]):
        counts = np.bincount(pixels[:, channel].ravel(), minlength=256)
        mean = float(counts @ values / counts.sum())
        variance = float(counts @ (values - mean) ** 2 / counts.sum())
        means.append(mean)
        deviations.append(variance**0.5 or 1.0)
    return tuple(means), tuple(deviations)
