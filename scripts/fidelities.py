"""Seconds of training until the best cell is trained in full, by searches at several fidelities.

NAS-Bench-201 with trainings of 200 epochs and of 12, which have a schedule of their own; one of
12 epochs takes 12/200 of the seconds. The default search trains in full alone, and beside it, as a
yardstick, so does one that is told the scores of all cells after 12 epochs at no cost. The table
with 12 epochs is ``nasbench201/nasbench201.npz`` in the folder that WEAKNAS_DATA names:

    WEAKNAS_DATA=... python scripts/fidelities.py --jobs 2
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from _shared import DATASETS, parser, save, start
from _tables import archive201_columns

import weaknas
from weaknas.components import run_seed
from weaknas.laboratory.statistics import bootstrap_interval
from weaknas.runs.trials import Trial
from weaknas.search.sources import Source

#: Data set, strategy, number of the run, seed, and most seconds, in full trainings.
Task = tuple[str, str, int, int, int]

_TOLD = "weaknas told all short ones"
STRATEGIES = ("weaknas", "multi-fidelity", _TOLD, "bohb", "hyperband")
_SHORT, _FULL = 12, 200  # epochs


def main() -> None:
    """Run the searches, print the table, write the JSON."""
    options = parser(__doc__ or "")
    options.add_argument("--runs", type=int, default=10)
    options.add_argument("--limit", type=int, default=200, help="full trainings of a mean cell")
    arguments = options.parse_args()
    datasets: Sequence[str] = DATASETS
    if arguments.quick:
        arguments.runs, arguments.limit, datasets = 2, 6, DATASETS[:1]
    tasks: list[Task] = [
        (dataset, strategy, run, arguments.seed, arguments.limit)
        for dataset in datasets
        for strategy in STRATEGIES
        for run in range(arguments.runs)
    ]
    with multiprocessing.get_context("spawn").Pool(arguments.jobs) as pool:
        found = pool.map(search, tasks, chunksize=1)
    rows = [
        summarize(dataset, strategy, tasks, found)
        for dataset in datasets
        for strategy in STRATEGIES
    ]
    for row in rows:
        low, high = row["full_trainings"]["ci95"]
        print(f"{row['dataset']:15} {row['strategy']:27} {row['full_trainings']['mean']:6.1f}"
              f" [{low:.1f}, {high:.1f}] found {row['found']:.2f}, trainings of {_FULL} epochs"
              f" {row['trainings'][1]:.0f}, of {_SHORT} {row['trainings'][0]:.0f}")  # fmt: skip
    content = {"runs": arguments.runs, "limit": arguments.limit, "rows": rows}
    save(arguments, "fidelities-quick" if arguments.quick else "fidelities", content)


@lru_cache(maxsize=3)
def load(dataset: str) -> weaknas.TabularBenchmark:
    """Return the table of a data set with both fidelities."""
    space, columns = archive201_columns(dataset)
    seconds = columns["train_time200_s"]
    table = {
        "genotype": columns["genotype"],
        "accuracy": columns["val200_seeds"],
        f"accuracy@{_SHORT}": columns["val12"],
        "seconds": seconds,
        f"seconds@{_SHORT}": seconds * _SHORT / _FULL,
    }
    return weaknas.TabularBenchmark(space, table, "accuracy", cost="seconds", name=dataset)


def short_scores(dataset: str) -> tuple[Any, Any]:
    """Return the genotypes of all cells, and their scores after few epochs."""
    space, columns = archive201_columns(dataset)
    return space.canonicalize(columns["genotype"]), columns["val12"]


def search(task: Task) -> tuple[float, bool, int, int]:
    """Return seconds until the best cell, in full trainings of a mean cell; if it was found.

    Also how many short and how many full trainings there were.
    """
    dataset, strategy, run, seed, limit = task
    benchmark = load(dataset)
    mean = float(archive201_columns(dataset)[1]["train_time200_s"].mean())
    optima = benchmark.optimum().fingerprints
    trials: list[Trial] = []
    hits: list[int] = []

    def note(trial: Trial) -> None:
        code = benchmark.space.fingerprint(benchmark.space.genotypes([trial.architecture]))
        if trial.evaluation.fidelity is None and np.isin(code, optima).any():
            hits.append(len(trials))
        trials.append(trial)

    if strategy == _TOLD:
        short = Source(f"{_SHORT} epochs", *short_scores(dataset))
        built = weaknas.WeakNAS(benchmark.space, sources=[short], seed=run_seed(seed, run))
    else:
        built = weaknas.get_strategy(strategy, benchmark.space, seed=run_seed(seed, run))
    weaknas.run(
        built, benchmark, budget_cost=limit * mean, callbacks=[note], stop=lambda: bool(hits)
    )
    costs = np.cumsum([trial.evaluation.cost for trial in trials])
    few = sum(trial.evaluation.fidelity is not None for trial in trials)
    paid = min(float(costs[hits[0]]) / mean, limit) if hits else float(limit)
    return paid, bool(hits) and paid < limit, few, len(trials) - few


def summarize(
    dataset: str, strategy: str, tasks: list[Task], found: list[tuple[float, bool, int, int]]
) -> dict[str, Any]:
    """Return the row of a strategy on a data set."""
    runs = [
        each for task, each in zip(tasks, found, strict=True) if task[:2] == (dataset, strategy)
    ]
    paid, hits, *counts = np.array(runs, dtype=np.float64).T
    low, high = bootstrap_interval(paid)
    return {
        "dataset": dataset,
        "strategy": strategy,
        "full_trainings": {"mean": float(paid.mean()), "ci95": [low, high]},
        "found": float(hits.mean()),
        "trainings": [float(count.mean()) for count in counts],
    }


if __name__ == "__main__":
    start(main)
