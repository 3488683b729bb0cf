"""Measuring what a search is about to train and returns, where a model of costs was learnt."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from weaknas.costs import CostModel, MeasuredCost, write_model
from weaknas.costs.files import read_measurements, write_measurements
from weaknas.costs.process import Floats
from weaknas.errors import InputError
from weaknas.spaces import ConstrainedSpace, CostFunction, Genotypes, SearchSpace
from weaknas.strategies import Contender
from weaknas.training.latency import measure_networks

_MOST = 5  # contenders that are measured


class Device:
    """Measures networks here, as was done for a model, and keeps what came out.

    A search that is continued finds its measurements in the order in which it asked.

    Parameters
    ----------
    model : CostModel
        That was measured here.
    folder : path
        Of the run; measurements are in a CSV file called as the cost.
    """

    def __init__(self, model: CostModel, folder: Path) -> None:
        self._model, self._path = model, folder / f"{model.name}.csv"

    def __call__(self, genotypes: Genotypes) -> Floats:
        """Return what was measured of genotypes, (n, d), each once; shape (n,)."""
        model, space = self._model, self._model.space
        known: dict[str, float] = {}
        if self._path.exists():
            rows, values = read_measurements(self._path, space, model.name, model.unit, least=0)
            known = dict(zip(map(space.format, rows), values.tolist(), strict=True))
        texts = [space.format(row) for row in genotypes]
        new = [place for place, text in enumerate(texts) if text not in known]
        if new:
            medians = measure_networks(space, genotypes[new], **model.setting).medians
            # As the file has them: a run that is continued goes on from the very same.
            known |= {
                texts[place]: float(f"{value:.6g}")
                for place, value in zip(new, medians, strict=True)
            }
            rows = space.genotypes(list(known))
            measured = np.array(list(known.values()))
            write_measurements(self._path, space, rows, model.name, measured, model.unit)
            print(f"{len(known)} networks measured, kept in {self._path}", file=sys.stderr)
        return np.array([known[text] for text in texts])


def measured_in(folder: Path, model: CostModel) -> CostFunction:
    """Return the cost that is measured where it is in doubt, if the model was measured here."""
    return MeasuredCost(model, Device(model, folder)) if model.setting else model


def check_verifiable(space: SearchSpace) -> None:
    """Refuse to verify where nothing can be measured.

    Raises
    ------
    InputError
        When no model of costs was measured here.
    """
    if not _measured_costs(space):
        raise InputError(
            "--verify measures architectures as `weaknas latency --measure` did, and no model of"
            " this search was measured on this device; give one by --measured"
        )


def _measured_costs(space: SearchSpace) -> list[MeasuredCost]:
    return [cost for cost in space.costs().values() if isinstance(cost, MeasuredCost)]


def verify(
    space: SearchSpace, contenders: tuple[Contender, ...], folder: Path
) -> list[dict[str, Any]]:
    """Measure the first contenders; write models that know all that was measured.

    Returns
    -------
    list of dict
        For each cost and contender what the model that the search began with predicts, what was
        measured, and whether all limits on it hold, the best contender first.
    """
    rows = space.canonicalize(space.genotypes([item.architecture for item in contenders[:_MOST]]))
    constraints = space.constraints if isinstance(space, ConstrainedSpace) else ()
    found = []
    for cost in _measured_costs(space):
        cost.measure(rows)
        name = cost.model.name
        limits = [c.bind(cost).constraint for c in constraints if c.cost == name]
        for contender, predicted, value in zip(
            contenders, cost.first(rows), cost(rows), strict=False
        ):
            found.append(
                {
                    "cost": name,
                    "unit": cost.unit,
                    "architecture": contender.architecture.text,
                    "predicted": float(predicted),
                    "measured": float(value),
                    "within": bool(all(limit.low <= value <= limit.high for limit in limits)),
                }
            )
        write_model(folder / f"{name}.json", cost.model)
    return found
