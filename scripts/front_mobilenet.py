"""Search the front of accuracy and latency in the MobileNet space, on a phone and a desktop.

Latencies are sums of once-for-all's tables of blocks, for the Note10 and the i7-8700K; scores
are those of its accuracy predictor, which ranks well and is optimistic. The best front is not
known: the volume that a search dominates is told in percent of what all searches on the
device dominate together, up to the largest latency and down to the lowest score that any
of them met. Beside it: the best score within three latencies, those of once-for-all's own
networks for the Note10 and half of them for the desktop, from the same trainings.

    WEAKNAS_DATA=... python scripts/front_mobilenet.py --quick
    WEAKNAS_DATA=... python scripts/front_mobilenet.py
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from _shared import parser, save, start

from weaknas.components import run_seed
from weaknas.laboratory.statistics import bootstrap_interval
from weaknas.registry import get_strategy
from weaknas.reports import plots
from weaknas.runs.problem import Problem, build_problem
from weaknas.runs.runner import run
from weaknas.search.pareto import hypervolume

COST, EVALUATOR = "latency", "ofa-predictor:resolution=224"
#: Table of blocks, and the latencies within which the best score is told, in ms.
DEVICES = {
    "note10": ("note10_lut_w1.2.json.gz", (30.0, 41.0, 50.0)),
    "i7-8700K": ("i7-8700K_lut.json.gz", (15.0, 20.5, 25.0)),
}
#: Those that take objectives search the front, the others the best score.
STRATEGIES: dict[str, dict[str, Any]] = {
    "weaknas": {"objectives": (COST,)},
    "nsga2": {"objectives": (COST,), "population": 20, "batch_size": 20},
    "optuna-nsga2": {"objectives": (COST,)},
    "random": {},
}
MARKS = (25, 50, 100)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Trained:
    """What one run trained in turn: scores and latencies, shapes (budget,)."""

    scores: Floats
    latencies: Floats

    def best_within(self, limit: float) -> float:
        """Return the best score within a latency, NaN where nothing is."""
        inside = self.scores[self.latencies <= limit]
        return float(inside.max()) if len(inside) else np.nan


def main() -> None:
    """Run the searches; write volumes and best scores of each, and a figure a device."""
    options = parser(__doc__ or "")
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--budget", type=int, default=100)
    arguments = options.parse_args()
    names = list(STRATEGIES)
    if arguments.quick:
        arguments.runs, arguments.budget, names = 2, 25, ["weaknas", "random"]
    content: dict[str, Any] = {"runs": arguments.runs, "budget": arguments.budget, "devices": {}}
    for device, (file, limits) in DEVICES.items():
        path = Path(os.environ.get("WEAKNAS_DATA", "data")) / "mobilenet" / file
        problem = build_problem(f"mobilenetv3:width=1.2:latency={path}", EVALUATOR)
        trained = {name: search(problem, name, arguments) for name in names}
        curves = volumes(trained)
        rows = [
            {"strategy": name, **summary(curves[name]), "within": within(trained[name], limits)}
            for name in names
        ]
        content["devices"][device] = rows
        for row in rows:
            say(device, row)
        title = f"score against latency on {device}, {arguments.runs} runs"
        missing = {name: 100 - curve for name, curve in curves.items()}
        drawn = plots.plot_curves(missing, title, "missing hypervolume (%)")
        plots.save(drawn, arguments.results / f"front-mobilenet-{device}", forms=("png",))
    save(arguments, "front-mobilenet", content)


def search(problem: Problem, name: str, arguments: Any) -> list[Trained]:
    """Return what each run of a strategy trained."""
    found = []
    for number in range(arguments.runs):
        seed = run_seed(arguments.seed, number)
        strategy = get_strategy(name, problem.space, seed=seed, **STRATEGIES[name])
        trials = run(strategy, problem.evaluator, arguments.budget).trials
        costs = problem.space.costs()[COST](problem.space.canonicalize(trials.genotypes))
        found.append(Trained(trials.scores, np.asarray(costs, dtype=np.float64)))
    return found


def volumes(trained: dict[str, list[Trained]]) -> dict[str, Floats]:
    """Return the volume after each training in percent of that of all runs, (runs, budget)."""
    every = [each for runs in trained.values() for each in runs]
    scores = np.concatenate([each.scores for each in every])
    prices = np.concatenate([each.latencies for each in every])[:, None]
    corner = float(scores.min()), prices.max(axis=0)
    whole = hypervolume(scores, prices, *corner)
    return {
        name: np.array(
            [
                [
                    100 * hypervolume(e.scores[:n], e.latencies[:n, None], *corner) / whole
                    for n in range(1, len(e.scores) + 1)
                ]
                for e in runs
            ]
        )
        for name, runs in trained.items()
    }


def summary(curves: Floats) -> dict[str, Any]:
    """Return the volume after some numbers of trainings."""
    marks = [mark for mark in MARKS if mark <= curves.shape[1]]
    return {"hypervolume_percent_at": {str(m): with_interval(curves[:, m - 1]) for m in marks}}


def within(runs: list[Trained], limits: tuple[float, ...]) -> dict[str, Any]:
    """Return the best score within each latency, over the runs that met something within."""
    found = {}
    for limit in limits:
        best = np.array([each.best_within(limit) for each in runs])
        met = best[~np.isnan(best)]
        found[f"{limit:g}"] = {"runs": len(met), **(with_interval(met) if len(met) else {})}
    return found


def with_interval(values: Floats) -> dict[str, Any]:
    """Return the mean and its 95 % bootstrap interval."""
    return {
        "mean": round(float(values.mean()), 4),
        "ci95": [round(end, 4) for end in bootstrap_interval(values)],
    }


def say(device: str, row: dict[str, Any]) -> None:
    """Print the row of one strategy."""
    volume = {mark: item["mean"] for mark, item in row["hypervolume_percent_at"].items()}
    best = {limit: item.get("mean") for limit, item in row["within"].items()}
    print(f"{device} {row['strategy']}: hypervolume {volume} %, best score within {best} ms")


if __name__ == "__main__":
    start(main)
