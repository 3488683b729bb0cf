"""Numbers and tokens with what is asked of them: splits that are no images."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, check_whole
from weaknas.training.data._arrays import to_array, to_labels

#: A label that asks for nothing: torch's losses leave these places out.
IGNORED = -100
#: What data ask for.
TASKS = ("classification", "regression", "language")

Values: TypeAlias = npt.NDArray[np.float32]
Inputs: TypeAlias = Values | npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Samples:
    """One split of anything but images, in memory.

    What is asked follows from the arrays: whole numbers as labels are classes; other numbers
    are values, a regression; a whole number at each place of a sequence of tokens is what
    comes next there, language modelling.

    Parameters
    ----------
    inputs : ndarray, shape (n, ...)
        Numbers, kept as float32, or of sequences whole numbers from 0 on, the tokens,
        shape (n, length), kept as int64.
    labels : ndarray
        Of classification int64, shape (n,); of regression float32, shape (n, values), or
        (n,) for one value; of language modelling int64, shape (n, length), where -100
        asks for nothing. Tensors of torch are converted, too.

    Raises
    ------
    InputError
        When they have no such meaning, or their numbers differ.
    """

    inputs: Inputs
    labels: npt.NDArray[np.int64] | Values

    def __post_init__(self) -> None:
        inputs, labels = to_array("inputs", self.inputs), to_array("labels", self.labels)
        if inputs.ndim < 2:
            raise InputError(f"inputs have the shape {inputs.shape}, where (n, ...) is expected")
        if len(inputs) != len(labels):
            raise InputError(f"{len(inputs)} inputs have {len(labels)} labels, where each has one")
        if labels.dtype.kind != "f" and labels.ndim == inputs.ndim == 2 and labels.shape[1] > 1:
            inputs, labels = _to_tokens(inputs, labels)
        else:
            inputs = _to_values("inputs", inputs)
            labels = _to_targets(labels) if labels.dtype.kind == "f" else to_labels(labels)
        object.__setattr__(self, "inputs", np.ascontiguousarray(inputs))
        object.__setattr__(self, "labels", np.ascontiguousarray(labels))

    @property
    def task(self) -> str:
        """One of `TASKS`."""
        if self.labels.dtype.kind == "f":
            return "regression"
        return "language" if self.inputs.dtype.kind == "i" else "classification"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one input."""
        return self.inputs.shape[1:]

    @property
    def outputs(self) -> int:
        """How many numbers a network must return at the least: classes, values or types."""
        if self.task == "regression":
            return int(self.labels.shape[1])
        return int(max(self.labels.max(), self.inputs.max() if self.task == "language" else 0)) + 1

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: npt.NDArray[np.integer]) -> Self:
        """Return the samples of these rows."""
        return replace(self, inputs=self.inputs[rows], labels=self.labels[rows])

    def joined(self, other: Self) -> Self:
        """Return these samples and then the others."""
        inputs = np.concatenate([self.inputs, other.inputs])
        return replace(self, inputs=inputs, labels=np.concatenate([self.labels, other.labels]))

    @cached_property
    def checksum(self) -> str:
        """Return a short text that differs between other inputs or labels."""
        digest = hashlib.blake2b(self.inputs.data, digest_size=8)
        digest.update(self.labels.data)
        return digest.hexdigest()


def _to_values(what: str, array: npt.NDArray[Any]) -> Values:
    if not np.isfinite(array).all():
        place = np.argwhere(~np.isfinite(array))[0]
        raise InputError(f"{what} are not all finite: row {place[0]} holds {array[tuple(place)]}")
    return array.astype(np.float32)


def _to_targets(array: npt.NDArray[Any]) -> Values:
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or not array.shape[1]:
        raise InputError(
            f"labels are values of the shape {array.shape}, where (n, values) is expected"
        )
    return _to_values("labels", array)


def _to_tokens(
    inputs: npt.NDArray[Any], labels: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    if inputs.dtype.kind not in "iu":
        raise InputError(
            f"inputs are {inputs.dtype}, where labels of the shape {labels.shape} ask for the next"
            " token: then they are whole numbers, too"
        )
    if inputs.shape != labels.shape:
        raise InputError(
            f"labels have the shape {labels.shape}, inputs {inputs.shape}; each token has one label"
        )
    if inputs.size and inputs.min() < 0:
        raise InputError(f"a token is {inputs.min()}; they are the numbers of types, 0, 1, ...")
    wrong = labels[(labels < 0) & (labels != IGNORED)]
    if wrong.size:
        raise InputError(
            f"a label is {wrong[0]}; they are the numbers of types, 0, 1, ..., or {IGNORED}"
        )
    return inputs.astype(np.int64), labels.astype(np.int64)


def windows(tokens: npt.NDArray[np.integer], length: int) -> Samples:
    """Cut a text into windows that ask for the next token at each place.

    Each token but the first is asked for once; what is left of the last window asks for
    nothing.

    Parameters
    ----------
    tokens : ndarray of int, shape (n,)
    length : int
        Of a window, at least 2.

    Raises
    ------
    InputError
        When there are fewer than two tokens, or `length` cannot be used.
    """
    check_whole("length", length, 2)
    if len(tokens) < 2:
        raise InputError(f"a text of {len(tokens)} token(s) has no next token to ask for")
    count = -(-(len(tokens) - 1) // length)
    inputs = np.zeros(count * length, dtype=np.int64)
    labels = np.full(count * length, IGNORED, dtype=np.int64)
    inputs[: len(tokens) - 1], labels[: len(tokens) - 1] = tokens[:-1], tokens[1:]
    return Samples(inputs.reshape(count, length), labels.reshape(count, length))
