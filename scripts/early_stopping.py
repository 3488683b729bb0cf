"""Early stops by extrapolated learning curves, measured against full trainings on digits.

Random cells of NAS-Bench-201 are trained in full, with their learning curves. Then, in
many random orders: the first cells are trained in full, the others are stopped when
they are unlikely to beat the best of the first. What is told, with the spread over
orders: the share of epochs that were saved, how much worse the best cell is that was
trained in full than the best of all, how many would-be winners were stopped, and how
well predicted ends were calibrated, by the epochs that were seen.

    python scripts/early_stopping.py --quick
    python scripts/early_stopping.py --cells 60 --epochs 12
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from _shared import parser, save, start

from weaknas.evaluators.train import TrainEvaluator, curve_of
from weaknas.execution import ProcessPool
from weaknas.laboratory.statistics import bootstrap_interval
from weaknas.registry import get_space
from weaknas.runs.runner import run
from weaknas.strategies import RandomSearch
from weaknas.training.learning_curves import CurveExtrapolation, EarlyStop

SPACE, DATASET = "nasbench201", "digits"

Floats = npt.NDArray[np.float64]


def train(work: Path, cells: int, epochs: int, seed: int, jobs: int) -> Floats:
    """Train random cells in full and return their curves, shape (cells, epochs)."""
    space, folder = get_space(SPACE), work / f"early-stopping-{cells}x{epochs}-{seed}"
    evaluator = TrainEvaluator(space, dataset=DATASET, epochs=epochs, device="cpu")
    evaluator.keep_in(folder)
    with ProcessPool(jobs) as pool:
        result = run(
            RandomSearch(space, seed=seed, batch_size=cells),
            evaluator,
            cells,
            executor=pool,
            output=folder,
        )
    return np.array([curve_of(trial.evaluation) for trial in result.trials if trial.is_ok])


def stop_early(curves: Floats, first: int, risk: float) -> dict[str, float]:
    """Train in the order of the rows; the first ones in full."""
    known, rest = curves[:first], curves[first:]
    stop = EarlyStop(known, risk=risk)
    epochs = curves.shape[1]
    lengths = _lengths(stop, rest)
    full = np.concatenate([known[:, -1], rest[lengths == epochs, -1]])
    better = rest[:, -1] > stop.target
    return {
        "epochs_saved": 1 - lengths.sum() / rest.size,
        "accuracy_lost": float(curves[:, -1].max() - full.max()),
        "winners": float(better.sum()),
        "winners_stopped": float((better & (lengths < epochs)).sum()),
    }


def _lengths(stop: EarlyStop, curves: Floats) -> npt.NDArray[np.int64]:
    """After how many epochs each training is stopped, or all; all trainings at once."""
    epochs = curves.shape[1]
    lengths = np.full(len(curves), epochs)
    for seen in range(epochs - 1, stop.earliest - 1, -1):
        begun = np.where(np.arange(epochs) < seen, curves, np.nan)
        lengths[stop.model.probability_above(begun, stop.target) < stop.risk] = seen
    return lengths


def calibrate(orders: list[Floats], first: int) -> list[dict[str, float]]:
    """Errors of predicted ends of the curves after the first, by epochs seen."""
    epochs, rows = orders[0].shape[1], []
    models = [CurveExtrapolation(epochs).fit(curves[:first]) for curves in orders]
    for seen in range(1, epochs):
        errors, deviations, naive = [], [], []
        for model, curves in zip(models, orders, strict=True):
            rest = curves[first:]
            mean, std = model.predict(np.where(np.arange(epochs) < seen, rest, np.nan))
            errors.append(rest[:, -1] - mean)
            deviations.append(std)
            naive.append(rest[:, -1] - rest[:, seen - 1])
        error, std = np.concatenate(errors), np.concatenate(deviations)
        rows.append(
            {
                "seen": seen,
                "rmse": round(float(np.sqrt((error**2).mean())), 4),
                "rmse_of_last_value": round(float(np.sqrt((np.concatenate(naive) ** 2).mean())), 4),
                "mean_std": round(float(std.mean()), 4),
                "inside_68": round(float((np.abs(error) < std).mean()), 3),
                "inside_95": round(float((np.abs(error) < 1.96 * std).mean()), 3),
            }
        )
    return rows


def _interval(values: list[float]) -> dict[str, Any]:
    low, high = bootstrap_interval(values)
    known = [None if np.isnan(bound) else round(bound, 4) for bound in (low, high)]
    return {"mean": round(float(np.mean(values)), 4), "ci95": known}


def main() -> None:
    """Train, stop in many orders, and print."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--cells", type=int, default=60)
    arguments.add_argument("--epochs", type=int, default=12)
    arguments.add_argument("--first", type=int, default=15, help="cells trained in full")
    arguments.add_argument("--orders", type=int, default=50)
    arguments.add_argument("--risks", type=float, nargs="*", default=[0.01, 0.05, 0.2])
    options = arguments.parse_args()
    if options.quick:
        options.cells, options.epochs, options.first, options.orders = 6, 2, 5, 2
    curves = train(options.work, options.cells, options.epochs, options.seed, options.jobs)
    chance = np.random.default_rng(options.seed)
    orders = [curves[chance.permutation(len(curves))] for _ in range(options.orders)]
    content: dict[str, Any] = {
        "cells": len(curves),
        "epochs": options.epochs,
        "first": options.first,
        "orders": len(orders),
        "accuracy": {"best": curves[:, -1].max(), "mean": round(curves[:, -1].mean(), 4)},
        "risks": {},
        "calibration": calibrate(orders, options.first),
    }
    for risk in options.risks:
        runs = [stop_early(order, options.first, risk) for order in orders]
        content["risks"][str(risk)] = {
            name: _interval([single[name] for single in runs]) for name in runs[0]
        }
        print(f"risk {risk}: {content['risks'][str(risk)]}")
    for row in content["calibration"]:
        print(row)
    save(options, "early-stopping", content)


if __name__ == "__main__":
    start(main)
