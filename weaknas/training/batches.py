"""The rows of each batch of an epoch, and what gives their images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from weaknas.errors import InputError
from weaknas.training.distributed import Workers

Rows: TypeAlias = npt.NDArray[np.int64]


class Source(Protocol):
    """Gives images by row."""

    def batches(
        self, parts: list[Rows], rng: np.random.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images, bytes of shape (n, channels, height, width), and labels of each part."""


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor of the CPU on a device, without waiting for CUDA to have it.

    CUDA has read it, or holds its pinned memory, when the call returns; Apple's GPU may
    read it when the memory is another tensor's already.
    """
    return tensor.to(device, non_blocking=device.type == "cuda")


def training_parts(
    count: int, batch_size: int, workers: Workers, rng: np.random.Generator
) -> list[Rows]:
    """Return the rows of each step of this process, in random order.

    The order is the same in all processes; each takes its share of every batch, whose size
    is rounded down to a multiple of their number. Of the last batch images are left out
    where shares would differ in size, and all of it if a share is a single image, which a
    batch norm cannot use (unless all shares are).

    Raises
    ------
    InputError
        When there are more processes than images in a batch.
    """
    size = batch_size // workers.count * workers.count
    if not size:
        raise InputError(f"batch_size is {batch_size}, below the {workers.count} processes")
    order = rng.permutation(count)
    batches = [order[start : start + size] for start in range(0, count, size)]
    shares = [
        batch[workers.rank : len(batch) // workers.count * workers.count : workers.count]
        for batch in batches
    ]
    least = min(2, max(map(len, shares)))
    return [share for share in shares if len(share) >= least]


def evaluation_parts(count: int, batch_size: int, workers: Workers) -> list[Rows]:
    """Return the rows of each batch of this process, in order, every image once."""
    rows = np.arange(workers.rank, count, workers.count)
    return [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
