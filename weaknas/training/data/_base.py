"""What a data set is, and how images are held out: the same on every machine, for ever."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, check_number, check_whole, unknown
from weaknas.training.data._arrays import Labels, Pixels, check_pairs, to_labels, to_pixels
from weaknas.training.data._samples import TASKS, Samples


@dataclass(frozen=True, eq=False)
class Images:
    """One split, in memory.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (n, channels, height, width)
        Or what has the same meaning, which is converted: tensors of torch; numbers from 0
        to 1 or from 0 to 255; (n, height, width), grey; and (n, height, width, channels),
        where the second axis has more than 4 values, images would not be square with
        channels first, and the last axis has at most 4 or images are square with it.
    labels : ndarray of int64, shape (n,)
        Or tensors and arrays of other whole numbers, shape (n,) or (n, 1).

    Raises
    ------
    InputError
        When they have no such meaning, or their numbers differ.
    """

    pixels: Pixels
    labels: Labels

    def __post_init__(self) -> None:
        object.__setattr__(self, "pixels", to_pixels(self.pixels))
        object.__setattr__(self, "labels", to_labels(self.labels))
        check_pairs(len(self.pixels), len(self.labels))

    @property
    def inputs(self) -> Pixels:
        """What a network is given, before it is normalised: the pixels."""
        return self.pixels

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        _, channels, height, width = self.pixels.shape
        return channels, height, width

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

    Raises
    ------
    InputError
        When a label is no number of a class, or not every file has one.
    """

    root: Path
    names: npt.NDArray[np.str_]
    labels: Labels
    size: int

    def __post_init__(self) -> None:
        check_whole("size", self.size)
        object.__setattr__(self, "names", np.asarray(self.names))
        object.__setattr__(self, "labels", to_labels(self.labels))
        check_pairs(len(self.names), len(self.labels))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        return (3, self.size, self.size)

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


Split: TypeAlias = Images | ImageFiles | Samples


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images with labels, or other samples, in three splits.

    A search trains on `train` and compares on `validation`. `test` is for one number
    at the end, of the network that was chosen.

    Parameters
    ----------
    name : str
    train, validation, test : Images, ImageFiles or Samples
    class_names : tuple of str
        Of a regression the names of the values, of texts the types of the vocabulary.
    shape : tuple of int
        Channels, height and width of an image; the shape of a sample.
    mean, std : tuple of float
        A channel each, of pixels between 0 and 1 of the training images; of samples for
        each place of their first axis; of tokens none.
    task : {"classification", "regression", "language"}
        What is asked of a network.
    about : mapping
        Of where the data come from, as plain JSON types; kept with all results.

    Raises
    ------
    InputError
        When a split is empty, or has images of another shape or without a class.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    class_names: tuple[str, ...]
    shape: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    task: str = "classification"
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise unknown("task", self.task, TASKS)
        splits = {"training": self.train, "validation": self.validation, "test": self.test}
        for name, split in splits.items():
            what = f"{self.name}: the {name} split"
            _check_split(what, split, len(self.class_names), self.task)
            if split.shape != self.shape:
                raise InputError(
                    f"{what} has {_noun(split)} of shape {split.shape}, where {self.shape} is"
                    " expected"
                )
        channels = 0 if self.has_tokens else self.shape[0]
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != channels or not np.isfinite(values).all():
                raise InputError(
                    f"{self.name}: {name} is {values}, where a number for each of"
                    f" {channels} channels is expected"
                )
        if min(self.std, default=1) <= 0:
            raise InputError(f"{self.name}: std must be above 0, not {self.std}")

    @property
    def has_tokens(self) -> bool:
        """Whether networks read tokens, whole numbers, rather than images or numbers."""
        return self.task == "language"

    @property
    def classes(self) -> int:
        """Number of classes, of the values of a regression, or of the types of a text."""
        return len(self.class_names)

    def merged(self) -> Dataset:
        """Return the data set whose training images include those of the validation split.

        Its validation split is the same, so that it says nothing any more: for a last
        training whose one number is that of the test split.
        """
        return replace(self, train=self.train.joined(self.validation))  # type: ignore[arg-type]

    def part(self, fraction: float) -> Dataset:
        """Return the data set with a fraction of the training split, each class alike.

        Smaller parts lie within larger ones.

        Raises
        ------
        InputError
            When the fraction is not above 0 and at most 1.
        """
        fraction = check_number("a fraction of the images", fraction, above=0, most=1)
        if fraction == 1:
            return self
        count = max(1, round(fraction * len(self.train)))
        return replace(self, train=self.train.take(np.sort(representative(self.train)[:count])))

    def describe(self) -> dict[str, Any]:
        """Return what distinguishes this data set from another, as plain JSON types."""
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        return {
            "name": self.name,
            "classes": self.classes,
            "shape": list(self.shape),
            **{name: len(split) for name, split in splits.items()},
            "checksum": self.train.checksum + self.validation.checksum,
            **({} if self.task == "classification" else {"task": self.task}),
            **({"about": dict(self.about)} if self.about else {}),
        }


