"""What a network scores and costs."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from weaknas.training.batches import evaluation_parts
from weaknas.training.data import Dataset, Split
from weaknas.training.devices import arithmetic, autocast, choose_precision
from weaknas.training.distributed import ALONE, Workers
from weaknas.training.metrics import ACCURACY, MeanMetric, Metric, get_metric
from weaknas.training.sources import open_source
from weaknas.training.transforms import make_normalization

_BATCH = 512
_TOKENS = 4096  # of a batch of a text: a number for each type of the vocabulary is kept of each


class Examination:
    """The images or samples of a split, to measure how well a network does on them.

    Parameters
    ----------
    split : Images, ImageFiles or Samples
        E.g. ``dataset.test``.
    dataset : Dataset
        It normalises the inputs.
    device : torch.device
    metric : str, Metric, MeanMetric or callable
        See `weaknas.training.metrics.get_metric`; default: that of the task.
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
        metric: object = "auto",
        precision: str = "auto",
        loaders: int | None = None,
    ) -> None:
        self._count = len(split)
        self.metric = get_metric(metric, dataset.task)
        self._source = open_source(split, device, loaders=loaders)
        self._normalize = make_normalization(dataset)
        self._device, self._dtype = device, choose_precision(precision, device)
        self._batch = batch_of(dataset)

    def value(self, network: nn.Module, workers: Workers = ALONE) -> float:
        """Return the value of the metric; NaN where outputs of the network are no numbers.

        Parameters
        ----------
        network : Module
            On the device.
        workers : Workers
            Each process takes a share of the inputs, unless the metric needs all at once.
        """
        if isinstance(self.metric, Metric):
            return self._at_once(self.metric, network)
        return self._mean(self.metric, network, workers)

    def accuracy(self, network: nn.Module, workers: Workers = ALONE) -> float:
        """Return the fraction of labels that have the largest output, whatever the metric is."""
        return self._mean(ACCURACY, network, workers)

    def _mean(self, metric: MeanMetric, network: nn.Module, workers: Workers) -> float:
        totals = [metric.totals(*batch) for batch in self._outputs(network, workers)]
        total, count = workers.total(torch.stack(totals).sum(0)).tolist()
        return metric.finish(total, count)

    def _at_once(self, metric: Metric, network: nn.Module) -> float:
        """Return the value of a metric that is no mean: each process looks at everything."""
        found = [
            (labels, outputs.float() if labels.is_floating_point() else outputs.float().softmax(1))
            for labels, outputs in self._outputs(network, ALONE)
        ]
        labels, outputs = (torch.cat(parts).cpu().numpy() for parts in zip(*found, strict=True))
        return metric.value(labels, outputs)

    def _outputs(self, network: nn.Module, workers: Workers) -> Iterator[tuple[Tensor, Tensor]]:
        parts = evaluation_parts(self._count, self._batch, workers)
        with evaluating(network), autocast(self._device, self._dtype):
            for inputs, labels in self._source.batches(parts, np.random.default_rng(0)):
                yield labels, network(self._normalize(inputs))


def batch_of(dataset: Dataset) -> int:
    """Return how many inputs of a data set are looked at at once."""
    return _TOKENS // dataset.shape[0] + 1 if dataset.has_tokens else _BATCH


def costs(
    network: nn.Module,
    shape: tuple[int, ...],
    device: torch.device,
    threads: int | None = None,
    *,
    tokens: bool = False,
) -> dict[str, float]:
    """Return ``params``, ``macs`` and the measured ``latency`` of one image, in seconds.

    Parameters
    ----------
    network : Module
        On the device.
    shape : tuple of int
        Of an image or a sample.
    device : torch.device
    threads : int, optional
        Of the CPU while the time is measured; default: as torch is set.
    tokens : bool
        Whether it reads tokens, whole numbers.
    """
    with arithmetic(False, threads):
        seconds = latency(network, shape, device, tokens=tokens)
    return {
        "params": count_parameters(network),
        "macs": count_macs(network, shape, tokens=tokens),
        "latency": seconds,
    }


def count_parameters(network: nn.Module) -> int:
    """Return the number of trainable weights, without those of an auxiliary head.

    That is there during training only, and the literature does not count it.
    """
    return sum(
        weight.numel()
        for name, weight in network.named_parameters()
        if weight.requires_grad and not name.startswith("auxiliary.")
    )


def count_macs(network: nn.Module, shape: tuple[int, ...], *, tokens: bool = False) -> int:
    """Return the multiply-adds of one image, counted by torch without computing them.

    Half of what ``torch.utils.flop_counter`` counts: convolutions and products of
    matrices; norms, activations and biases are not counted.
    """
    copied = copy.deepcopy(network).to("meta")
    with evaluating(copied), FlopCounterMode(display=False) as counter:
        copied(torch.empty(1, *shape, dtype=_input_type(tokens), device="meta"))
    return int(counter.get_total_flops()) // 2


def latency(
    network: nn.Module,
    shape: tuple[int, ...],
    device: torch.device,
    *,
    batch_size: int = 1,
    repeats: int = 20,
    tokens: bool = False,
) -> float:
    """Return the median time in seconds that a batch takes, data on the device already."""
    seconds = times(network, shape, device, batch_size=batch_size, repeats=repeats, tokens=tokens)
    return float(np.median(seconds))


def times(
    network: nn.Module,
    shape: tuple[int, ...],
    device: torch.device,
    *,
    batch_size: int = 1,
    repeats: int = 20,
    tokens: bool = False,
) -> npt.NDArray[np.float64]:
    """Return the seconds of each of several batches, shape (repeats,), after five unmeasured."""
    images = torch.zeros(batch_size, *shape, dtype=_input_type(tokens), device=device)
    seconds = []
    with evaluating(network):
        for _ in range(repeats + 5):
            _synchronize(device)
            begin = time.perf_counter()
            network(images)
            _synchronize(device)
            seconds.append(time.perf_counter() - begin)
    return np.array(seconds[5:])


def _input_type(tokens: bool) -> torch.dtype:
    return torch.int64 if tokens else torch.float32


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
