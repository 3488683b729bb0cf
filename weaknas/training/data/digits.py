"""Handwritten digits of 8 x 8 pixels, which come with scikit-learn."""

from __future__ import annotations

import os

import numpy as np

from weaknas.errors import InputError
from weaknas.training.data._base import Dataset, Images, from_arrays, hold_out

_TEST = 449
_VALIDATION = 449


def read(path: str | os.PathLike[str] | None, validation: int | None) -> Dataset:
    """Optical recognition of handwritten digits: 1,797 grey images of 8 x 8, in the box.

    The test set of Alpaydin and Kaynak (1998), as scikit-learn ships it. It has no
    official splits; ours: 899 training, 449 validation and 449 test images.
    """
    if path is not None:
        raise InputError(f"digits comes with scikit-learn and is not read from a path ({path})")
    from sklearn.datasets import load_digits

    bunch = load_digits()
    # 17 levels of grey, spread over the 256 of a byte.
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[:, None]
    everything = Images(pixels, bunch.target.astype(np.int64))
    rest, test = hold_out(everything.labels, _TEST)
    held = _VALIDATION if validation is None else validation
    names = [str(digit) for digit in range(10)]
    return from_arrays("digits", everything.take(rest), everything.take(test), names, held)