def from_arrays(
    name: str,
    train: Images | Samples,
    test: Images | Samples,
    class_names: Sequence[str],
    validation: int | Images | Samples,
) -> Dataset:
    """Return a data set of images or other samples in memory.

    Parameters
    ----------
    name : str
    train, test : Images or Samples
    class_names : sequence of str
        Of a regression the names of the values, of texts the types of the vocabulary.
    validation : int, Images or Samples
        A number of images or samples is held out of the training split, each class alike.

    Raises
    ------
    InputError
        When splits are empty or differ in shape, a label is not that of a class, or too
        many images are held out.
    """
    if isinstance(class_names, str) or not isinstance(class_names, Iterable):
        raise InputError(f"class_names are a text for each class, not {class_names!r}")
    if not isinstance(train, Images | Samples):
        raise InputError(
            "the training split is Images(pixels, labels) or Samples(inputs, labels), not"
            f" {_kind(train)}"
        )
    names = tuple(map(str, class_names))
    task = train.task if isinstance(train, Samples) else "classification"
    if not isinstance(validation, Images | Samples):
        check_whole("validation", validation)
        _check_split(f"{name}: the training split", train, len(names), task)
        rest, held = _hold_out(representative(train), validation, _noun(train))
        train, validation = train.take(rest), train.take(held)
    _check_split(f"{name}: the training split", train, len(names), task)
    mean, std = _moments(train.pixels) if isinstance(train, Images) else _moments_of(train)
    return Dataset(name, train, validation, test, names, train.shape, mean, std, task)


def _check_split(what: str, split: Split, classes: int, task: str) -> None:
    if not isinstance(split, Images | ImageFiles | Samples):
        raise InputError(
            f"{what} is Images(pixels, labels) or Samples(inputs, labels), not {_kind(split)}"
        )
    if not len(split):
        raise InputError(f"{what} has no {_noun(split)}")
    asked = split.task if isinstance(split, Samples) else "classification"
    if asked != task:
        raise InputError(f"{what} asks for {asked}, where the data set is for {task}")
    if task == "regression":
        if split.labels.shape[1] != classes:
            raise InputError(
                f"{what} has {split.labels.shape[1]} value(s) a sample, where {classes} are named"
            )
        return
    highest = split.outputs - 1 if isinstance(split, Samples) else int(split.labels.max())
    if highest >= classes:
        raise InputError(
            f"{what}: the label {highest} is not among the {classes} classes, 0 to {classes - 1}"
        )


def _noun(split: Split) -> str:
    return "samples" if isinstance(split, Samples) else "images"


def _kind(value: object) -> str:
    return f"a {type(value).__name__}"


def hold_out(labels: Labels, count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the rows that stay and the `count` rows that are held out, each class alike.

    Raises
    ------
    InputError
        When nothing would be held out or nothing would stay.
    """
    return _hold_out(stratified(labels), count, "images")


def _hold_out(
    order: npt.NDArray[np.int64], count: int, noun: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    if not 0 < count < len(order):
        raise InputError(
            f"{count} validation {noun} cannot be held out of {len(order)} training {noun}"
        )
    return np.sort(order[count:]), np.sort(order[:count])


def representative(split: Split) -> npt.NDArray[np.int64]:
    """Return an order of the rows of which every beginning has the classes in proportion.

    Where there are no classes it is a random one, the same for ever.
    """
    if isinstance(split, Samples) and split.task != "classification":
        return stratified(np.zeros(len(split), dtype=np.int64))
    return stratified(split.labels)


def stratified(labels: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
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


def _moments_of(samples: Samples) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each place of the first axis of samples; of tokens none."""
    if samples.task == "language":
        return (), ()
    axes = (0, *range(2, samples.inputs.ndim))
    mean = samples.inputs.mean(axis=axes, dtype=np.float64)
    std = samples.inputs.std(axis=axes, dtype=np.float64)
    std[std == 0] = 1.0
    return tuple(mean.tolist()), tuple(std.tolist())
