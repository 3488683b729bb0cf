"""Scores of many architectures of one supernet, with images that stay on the device."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from weaknas.supernets.measure import Calibration, in_memory
from weaknas.training.data import Dataset, Split
from weaknas.training.devices import arithmetic, choose_device
from weaknas.training.measure import Examination
from weaknas.training.metrics import get_metric


class Scoring:
    """A supernet and the images that its architectures are scored on.

    Parameters
    ----------
    network : Module
        With `extract` and `input_size`.
    dataset : Dataset
    calibration : int
        Training images that batch norms are recalibrated on.
    metric : str, Metric, MeanMetric or callable
        See `weaknas.training.metrics.get_metric`.
    device : str, optional
        Default: the fastest there is.
    precision : str
        As in `weaknas.training.Protocol`.
    loaders : int, optional
        Processes that decode image files; default: one a core, at most 8.
    """

    def __init__(
        self,
        network: Any,
        dataset: Dataset,
        *,
        calibration: int,
        metric: object = "auto",
        device: str | None,
        precision: str,
        loaders: int | None,
    ) -> None:
        self.device = choose_device(device)
        self.network, self.dataset = network.eval().to(self.device), dataset
        self._images, self.metric = calibration, get_metric(metric, dataset.task)
        self._options: dict[str, Any] = {"precision": precision, "loaders": loaders}
        self._calibrations: dict[int | None, Calibration] = {}
        self._examinations: dict[tuple[int, int | None], Examination] = {}

    def values(self, genotypes: npt.NDArray[np.integer], split: Split) -> npt.NDArray[np.float64]:
        """Return the metric of each genotype, (n, d), on a split of the data set; shape (n,)."""
        with arithmetic(False, None):
            return np.array([self._value(genotype, split) for genotype in genotypes])

    def scores(self, genotypes: npt.NDArray[np.integer], split: Split) -> npt.NDArray[np.float64]:
        """Return the scores of what `values` returns: larger is better; shape (n,)."""
        return np.array([self.metric.score(value) for value in self.values(genotypes, split)])

    def cut_out(self, genotype: npt.NDArray[np.integer]) -> nn.Module:
        """Return one architecture, recalibrated, as a module of its own on the device."""
        alone: nn.Module = self.network.extract(genotype)
        self._calibration(self.network.input_size(genotype))(alone)
        return alone

    def _value(self, genotype: npt.NDArray[np.integer], split: Split) -> float:
        size = self.network.input_size(genotype)
        return self._examination(split, size).value(self.cut_out(genotype))

    def _calibration(self, size: int | None) -> Calibration:
        if size not in self._calibrations:
            self._calibrations[size] = Calibration(
                self.dataset, self.device, images=self._images, size=size, **self._options
            )
        return self._calibrations[size]

    def _examination(self, split: Split, size: int | None) -> Examination:
        key = (id(split), size)
        if key not in self._examinations:
            decoded = in_memory(split, size, self._options["loaders"])
            self._examinations[key] = Examination(
                decoded, self.dataset, self.device, metric=self.metric, **self._options
            )
        return self._examinations[key]
