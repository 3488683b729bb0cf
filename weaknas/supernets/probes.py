"""Some architectures whose accuracy is followed while a supernet is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from weaknas.spaces import SearchSpace
from weaknas.supernets.measure import Calibration
from weaknas.training.data import Dataset
from weaknas.training.measure import Examination
from weaknas.training.protocol import Protocol

_RANDOM = 4
_CALIBRATION = 500


class Probes:
    """The largest and the smallest architecture, or a few at random where there are none.

    Parameters
    ----------
    space : SearchSpace
    dataset : Dataset
        They are scored on its validation split.
    device : torch.device
    seed : int
        Of the random ones.
    protocol : Protocol
        Of the precision.
    loaders : int, optional
        Processes that decode image files; default: one a core, at most 8.
    """

    def __init__(
        self,
        space: SearchSpace,
        dataset: Dataset,
        device: torch.device,
        seed: int,
        protocol: Protocol,
        loaders: int | None,
    ) -> None:
        if space.ordered.all():
            self.genotypes = {
                "largest": space.cardinalities - 1,
                "smallest": space.cardinalities * 0,
            }
        else:
            drawn = space.sample(_RANDOM, np.random.default_rng(seed))
            names = [architecture.text for architecture in space.architectures(drawn)]
            self.genotypes = dict(zip(names, drawn, strict=True))
        options: dict[str, Any] = {"precision": protocol.precision, "loaders": loaders}
        self._calibrate = Calibration(dataset, device, images=_CALIBRATION, **options)
        self._examination = Examination(
            dataset.validation, dataset, device, metric=protocol.metric, **options
        )
        self.metric = self._examination.metric.name

    def look(self, network: Any) -> dict[str, float]:
        """Return the metric of each on the validation split, cut out and recalibrated."""
        values = {}
        for name, genotype in self.genotypes.items():
            alone = network.extract(genotype).eval()
            self._calibrate(alone)
            values[name] = self._examination.value(alone)
        return values
