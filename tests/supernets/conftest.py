"""A data set that is learnt in seconds: where a square is bright."""

from __future__ import annotations

import numpy as np
import pytest

from weaknas.training.data import Dataset, Images, from_arrays


def make_dataset(count: int = 96, size: int = 8, channels: int = 1) -> Dataset:
    rng = np.random.default_rng(0)

    def images(count: int) -> Images:
        labels = np.arange(count) % 4
        pixels = rng.integers(0, 100, size=(count, channels, size, size), dtype=np.uint8)
        half = size // 2
        for image, label in zip(pixels, labels, strict=True):
            row, column = half * (label // 2), half * (label % 2)
            image[:, row : row + half, column : column + half] += 120
        return Images(pixels, labels)

    return from_arrays("squares", images(count), images(40), list("abcd"), 32)


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return make_dataset()
