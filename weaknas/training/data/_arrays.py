"""What users hold as images and labels, as the bytes and numbers that trainings take."""

from __future__ import annotations

import sys
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError

Pixels: TypeAlias = npt.NDArray[np.uint8]
Labels: TypeAlias = npt.NDArray[np.int64]

# More are no colours; images of fewer pixels a side are none.
_MOST_COLOURS = 4
_SHAPE = "(n, channels, height, width)"


def to_pixels(value: Any) -> Pixels:
    """Return images as bytes, channels first; bytes in this order are not copied.

    Parameters
    ----------
    value : array or tensor, shape (n, channels, height, width) or (n, height, width)
        Grey where there is no axis of channels. It may be the last one: it is where the
        second axis has more than 4 values, images would not be square with channels
        first, and the last axis has at most 4 or images are square with it. Whole
        numbers are from 0 to 255; others from 0 to 1 where none is above 1, else from 0
        to 255, rounded.

    Raises
    ------
    InputError
        When it is no such array, or could be meant in two ways.
    """
    array = _channels_first(to_array("pixels", value))
    if array.dtype == np.uint8:
        return array
    low, high = (array.min(), array.max()) if array.size else (0, 0)
    # NaN is not above 0 either.
    if not (low >= 0 and high <= 255):
        raise InputError(
            f"pixels are from {low:g} to {high:g}; they are bytes, or numbers from 0 to 1 or"
            " from 0 to 255"
        )
    if array.dtype.kind in "iu":
        return array.astype(np.uint8)
    scale = 255 if high <= 1 else 1
    return np.rint(array.astype(np.float64) * scale).astype(np.uint8)


def to_labels(value: Any) -> Labels:
    """Return classes as numbers, one an image.

    Parameters
    ----------
    value : array or tensor of whole numbers, shape (n,) or (n, 1)

    Raises
    ------
    InputError
        When it is no such array, or a number is below 0.
    """
    array = to_array("labels", value)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise InputError(f"labels have the shape {array.shape}; they are one number an image, (n,)")
    if array.dtype.kind == "f" and not (np.isfinite(array) & (array == np.floor(array))).all():
        raise InputError("labels are no whole numbers; they are those of the classes, 0, 1, ...")
    if len(array) and not 0 <= array.min() <= array.max() <= np.iinfo(np.int64).max:
        worst = array.min() if array.min() < 0 else array.max()
        raise InputError(f"a label is {worst}; they are the numbers of the classes, 0, 1, ...")
    return np.ascontiguousarray(array, dtype=np.int64)


def check_pairs(images: int, labels: int) -> None:
    """Refuse other than one label an image.

    Raises
    ------
    InputError
        When the numbers differ.
    """
    if images != labels:
        raise InputError(f"{images} images have {labels} labels, where each has one")


def to_array(what: str, value: Any) -> npt.NDArray[Any]:
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        # numpy lacks some of torch's types, such as bfloat16.
        value = value.double() if value.is_floating_point() else value
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        detail = " ".join(str(error).split())[:100]
        raise InputError(f"{what} cannot be made an array of numbers ({detail})") from error
    if array.dtype.kind not in "biuf":
        kind = type(value).__name__ if array.ndim == 0 else f"an array of {array.dtype}"
        raise InputError(f"{what} are {kind}, where an array of numbers is expected")
    return array


def _channels_first(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim != 4 or 0 in array.shape[1:]:
        raise InputError(f"pixels have the shape {array.shape}, where {_SHAPE} is expected")
    _, first, middle, last = array.shape
    if middle == last or (min(first, last) > _MOST_COLOURS and first != middle):
        return array
    if max(first, last) <= _MOST_COLOURS:
        raise InputError(
            f"pixels of shape {array.shape} may have their channels first or last; images of"
            f" at most {_MOST_COLOURS} pixels a side must be square and have them first"
        )
    if first <= _MOST_COLOURS:
        return array
    return np.ascontiguousarray(array.transpose(0, 3, 1, 2))
