"""The surrogate benchmark of the DARTS space, NAS-Bench-301, through the user's own package."""

from __future__ import annotations

import importlib
import math
import threading
from collections import namedtuple
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from weaknas.errors import InputError, MissingDependencyError, unknown
from weaknas.evaluators._base import Evaluation
from weaknas.evaluators.tabular import LABELS, Labels
from weaknas.files import data_folders
from weaknas.spaces import Architecture
from weaknas.spaces.darts import DARTS
from weaknas.spaces.darts.genotype import parse_cells

_MODELS = "nb_models_1.0"
_ACCURACY, _RUNTIME = "xgb_v1.0", "lgb_runtime_v1.0"
# The package takes a named tuple of this form.
_Genotype = namedtuple("_Genotype", "normal normal_concat reduce reduce_concat")
# Its noise comes from numpy's global generator, of which there is one a process.
_GLOBAL_GENERATOR = threading.Lock()


class NASBench301:
    """Validation accuracy on CIFAR-10 as the surrogate models of NAS-Bench-301 predict it.

    The surrogates (Zela et al., ICLR 2022, arXiv:2008.09777) see the numbering of
    the nodes, so they tell isomorphic architectures apart; the canonical form is
    what is asked for, so that here these are one.

    Parameters
    ----------
    models : path, optional
        The folder ``nb_models_1.0`` that the package downloads; default: the one
        in the data folder's ``darts``.
    labels : {"one-seed", "mean"}
        With the noise that the ensemble predicts for one training, drawn with the
        seed of the evaluation, or without.

    Raises
    ------
    InputError
        When the labels are unknown or the models are not there.
    MissingDependencyError
        When the package ``nasbench301`` is not installed.
    """

    name = "darts/nasbench301"

    def __init__(self, models: str | Path | None = None, *, labels: Labels = "one-seed") -> None:
        if labels not in LABELS:
            raise unknown("labels", labels, LABELS)
        self.labels = labels
        self.space = DARTS()
        self.models = find_models() if models is None else Path(models)
        if not (self.models / _ACCURACY).is_dir():
            raise InputError(
                f"{self.models}: holds no {_ACCURACY}; download the models of NAS-Bench-301:"
                " python -c \"import nasbench301; nasbench301.download_models('1.0')\""
            )
        _package()

    def describe(self) -> dict[str, Any]:
        """Return name and labels as plain JSON types."""
        return {"benchmark": self.name, "labels": self.labels, "models": _ACCURACY}

    def trainings(self, architecture: Architecture) -> float:
        """Return infinity where labels have noise, else 1."""
        return 1.0 if self.labels == "mean" else math.inf

    def evaluate(
        self, architecture: Architecture, *, seed: int, fidelity: float | None = None
    ) -> Evaluation:
        """Predict the validation accuracy in percent and the seconds of a training.

        Raises
        ------
        InputError
            When a fidelity is given, or the architecture is not of the space.
        """
        if fidelity is not None:
            raise InputError(f"NAS-Bench-301 predicts full trainings only, not fidelity {fidelity}")
        canonical = self.space.canonicalize(self.space.genotypes([architecture]))[0]
        normal, reduction = parse_cells(self.space.format(canonical))
        nodes = list(range(2, 6))
        genotype = _Genotype(normal, nodes, reduction, nodes)
        accuracy = self._predict(self._accuracy, genotype, seed)
        runtime = self._runtime
        cost = 0.0 if runtime is None else max(float(_ask(runtime, genotype, False)), 0.0)
        return Evaluation(accuracy, cost=cost)

    def _predict(self, model: Any, genotype: Any, seed: int) -> float:
        if self.labels == "mean":
            return float(_ask(model, genotype, False))
        with _GLOBAL_GENERATOR:
            before = np.random.get_state()  # noqa: NPY002
            np.random.seed(seed % 2**32)  # noqa: NPY002
            try:
                return float(_ask(model, genotype, True))
            finally:
                np.random.set_state(before)  # noqa: NPY002

    @cached_property
    def _accuracy(self) -> Any:
        return _package().load_ensemble(str(self.models / _ACCURACY))

    @cached_property
    def _runtime(self) -> Any:
        folder = self.models / _RUNTIME
        return _package().load_ensemble(str(folder)) if folder.is_dir() else None

    def __getstate__(self) -> dict[str, Any]:
        # The models are loaded anew in another process.
        return {k: v for k, v in self.__dict__.items() if k not in ("_accuracy", "_runtime")}


def find_models() -> Path:
    """Return the folder of the models in the first data folder that has it, else in the first."""
    places = [folder / "darts" / _MODELS for folder in data_folders()]
    return next((place for place in places if place.is_dir()), places[0])


def _package() -> Any:
    try:
        return importlib.import_module("nasbench301")
    except ImportError as error:
        raise MissingDependencyError(
            f"the package nasbench301 cannot be imported ({error}); it is installed from"
            " github.com/automl/nasbench301 with the versions that it asks for"
        ) from error


def _ask(model: Any, genotype: Any, with_noise: bool) -> Any:
    return model.predict(config=genotype, representation="genotype", with_noise=with_noise)
