"""What a network scores and costs."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from weaknas.training.batches import evaluation_parts
from weaknas.training.data import Dataset, Split
from weaknas.training.devices import arithmetic, autocast, choose_precision
from weaknas.training.distributed import ALONE, Workers
from weaknas.training.sources import open_source
from weaknas.training.transforms import Normalize

_BATCH = 512


class Examination:
    """The images of a split, to count how many a network classifies correctly.

    Parameters
    ----------
    split : Images or ImageFiles
        E.g. ``dataset.test``.
    dataset : Dataset
        It normalises the images.
    device : torch.device
    precision : str
        As in `Protocol`.
    loaders : int, optional
        Processes that decode image files; default: one a core, at most 8.
    """

    def __init__(
        self,
        split: Split,
        dataset: Dataset,
        device: torch.device,
        *,
        precision: str = "auto",
        loaders: int | None = None,
    ) -> None:
        self._count = len(split)
        self._source = open_source(split, device, loaders=loaders)
        self._normalize = Normalize(dataset.mean, dataset.std)
        self._device, self._dtype = device, choose_precision(precision, device)

    def accuracy(self, network: nn.Module, workers: Workers = ALONE) -> float:
        """Return the fraction of images that are classified correctly.

        Parameters
        ----------
        network : Module
            On the device.
        workers : Workers
            Each process takes a share of the images.
        """
        correct = torch.zeros((), dtype=torch.int64, device=self._device)
        parts = evaluation_parts(self._count, _BATCH, workers)
        with evaluating(network), autocast(self._device, self._dtype):
            for pixels, labels in self._source.batches(parts, np.random.default_rng(0)):
                correct += (network(self._normalize(pixels)).argmax(1) == labels).sum()
        return int(workers.total(correct).item()) / self._count


def costs(
    network: nn.Module,
    shape: tuple[int, int, int],
    device: torch.device,
    threads: int | None = None,
) -> dict[str, float]:
    """Return ``params``, ``macs`` and the measured ``latency`` of one image, in seconds.

    Parameters
    ----------
    network : Module
        On the device.
    shape : tuple of int
        Of an image.
    device : torch.device
    threads : int, optional
        Of the CPU while the time is measured; default: as torch is set.
    """
    with arithmetic(False, threads):
        seconds = latency(network, shape, device)
    return {
        "params": count_parameters(network),
        "macs": count_macs(network, shape),
        "latency": seconds,
    }


def count_parameters(network: nn.Module) -> int:
    """Return the number of trainable weights."""
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)


def count_macs(network: nn.Module, shape: tuple[int, int, int]) -> int:
    """Return the multiply-adds of one image, counted by torch without computing them.

    Half of what ``torch.utils.flop_counter`` counts: convolutions and products of
    matrices; norms, activations and biases are not counted.
    """
    copied = copy.deepcopy(network).to("meta")
    with evaluating(copied), FlopCounterMode(display=False) as counter:
        copied(torch.empty(1, *shape, device="meta"))
    return int(counter.get_total_flops()) // 2


def latency(
    network: nn.Module,
    shape: tuple[int, int, int],
    device: torch.device,
    *,
    batch_size: int = 1,
    repeats: int = 20,
) -> float:
    """Return the median time in seconds that a batch takes, data on the device already."""
    return float(np.median(times(network, shape, device, batch_size=batch_size, repeats=repeats)))


def times(
    network: nn.Module,
    shape: tuple[int, int, int],
    device: torch.device,
    *,
    batch_size: int = 1,
    repeats: int = 20,
) -> npt.NDArray[np.float64]:
    """Return the seconds of each of several batches, shape (repeats,), after five unmeasured."""
    images = torch.zeros(batch_size, *shape, device=device)
    seconds = []
    with evaluating(network):
        for _ in range(repeats + 5):
            _synchronize(device)
            begin = time.perf_counter()
            network(images)
            _synchronize(device)
            seconds.append(time.perf_counter() - begin)
    return np.array(seconds[5:])


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Set a network to evaluation, without gradients, and set it back."""
    was = network.training
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        network.train(was)


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
