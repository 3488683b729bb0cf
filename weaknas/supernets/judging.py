"""Score of a path of a supernet on a minibatch of held-out images, without cutting it out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from weaknas.spaces import Genotypes
from weaknas.training.data import Dataset
from weaknas.training.devices import autocast, choose_precision
from weaknas.training.distributed import Workers
from weaknas.training.metrics import OWN, MeanMetric, get_metric
from weaknas.training.protocol import Protocol
from weaknas.training.sources import open_source
from weaknas.training.transforms import make_normalization


class Judge:
    """Rewards of a sampler: each architecture is judged on one minibatch.

    By the metric of the protocol, or of the task where that is no mean over a batch: accuracy
    of images, minus the logarithm of the perplexity of texts.

    Images are those of the validation split, which is held out of the training images.
    Batch norms normalise by the minibatch, as their statistics are a mixture over
    architectures.

    Parameters
    ----------
    dataset : Dataset
    device : torch.device
    protocol : Protocol
        Of the size of a minibatch and the precision.
    team : Workers
        Each process takes a share of a minibatch.
    loaders : int, optional
        Processes that decode image files; default: one a core, at most 8.
    """

    def __init__(
        self,
        dataset: Dataset,
        device: torch.device,
        protocol: Protocol,
        team: Workers,
        loaders: int | None = None,
    ) -> None:
        self._count = len(dataset.validation)
        self._size = min(protocol.batch_size, self._count)
        self._source = open_source(dataset.validation, device, loaders=loaders)
        self._normalize = make_normalization(dataset)
        metric = get_metric(protocol.metric, dataset.task)
        self._metric = metric if isinstance(metric, MeanMetric) else OWN[dataset.task]
        self._device, self._team = device, team
        self._dtype = choose_precision(protocol.precision, device)

    def scores(
        self, network: Any, genotypes: Genotypes, rng: np.random.Generator
    ) -> npt.NDArray[np.float64]:
        """Return the score of each genotype on a minibatch of its own; accuracy is a fraction.

        Parameters
        ----------
        network : Module
            With `activate`; its state is left as it was but for the active path.
        genotypes : ndarray of int, shape (n, d)
        rng : numpy.random.Generator
            Draws the minibatches, alike in all processes.

        Returns
        -------
        ndarray of float, shape (n,)
        """
        share = slice(self._team.rank, None, self._team.count)
        parts = [
            rng.choice(self._count, self._size, replace=False)[share] for _ in range(len(genotypes))
        ]
        totals = []
        batches = self._source.batches(parts, rng)
        with normalizing_by_batches(network), autocast(self._device, self._dtype):
            for place, (inputs, labels) in enumerate(batches):
                network.activate(genotypes[place])
                totals.append(self._metric.totals(labels, network(self._normalize(inputs))))
        sums = self._team.total(torch.stack(totals)).tolist()
        return np.array([self._metric.score(self._metric.finish(*pair)) for pair in sums])


@contextmanager
def normalizing_by_batches(network: nn.Module) -> Iterator[None]:
    """Let batch norms use the statistics of what comes in, and not learn them.

    All else is as in evaluation, without gradients; all is set back.
    """
    modes = {module: module.training for module in network.modules()}
    norms = [m for m in modes if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.training, norm.momentum = True, 0.0
    try:
        with torch.no_grad():
            yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, mode in modes.items():
            module.training = mode
