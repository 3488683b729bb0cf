"""How good a mixed supernet is with some weights, on held-out images."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from weaknas.spaces.cells.mixed import MixedSupernet
from weaknas.training.batches import evaluation_parts
from weaknas.training.data import Dataset
from weaknas.training.devices import autocast, choose_precision
from weaknas.training.distributed import ALONE
from weaknas.training.measure import evaluating
from weaknas.training.sources import open_source
from weaknas.training.transforms import Normalize

_BATCH = 512


class Judge:
    """The validation images of a data set, to score mixtures by.

    Parameters
    ----------
    dataset : Dataset
    device : torch.device
    precision : str
        As in `weaknas.training.Protocol`.
    loaders : int, optional
        Processes that decode image files; default: one a core, at most 8.
    """

    def __init__(
        self,
        dataset: Dataset,
        device: torch.device,
        precision: str = "auto",
        loaders: int | None = None,
    ) -> None:
        self._count = len(dataset.validation)
        self._source = open_source(dataset.validation, device, loaders=loaders)
        self._normalize = Normalize(dataset.mean, dataset.std)
        self._device, self._dtype = device, choose_precision(precision, device)

    def look(self, network: MixedSupernet, weights: Tensor | None = None) -> tuple[float, float]:
        """Return accuracy, a fraction, and mean loss; batch norms normalise by each batch.

        Parameters
        ----------
        network : MixedSupernet
            On the device.
        weights : Tensor, shape (edges, operations), optional
            Of the operations; default: the network's own.
        """
        total = torch.zeros(2, device=self._device)
        parts = evaluation_parts(self._count, _BATCH, ALONE)
        with evaluating(network), autocast(self._device, self._dtype):
            for pixels, labels in self._source.batches(parts, np.random.default_rng(0)):
                logits = network(self._normalize(pixels), weights).float()
                loss = functional.cross_entropy(logits, labels, reduction="sum")
                total += torch.stack([(logits.argmax(1) == labels).sum().float(), loss])
        correct, loss = (total / self._count).tolist()
        return correct, loss
