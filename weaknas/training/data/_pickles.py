"""Image batches in pickles of numpy, as CIFAR's and ImageNet16's authors published them."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from weaknas.errors import InputError
from weaknas.spaces.files.opcodes import CheckedPickles
from weaknas.spaces.files.packed import reporting
from weaknas.spaces.files.pickles import PLAIN_AND_NUMBERS, AllowList, load_restricted
from weaknas.training.data._arrays import Labels, Pixels


class _Bytes:
    """What a pickle says of an array of bytes."""

    def __init__(self, *_args: Any) -> None:
        self.shape: tuple[int, ...] = ()
        self._content: str | bytes = b""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, is_fortran, content = state
        if dtype.code != "u1" or is_fortran:
            raise InputError(f"an array of {dtype.code!r} where bytes in C order are expected")
        if not isinstance(content, str | bytes):
            raise InputError(f"an array whose content is a {type(content).__name__}")
        self._content, self.shape = content, tuple(int(size) for size in shape)

    @property
    def content(self) -> bytes:
        """The bytes, which Python 2 wrote as text."""
        content = self._content
        return content.encode("latin1") if isinstance(content, str) else content


_ALLOW: AllowList = {
    **PLAIN_AND_NUMBERS,
    "numpy.ndarray": _Bytes,
    "numpy.core.multiarray._reconstruct": _Bytes,
    "numpy._core.multiarray._reconstruct": _Bytes,
}


def read_batch(
    content: bytes, name: str, labels: Sequence[str], shape: tuple[int, ...]
) -> tuple[Pixels, Labels]:
    """Read one batch without running anything that the pickle asks for.

    Parameters
    ----------
    content : bytes
        A pickle of a dictionary with ``data``, an array of bytes of shape
        (n, channels x height x width), and a list of labels.
    name : str
        How errors call the file.
    labels : sequence of str
        Keys of the labels, the first that is there being read.
    shape : tuple of int
        Channels, height and width of an image.

    Returns
    -------
    ndarray of uint8, shape (n, channels, height, width)
    ndarray of int64, shape (n,)

    Raises
    ------
    InputError
        When the pickle is damaged, asks for anything else, or holds something else.
    """
    pickles = CheckedPickles(io.BytesIO(content))
    raw = load_restricted(pickles, _ALLOW, name=name, encoding="latin1")
    with reporting(name):
        batch = {_text(key): value for key, value in raw.items()}
        array, key = batch["data"], next(key for key in labels if key in batch)
        values = np.array(batch[key], dtype=np.int64)
        wanted = (len(values), math.prod(shape))
        if not isinstance(array, _Bytes) or array.shape != wanted:
            found = array.shape if isinstance(array, _Bytes) else type(array).__name__
            raise InputError(f"the data are {found}, where {wanted} is expected")
        pixels = np.frombuffer(array.content, np.uint8).reshape(-1, *shape)
    return pixels, values


def _text(key: Any) -> str:
    return key.decode("latin1") if isinstance(key, bytes) else str(key)
