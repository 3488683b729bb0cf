"""Batches of image files, decoded by Pillow in processes of their own."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from weaknas.errors import InputError, optional_import
from weaknas.training.batches import Rows, send
from weaknas.training.data import ImageFiles

#: From the bytes of an image to other bytes, both of shape (channels, height, width).
Policy: TypeAlias = Callable[[Tensor], Tensor]
_Asked: TypeAlias = tuple[int, npt.NDArray[np.float64] | None, int | None]

_MOST_LOADERS = 8
# Of the side of an image, what the crop in the middle shows; as in the papers on ImageNet.
_MIDDLE = 0.875


class FromFiles:
    """Decodes, crops and scales images of a folder, in processes that stay for all epochs.

    For training: a crop of 8 to 100 % of the area with sides from 3/4 to 4/3, scaled
    (Szegedy et al., CVPR 2015, arXiv:1409.4842, section 6); else the middle 87.5 %.

    Parameters
    ----------
    split : ImageFiles
    device : torch.device
    loaders : int, optional
        Processes; 0: this one. Default: one a core, at most 8, none where this process
        may not start others.
    augmented : bool
        Crop at random.
    policy : callable, optional
        From the bytes of an image, shape (3, size, size), to those that are trained on;
        it draws from torch's generator for the CPU.

    Raises
    ------
    MissingDependencyError
        When Pillow is not installed.
    """

    def __init__(
        self,
        split: ImageFiles,
        device: torch.device,
        loaders: int | None,
        *,
        augmented: bool = False,
        policy: Policy | None = None,
    ) -> None:
        optional_import("PIL", "vision")
        self._count, self._device = len(split), device
        self._augmented, self._has_policy = augmented, policy is not None
        if loaders is None:
            alone = multiprocessing.current_process().daemon
            loaders = 0 if alone else min(os.cpu_count() or 1, _MOST_LOADERS)
        self._epoch = _Epoch()
        self._loader: DataLoader[Any] = DataLoader(
            _Decoder(split, policy),
            batch_sampler=self._epoch,
            num_workers=loaders,
            persistent_workers=loaders > 0,
            collate_fn=_unchanged,
            pin_memory=device.type == "cuda",
            multiprocessing_context="spawn" if loaders else None,
            # Not torch's own: what a training draws does not depend on the loaders.
            generator=torch.Generator(),
        )

    def batches(
        self, parts: list[Rows], rng: np.random.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Decode each part."""
        crops = rng.random((self._count, 4)) if self._augmented else None
        seeds = rng.integers(2**63 - 1, size=self._count) if self._has_policy else None
        self._epoch.parts, self._epoch.crops, self._epoch.seeds = parts, crops, seeds
        for found in self._loader:
            if isinstance(found, InputError):
                raise found
            pixels, labels = found
            yield send(pixels, self._device), send(labels, self._device)


class _Epoch:
    """What is asked of the loaders: of each image its row and all that is random."""

    def __init__(self) -> None:
        self.parts: list[Rows] = []
        self.crops: npt.NDArray[np.float64] | None = None
        self.seeds: Rows | None = None

    def __len__(self) -> int:
        return len(self.parts)

    def __iter__(self) -> Iterator[list[_Asked]]:
        for part in self.parts:
            yield [self._asked(row) for row in part.tolist()]

    def _asked(self, row: int) -> _Asked:
        crop = None if self.crops is None else self.crops[row]
        return row, crop, None if self.seeds is None else int(self.seeds[row])


class _Decoder(Dataset[Any]):
    """Images by row, a batch at a time."""

    def __init__(self, split: ImageFiles, policy: Policy | None) -> None:
        self._split, self._policy = split, policy

    def __len__(self) -> int:
        return len(self._split)

    def __getitem__(self, asked: _Asked) -> tuple[Tensor, int]:
        row, crop, seed = asked
        path = self._split.root / str(self._split.names[row])
        pixels = torch.from_numpy(read_image(path, self._split.size, crop))
        if self._policy is not None and seed is not None:
            with torch.random.fork_rng(devices=[]):
                torch.default_generator.manual_seed(seed)
                pixels = self._policy(pixels)
        return pixels, int(self._split.labels[row])

    def __getitems__(self, batch: list[_Asked]) -> Any:
        """Return pixels and labels; an error as it is, which torch would bury in a traceback."""
        try:
            return default_collate([self[asked] for asked in batch])
        except InputError as error:
            return error


def _unchanged(batch: Any) -> Any:
    return batch


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
