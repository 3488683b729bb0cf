"""Where the images of a split come from: the device, or files that are decoded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from weaknas.training.batches import Rows, Source
from weaknas.training.data import ImageFiles, Images, Samples, Split
from weaknas.training.file_batches import FromFiles


class OnDevice:
    """All images or samples on the device, where they are gathered: fastest, for small ones."""

    def __init__(self, split: Images | Samples, device: torch.device) -> None:
        self._inputs = torch.from_numpy(np.ascontiguousarray(split.inputs)).to(device)
        self._labels = torch.from_numpy(split.labels).to(device)

    def batches(
        self, parts: list[Rows], rng: np.random.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Gather each part."""
        for part in parts:
            rows = torch.from_numpy(part).to(self._inputs.device)
            yield self._inputs[rows], self._labels[rows]


def open_source(split: Split, device: torch.device, *, loaders: int | None = None) -> Source:
    """Return where the inputs of a split come from, as they are; of image files the middle.

    Parameters
    ----------
    split : Images, ImageFiles or Samples
    device : torch.device
    loaders : int, optional
        Processes that decode files; default: one a core, at most 8.
    """
    if isinstance(split, ImageFiles):
        return FromFiles(split, device, loaders)
    return OnDevice(split, device)
