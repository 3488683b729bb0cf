"""The accuracy predictor of once-for-all: a stand-in for ImageNet in a space of 10^19."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, unknown
from weaknas.evaluators._base import Evaluation
from weaknas.files import data_folders
from weaknas.spaces import Architecture, SearchSpace
from weaknas.spaces.files.torch_files import read_state_dict
from weaknas.spaces.mobilenetv3 import MobileNetV3
from weaknas.spaces.mobilenetv3.encoding import (
    FEATURES,
    RESOLUTIONS,
    encode_for_predictor,
)

Scores = npt.NDArray[np.float64]

_FILE = Path("mobilenet") / "ofa_acc_predictor_w1.2.pth"
_WIDTH = 1.2
_HIDDEN = 400
_CHUNK = 4096
_SHAPES = {
    f"{2 * layer}.{kind}": shape
    for layer, (given, made) in enumerate(
        [(FEATURES, _HIDDEN), (_HIDDEN, _HIDDEN), (_HIDDEN, _HIDDEN), (_HIDDEN, 1)]
    )
    for kind, shape in (("weight", (made, given)), ("bias", (made,)))
}


class OFAPredictor:
    """ImageNet accuracy of a subnet as once-for-all's published predictor has it.

    A multilayer perceptron, 128-400-400-400-1, that was fitted to subnets of the
    supernet of width 1.2 on 10,000 images of ImageNet's training set (Cai et al.,
    ICLR 2020, arXiv:1908.09791, section 3.4). Its values are fractions and
    optimistic; what they are good for is their order. Computed in float64 without
    torch, some ten thousand architectures a second on one core.

    Parameters
    ----------
    space : SearchSpace
        `MobileNetV3` of width 1.2, or a part of it.
    path : str or Path, optional
        The published state dict (once-for-all's ``acc_predictor.pth``); default:
        ``mobilenet/ofa_acc_predictor_w1.2.pth`` in a data folder.
    resolution : int, optional
        Score at this resolution, whatever that of the space is, in which its costs
        are counted; default: that of the space.

    Raises
    ------
    InputError
        When the space is another one, the predictor does not know a resolution, or
        the file is missing, damaged or of another network (the first entry that
        differs is named).
    """

    name = "ofa-predictor"

    def __init__(
        self,
        space: SearchSpace,
        path: str | Path | None = None,
        resolution: int | None = None,
    ) -> None:
        if space.name != MobileNetV3.name:
            raise InputError(
                f"ofa-predictor scores the space {MobileNetV3.name!r}, not {space.name!r}"
            )
        whole = space
        while not isinstance(whole, MobileNetV3):
            whole = whole.whole  # type: ignore[attr-defined]  # a part of it
        if whole.width != _WIDTH:
            raise InputError(f"ofa-predictor knows nets of width {_WIDTH}, not {whole.width:g}")
        self.resolutions = whole.resolutions if resolution is None else (resolution,)
        for value in self.resolutions:
            if value not in RESOLUTIONS:
                raise unknown("resolution of ofa-predictor", value, RESOLUTIONS)
        self.space = space
        self._layers, self._checksum = _read_layers(_locate(path))

    def describe(self) -> dict[str, Any]:
        """Return what decides the scores, as plain JSON types."""
        return {
            "evaluator": self.name,
            "resolutions": list(self.resolutions),
            "checksum": self._checksum,
        }

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
            raise InputError(f"ofa-predictor has no fidelities, and {fidelity:g} was asked for")
        row = self.space.genotypes([architecture])
        metrics = {name: float(cost(row)[0]) for name, cost in self.space.costs().items()}
        return Evaluation(float(self.scores(row)[0]), metrics)

    def trainings(self, architecture: Architecture) -> float:
        """Return 1: a prediction has no noise."""
        return 1.0

    def scores(self, genotypes: npt.NDArray[np.integer]) -> Scores:
        """Return the predicted accuracy, a fraction, of each genotype, (n, d); shape (n,)."""
        rows = np.asarray(genotypes)
        scores = np.empty(len(rows))
        for start in range(0, len(rows), _CHUNK):
            part = slice(start, start + _CHUNK)
            scores[part] = self._predict(encode_for_predictor(rows[part], self.resolutions))
        return scores

    def _predict(self, features: npt.NDArray[np.float64]) -> Scores:
        values = features
        *hidden, last = self._layers
        for weight, bias in hidden:
            values = np.maximum(values @ weight + bias, 0.0)
        weight, bias = last
        return np.asarray((values @ weight + bias)[:, 0])


def _locate(path: str | Path | None) -> Path:
    if path is not None:
        return Path(path)
    folders = data_folders()
    for folder in folders:
        if (folder / _FILE).is_file():
            return folder / _FILE
    places = ", ".join(str(folder / _FILE) for folder in folders)
    raise InputError(
        f"no accuracy predictor of once-for-all at {places}; put its acc_predictor.pth there or"
        " name it: OFAPredictor(space, path)"
    )


def _read_layers(path: Path) -> tuple[list[tuple[Scores, Scores]], str]:
    state = read_state_dict(path)
    for name, shape in _SHAPES.items():
        if name not in state:
            raise InputError(f"{path}: not the accuracy predictor, {name!r} is missing")
        if state[name].shape != shape:
            raise InputError(
                f"{path}: not the accuracy predictor, {name!r} has the shape"
                f" {state[name].shape}, not {shape}"
            )
        if not np.isfinite(state[name]).all():
            raise InputError(f"{path}: damaged, {name!r} has values that are no numbers")
    digest = hashlib.blake2b(digest_size=8)
    for name in _SHAPES:
        digest.update(np.ascontiguousarray(state[name]).tobytes())
    weights = {name: state[name].astype(np.float64) for name in _SHAPES}
    layers = [(weights[f"{2 * i}.weight"].T, weights[f"{2 * i}.bias"]) for i in range(4)]
    return layers, digest.hexdigest()
