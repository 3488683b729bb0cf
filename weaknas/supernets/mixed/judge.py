"""How good a mixed supernet is with some weights, on what is held out."""

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
from weaknas.training.measure import batch_of, evaluating
from weaknas.training.metrics import MeanMetric, get_metric
from weaknas.training.sources import open_source
from weaknas.training.transforms import make_normalization


class Judge:
    """The validation split of a data set, to score mixtures by.

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
        self._normalize = make_normalization(dataset)
        self._device, self._dtype = device, choose_precision(precision, device)
        self._batch = batch_of(dataset)
        self.metric = get_metric("auto", dataset.task)

    def look(self, network: MixedSupernet, weights: Tensor | None = None) -> tuple[float, float]:
        """Return the metric, accuracy or perplexity, and the mean loss.

        Batch norms normalise by each batch.

        Parameters
        ----------
        network : MixedSupernet
            On the device.
        weights : Tensor, shape (edges, operations), optional
            Of the operations; default: the network's own.
        """
        assert isinstance(self.metric, MeanMetric)
        totals = []
        parts = evaluation_parts(self._count, self._batch, ALONE)
        with evaluating(network), autocast(self._device, self._dtype):
            for inputs, labels in self._source.batches(parts, np.random.default_rng(0)):
                logits = network(self._normalize(inputs), weights).float()
                loss = functional.cross_entropy(logits, labels, reduction="sum")
                totals.append(torch.cat([self.metric.totals(labels, logits), loss[None]]))
        total, count, loss = torch.stack(totals).sum(0).tolist()
        return self.metric.finish(total, count), loss / count
