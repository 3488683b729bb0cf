"""Measuring what a search returned, on the device that a model of costs was learnt on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from weaknas.costs import CostModel, write_model
from weaknas.costs.files import write_measurements
from weaknas.errors import InputError
from weaknas.spaces import ConstrainedSpace, SearchSpace
from weaknas.strategies import Contender
from weaknas.training.latency import Timings, measure_networks

_MOST = 5  # contenders that are measured


def models_to_verify(space: SearchSpace) -> list[CostModel]:
    """Return the models of costs that were measured here.

    Raises
    ------
    InputError
        When there is none.
    """
    models = [cost for cost in space.costs().values() if isinstance(cost, CostModel)]
    here = [model for model in models if model.setting]
    if not here:
        raise InputError(
            "--verify measures contenders as `weaknas latency --measure` did, and no model of this"
            " search was measured on this device; give one by --measured"
        )
    return here


def verify(
    space: SearchSpace, contenders: tuple[Contender, ...], folder: Path
) -> list[dict[str, Any]]:
    """Measure the first contenders; write models that know that, too, into a folder.

    Returns
    -------
    list of dict
        For each cost and contender what was predicted and measured, and whether all limits
        on it hold, the best contender first.
    """
    rows = space.canonicalize(space.genotypes([item.architecture for item in contenders[:_MOST]]))
    constraints = space.constraints if isinstance(space, ConstrainedSpace) else ()
    found = []
    for model in models_to_verify(space):
        beside = folder / f"{model.name}.csv"

        def keep(timings: Timings, model: CostModel = model, beside: Path = beside) -> None:
            write_measurements(beside, model.space, rows, model.name, timings.medians)

        measured = measure_networks(model.space, rows, keep=keep, **model.setting).medians
        limits = [c.bind(model).constraint for c in constraints if c.cost == model.name]
        for contender, predicted, value in zip(contenders, model(rows), measured, strict=False):
            found.append(
                {
                    "cost": model.name,
                    "unit": model.unit,
                    "architecture": contender.architecture.text,
                    "predicted": float(predicted),
                    "measured": float(value),
                    "within": bool(all(limit.low <= value <= limit.high for limit in limits)),
                }
            )
        write_model(folder / f"{model.name}.json", model.extended(rows, np.asarray(measured)))
    return found
