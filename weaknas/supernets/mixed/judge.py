"""How good a mixed supernet is with some weights, on what is held out."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from weaknas.errors import InputError
from weaknas.spaces.cells.mixed import MixedSupernet
from weaknas.training.data import Dataset
from weaknas.training.devices import autocast, choose_precision
from weaknas.training.losses import make_loss
from weaknas.training.measure import batch_of, evaluating
from weaknas.training.metrics import MeanMetric, get_metric
from weaknas.training.protocol import Protocol
from weaknas.training.sources import open_source
from weaknas.training.transforms import make_normalization


class Judge:
    """The validation split of a data set, to score mixtures by.

    Parameters
    ----------
    dataset : Dataset
    device : torch.device
    protocol : Protocol
        Its metric, loss and precision.
    loaders : int, optional
        Processes that decode image files; default: one a core, at most 8.

    Raises
    ------
    InputError
        When the metric needs all outputs at once.
    """

    def __init__(
        self,
        dataset: Dataset,
        device: torch.device,
        protocol: Protocol,
        loaders: int | None = None,
    ) -> None:
        self._count = len(dataset.validation)
        self._source = open_source(dataset.validation, device, loaders=loaders)
        self._normalize = make_normalization(dataset)
        self._device, self._dtype = device, choose_precision(protocol.precision, device)
        self._batch = batch_of(dataset)
        metric = get_metric(protocol.metric, dataset.task)
        if not isinstance(metric, MeanMetric):
            raise InputError(
                f"the metric {metric.name!r} needs all outputs at once; mixtures are compared by a"
                " mean over batches, such as accuracy or the mean squared error"
            )
        self.metric = metric
        self._criterion = make_loss(replace(protocol, label_smoothing=0.0), dataset.task)

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
        totals = []
        # Even parts: a batch of one could not be normalised by itself.
        parts = np.array_split(np.arange(self._count), math.ceil(self._count / self._batch))
        with evaluating(network), autocast(self._device, self._dtype):
            for inputs, labels in self._source.batches(parts, np.random.default_rng(0)):
                logits = network(self._normalize(inputs), weights).float()
                found = self.metric.totals(labels, logits)
                loss = self._criterion(logits, labels) * found[1]
                totals.append(torch.cat([found, loss[None]]))
        total, count, loss = torch.stack(totals).sum(0).tolist()
        return self.metric.finish(total, count), loss / count
