"""Batches of a data set for one epoch, on the device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from weaknas.training.data import ImageFiles, Images, Split
from weaknas.training.distributed import Workers

Rows: TypeAlias = npt.NDArray[np.int64]


class Source(Protocol):
    """Gives images by row."""

    def batches(
        self, parts: list[Rows], rng: np.random.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images, bytes of shape (n, channels, height, width), and labels of each part."""


class OnDevice:
    """All images on the device, where they are gathered: fastest, for small images."""

    def __init__(self, split: Images, device: torch.device) -> None:
        self._pixels = torch.from_numpy(np.ascontiguousarray(split.pixels)).to(device)
        self._labels = torch.from_numpy(split.labels).to(device)

    def batches(
        self, parts: list[Rows], rng: np.random.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Gather each part."""
        for part in parts:
            rows = torch.from_numpy(part).to(self._pixels.device)
            yield self._pixels[rows], self._labels[rows]


def open_source(
    split: Split, device: torch.device, *, augmented: bool = False, loaders: int | None = None
) -> Source:
    """Return where the images of a split come from.

    Parameters
    ----------
    split : Images or ImageFiles
    device : torch.device
    augmented : bool
        For files: crop at random, as for training, rather than in the middle.
    loaders : int, optional
        Processes that decode files; default: one a core, at most 8.
    """
    if isinstance(split, ImageFiles):
        from weaknas.training.file_batches import FromFiles

        return FromFiles(split, device, augmented, loaders)
    return OnDevice(split, device)


def training_parts(
    count: int, batch_size: int, workers: Workers, rng: np.random.Generator
) -> list[Rows]:
    """Return the rows of each step of this process, in random order.

    The order is the same in all processes; each takes its share of every batch. Up to
    one image a process less one is left out of the last batch, so that all shares are
    alike. A last batch of a single image is left out: a batch norm cannot use it.
    """
    order = rng.permutation(count)
    batches = [order[start : start + batch_size] for start in range(0, count, batch_size)]
    shares = [
        batch[workers.rank : len(batch) // workers.count * workers.count : workers.count]
        for batch in batches
    ]
    return [share for share in shares if len(share) > 1] or shares[:1]


def evaluation_parts(count: int, batch_size: int, workers: Workers) -> list[Rows]:
    """Return the rows of each batch of this process, in order, every image once."""
    rows = np.arange(workers.rank, count, workers.count)
    return [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
