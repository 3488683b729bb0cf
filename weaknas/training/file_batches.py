"""Batches of image files, decoded by Pillow in processes of their own."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from weaknas.errors import InputError, optional_import
from weaknas.training.batches import Rows, send
from weaknas.training.data import ImageFiles

_MOST_LOADERS = 8
# Of the side of an image, what the crop in the middle shows; as in the papers on ImageNet.
_MIDDLE = 0.875


class FromFiles:
    """Decodes, crops and scales images of a folder.

    For training: a crop of 8 to 100 % of the area with sides from 3/4 to 4/3, scaled
    (Szegedy et al., CVPR 2015, arXiv:1409.4842, section 6); else the middle 87.5 %.

    Parameters
    ----------
    split : ImageFiles
    device : torch.device
    augmented : bool
    loaders : int, optional
        Processes; 0: this one. Default: one a core, at most 8, none where this process
        may not start others.

    Raises
    ------
    MissingDependencyError
        When Pillow is not installed.
    """

    def __init__(
        self, split: ImageFiles, device: torch.device, augmented: bool, loaders: int | None
    ) -> None:
        optional_import("PIL", "vision")
        self._split, self._device, self._augmented = split, device, augmented
        if loaders is None:
            alone = multiprocessing.current_process().daemon
            loaders = 0 if alone else min(os.cpu_count() or 1, _MOST_LOADERS)
        self._loaders = loaders

    def batches(
        self, parts: list[Rows], rng: np.random.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Decode each part."""
        crops = rng.random((len(self._split), 4)) if self._augmented else None
        loader: DataLoader[Any] = DataLoader(
            _Decoder(self._split, crops),
            batch_sampler=[part.tolist() for part in parts],
            num_workers=self._loaders,
            pin_memory=self._device.type == "cuda",
            multiprocessing_context="spawn" if self._loaders else None,
        )
        for pixels, labels in loader:
            yield send(pixels, self._device), send(labels, self._device)


class _Decoder(Dataset[tuple[Tensor, int]]):
    """One image by its row."""

    def __init__(self, split: ImageFiles, crops: Any) -> None:
        self._split, self._crops = split, crops

    def __len__(self) -> int:
        return len(self._split)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        path = self._split.root / str(self._split.names[row])
        crop = None if self._crops is None else self._crops[row]
        pixels = torch.from_numpy(read_image(path, self._split.size, crop))
        return pixels, int(self._split.labels[row])


def read_image(
    path: Path, size: int, draws: npt.NDArray[np.float64] | None
) -> npt.NDArray[np.uint8]:
    """Return the pixels of a file in colours, cropped and scaled; shape (3, size, size).

    Parameters
    ----------
    path : Path
    size : int
    draws : ndarray, shape (4,), optional
        As for `random_box`; None: the middle.

    Raises
    ------
    InputError
        When the file is no image, or damaged.
    """
    from PIL import Image

    try:
        with Image.open(path) as file:
            height, width = file.height, file.width
            box = middle_box(height, width) if draws is None else random_box(height, width, draws)
            top, left, tall, wide = box
            scaled = file.convert("RGB").resize(
                (size, size), Image.Resampling.BILINEAR, (left, top, left + wide, top + tall)
            )
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow says of damaged files
        raise InputError(f"{path}: no image that can be decoded ({error})") from error
    return np.ascontiguousarray(np.asarray(scaled, dtype=np.uint8).transpose(2, 0, 1))


def middle_box(height: int, width: int) -> tuple[int, int, int, int]:
    """Return top, left, height and width of the square in the middle."""
    side = max(1, round(min(height, width) * _MIDDLE))
    return (height - side) // 2, (width - side) // 2, side, side


def random_box(
    height: int, width: int, draws: npt.NDArray[np.float64]
) -> tuple[int, int, int, int]:
    """Return top, left, height and width of a random crop, cut where it does not fit.

    Parameters
    ----------
    height, width : int
    draws : ndarray, shape (4,)
        Uniform between 0 and 1: for area, ratio and place.
    """
    area = (0.08 + 0.92 * draws[0]) * height * width
    ratio = float(np.exp((2 * draws[1] - 1) * np.log(4 / 3)))
    tall = max(1, min(height, round((area / ratio) ** 0.5)))
    wide = max(1, min(width, round((area * ratio) ** 0.5)))
    top, left = int(draws[2] * (height - tall + 1)), int(draws[3] * (width - wide + 1))
    return top, left, tall, wide
