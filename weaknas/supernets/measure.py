"""Scoring architectures that were cut out of a supernet: batch norms first, then accuracy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from weaknas.training.data import Dataset, ImageFiles, Images, Samples, Split, representative
from weaknas.training.devices import choose_precision
from weaknas.training.sources import open_source
from weaknas.training.transforms import make_normalization

_BATCH = 500


def recalibrate(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set the statistics of all batch norms to the means over batches of alike size.

    A supernet's own are a mixture over architectures (Yu and Huang, ICCV 2019,
    arXiv:1903.05134, section 3.2). Weights and mode stay as they are.

    Parameters
    ----------
    network : Module
    batches : iterable of Tensor
        Images as the network takes them.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    modes = {module: module.training for module in network.modules()}
    momenta = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean
        norm.training = True
    try:
        with torch.no_grad():
            for images in batches:
                network(images)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, mode in modes.items():
            module.training = mode


class Calibration:
    """Training images, the same for ever, on the device, to recalibrate networks with.

    Parameters
    ----------
    dataset : Dataset
        Of which the first training images are taken, the classes in proportion.
    device : torch.device
    images : int
        How many; fewer where there are not as many.
    precision : str
        As in `weaknas.training.Protocol`.
    size : int, optional
        Height and width that images are given; default: as they are.
    loaders : int, optional
        Processes that decode image files; default: one a core, at most 8.
    """

    def __init__(
        self,
        dataset: Dataset,
        device: torch.device,
        *,
        images: int = 2000,
        precision: str = "auto",
        size: int | None = None,
        loaders: int | None = None,
    ) -> None:
        rows = np.sort(representative(dataset.train)[:images])
        taken = in_memory(dataset.train.take(rows), size, loaders)
        self._inputs = torch.from_numpy(taken.inputs).to(device)
        self._normalize = make_normalization(dataset)
        self._device, self._dtype = device, choose_precision(precision, device)

    def __call__(self, network: nn.Module) -> None:
        """Recalibrate a network that is on the device."""
        # Parts that differ by one image at most: a small last one would weigh too much.
        parts = self._inputs.tensor_split(max(1, -(-len(self._inputs) // _BATCH)))
        low = self._dtype is not torch.float32
        with torch.autocast(self._device.type, self._dtype, low):
            recalibrate(network, map(self._normalize, parts))


def in_memory(
    split: Split, size: int | None = None, loaders: int | None = None
) -> Images | Samples:
    """Return the images of a split decoded, and scaled where they have another size.

    Parameters
    ----------
    split : Images, ImageFiles or Samples
    size : int, optional
        Height and width; default: as they are.
    loaders : int, optional
        Processes that decode files; default: one a core, at most 8.
    """
    if isinstance(split, ImageFiles):
        source = open_source(_sized(split, size), torch.device("cpu"), loaders=loaders)
        rows = np.arange(len(split))
        parts = [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]
        decoded = [pixels for pixels, _ in source.batches(parts, np.random.default_rng(0))]
        return Images(torch.cat(decoded).numpy(), split.labels)
    if isinstance(split, Samples):
        return split
    if size is None or split.pixels.shape[2:] == (size, size):
        return Images(np.ascontiguousarray(split.pixels), split.labels)
    scaled = functional.interpolate(
        torch.from_numpy(split.pixels).float(), (size, size), mode="bilinear", antialias=True
    )
    return Images(scaled.round().clamp(0, 255).byte().numpy(), split.labels)


def at_resolution(dataset: Dataset, size: int) -> Dataset:
    """Return a data set whose images have this height and width.

    Files are decoded at it; images in memory are scaled.
    """

    def sized(split: Split) -> Split:
        return _sized(split, size) if isinstance(split, ImageFiles) else in_memory(split, size)

    return replace(
        dataset,
        train=sized(dataset.train),
        validation=sized(dataset.validation),
        test=sized(dataset.test),
        shape=(dataset.shape[0], size, size),
    )


def _sized(split: ImageFiles, size: int | None) -> ImageFiles:
    return split if size is None else replace(split, size=size)
