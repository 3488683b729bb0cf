"""An evaluator that shares weights: architectures are cut out of one trained supernet."""

from __future__ import annotations

import hashlib
import math
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, check_whole, optional_import
from weaknas.evaluators._base import Evaluation
from weaknas.spaces import Architecture, SearchSpace
from weaknas.training.data import Dataset, check_dataset, load_dataset

if TYPE_CHECKING:
    from torch.nn import Module

    from weaknas.supernets.scoring import Scoring

_OPENED = ("_opened", "_loaded", "_lock")  # attributes that stay in their process


class SupernetEvaluator:
    """Accuracy, or another metric, of an architecture with the weights of a trained supernet.

    The architecture is cut out, the statistics of its batch norms are taken anew from a
    fixed number of training images, and it is scored on the validation split, which is
    held out of the training images. The test split (of ImageNet: the official validation
    images) is for `report` alone.

    Images are decoded once and kept on the device. Sent to another process, e.g. one a
    GPU, the evaluator takes settings along only and opens its files there again.

    Parameters
    ----------
    space : SearchSpace
        With a supernet; where the resolution is a choice, images are scaled to it.
    checkpoint : path
        What ``weaknas train-supernet`` wrote, of single paths or mixed, or a state dict,
        e.g. the published ``ofa_mbv3_d234_e346_k357_w1.2``.
    dataset : str or Dataset, optional
        See `weaknas.training.load_dataset`; default: what the supernet was trained on,
        where the file says so.
    path : path, optional
        Of the data set.
    validation : int, optional
        Training images that are held out; default: as the data set says.
    calibration : int
        Training images that batch norms are recalibrated on.
    device : str, optional
        Default: the fastest there is.
    precision : str
        As in `weaknas.training.Protocol`.
    metric : str, Metric, MeanMetric or callable
        See `weaknas.training.metrics.get_metric`; default: that of the data set's task.
    loaders : int, optional
        Processes that decode image files; default: one a core, at most 8.
    **skeleton
        Options of the supernet of the space; default: those in the file.

    Raises
    ------
    InputError
        When the space has no supernet, the checkpoint is not given, missing, damaged or of another
        network (the first entry that differs is named with its shape), the data set
        cannot be read, or torch is not installed.
    """

    name = "supernet"

    def __init__(
        self,
        space: SearchSpace,
        *,
        checkpoint: str | Path | None = None,
        dataset: str | Dataset | None = None,
        path: str | None = None,
        validation: int | None = None,
        calibration: int = 2000,
        device: str | None = None,
        precision: str = "auto",
        metric: object = "auto",
        loaders: int | None = None,
        **skeleton: Any,
    ) -> None:
        check_whole("calibration", calibration)
        if checkpoint is None:
            raise InputError(
                "the evaluator supernet needs the file of its weights, checkpoint=FILE;"
                " weaknas train-supernet writes one"
            )
        optional_import("torch", "train")
        from weaknas.supernets.files import read_about
        from weaknas.training.devices import read_device

        self.space, self.checkpoint, self.calibration = space, Path(str(checkpoint)), calibration
        if device is not None:
            read_device(device)
        self.device, self.precision, self.loaders = device, precision, loaders
        self.metric = metric
        self.path, self.validation = path, validation
        about = read_about(self.checkpoint)
        self.skeleton = about.get("skeleton", {}) | skeleton
        self._is_mixed = "mixed" in about
        named = about.get("dataset") if dataset is None else dataset
        if named is None:
            raise InputError(
                f"{checkpoint} does not say which data set the supernet is for; name it"
            )
        self._dataset = check_dataset(named)
        self._start()
        self._scoring  # noqa: B018 what is wrong is said now, not in every evaluation

    def _start(self) -> None:
        self._opened: Scoring | None = None
        self._loaded: Dataset | None = None
        self._lock = threading.Lock()

    @property
    def dataset(self) -> Dataset:
        """The data, read when first asked for."""
        if isinstance(self._dataset, Dataset):
            return self._dataset
        if self._loaded is None:
            self._loaded = load_dataset(self._dataset, self.path, validation=self.validation)
        return self._loaded

    @property
    def _scoring(self) -> Scoring:
        from weaknas.supernets.building import build_supernet
        from weaknas.supernets.scoring import Scoring

        if self._opened is None:
            network: Any = build_supernet(
                self.space, self.dataset, mixed=self._is_mixed, **self.skeleton
            )
            network.load_checkpoint(self.checkpoint)
            self._opened = Scoring(
                network,
                self.dataset,
                calibration=self.calibration,
                device=self.device,
                precision=self.precision,
                metric=self.metric,
                loaders=self.loaders,
            )
        return self._opened

    def describe(self) -> dict[str, Any]:
        """Return what decides the scores, as plain JSON types."""
        return {
            "evaluator": self.name,
            "checkpoint": hashlib.blake2b(self.checkpoint.read_bytes(), digest_size=8).hexdigest(),
            "dataset": self.dataset.describe(),
            "calibration": self.calibration,
            "precision": self.precision,
            "skeleton": self.skeleton,
            **({} if self.metric == "auto" else {"metric": self._scoring.metric.name}),
        }

    def trainings(self, architecture: Architecture) -> float:
        """Return 1: the weights are shared, and their scores have no noise."""
        return 1.0

    def evaluate(
        self, architecture: Architecture, *, seed: int, fidelity: float | None = None
    ) -> Evaluation:
        """Score one architecture; the metrics are the costs that the space knows.

        Raises
        ------
        InputError
            When the architecture is not in the space, or a fidelity is asked for.
        """
        if fidelity is not None:
            raise InputError(f"supernet has no fidelities, and {fidelity:g} was asked for")
        begin = time.perf_counter()
        row = self.space.genotypes([architecture])
        with self._lock:
            scoring = self._scoring
            value = float(scoring.values(row, self.dataset.validation)[0])
        score = scoring.metric.score(value)
        if not math.isfinite(score):
            reason = f"the {scoring.metric.name} is {value}"
            return Evaluation.failure("diverged", reason, time.perf_counter() - begin)
        metrics = {} if score == value else {scoring.metric.name: value}
        metrics |= {name: float(cost(row)[0]) for name, cost in self.space.costs().items()}
        return Evaluation(score, metrics, time.perf_counter() - begin)

    def scores(self, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
        """Return the scores, of accuracy fractions, on held-out training images; shape (n,).

        Parameters
        ----------
        genotypes : ndarray of int, shape (n, d)
        """
        with self._lock:
            return self._scoring.scores(genotypes, self.dataset.validation)

    def network(self, architecture: Architecture) -> Module:
        """Return an architecture as a module of its own, recalibrated, on the device.

        Raises
        ------
        InputError
            When it is not in the space.
        """
        with self._lock:
            return self._scoring.cut_out(self.space.genotypes([architecture])[0])

    def report(self, architecture: Architecture) -> float:
        """Return the metric, accuracy a fraction, on the test split: one number, at the end.

        Raises
        ------
        InputError
            When the architecture is not in the space.
        """
        with self._lock:
            row = self.space.genotypes([architecture])
            return float(self._scoring.values(row, self.dataset.test)[0])

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in _OPENED}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._start()
