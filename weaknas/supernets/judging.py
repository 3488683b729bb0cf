"""Accuracy of a path of a supernet on a minibatch of held-out images, without cutting it out."""

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
from weaknas.training.protocol import Protocol
from weaknas.training.sources import open_source
from weaknas.training.transforms import Normalize


class Judge:
    """Rewards of a sampler: each architecture is judged on one minibatch.

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
        self._normalize = Normalize(dataset.mean, dataset.std)
        self._device, self._team = device, team
        self._dtype = choose_precision(protocol.precision, device)

    def accuracies(
        self, network: Any, genotypes: Genotypes, rng: np.random.Generator
    ) -> npt.NDArray[np.float64]:
        """Return the accuracy of each genotype, a fraction on a minibatch of its own.

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
        correct = torch.zeros(len(genotypes), dtype=torch.int64, device=self._device)
        batches = self._source.batches(parts, rng)
        with normalizing_by_batches(network), autocast(self._device, self._dtype):
            for place, (pixels, labels) in enumerate(batches):
                network.activate(genotypes[place])
                guessed = network(self._normalize(pixels)).argmax(1)
                correct[place] = (guessed == labels).sum()
        return np.asarray(self._team.total(correct).cpu().numpy() / self._size)


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
