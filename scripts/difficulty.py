"""A ranking carried to a data set by its difficulty, with two probes and no search on it.

In the manner of Istrate et al., "TAPAS" (arXiv:1806.00250). Each of the three data sets of
NAS-Bench-201 is left out in turn. Of the other two the labels of random cells are known, and the
difficulty of all three is the mean label of the same two probe cells. Printed are Kendall's tau of
the carried ranking with the true one of the data set left out, beside that of each known data
set alone and of both alike, and the queries of a search with it until the best cell.

    python scripts/difficulty.py
"""

from __future__ import annotations

from typing import Any

import numpy as np
from _shared import DATASETS, SPACE, parser, save, start

import weaknas
from weaknas.components import run_seed
from weaknas.evaluators.difficulty import draw_probes, measure_difficulty
from weaknas.laboratory.statistics import bootstrap_interval, kendall_tau
from weaknas.search.difficulty import Known, carry_ranking, weigh
from weaknas.search.sources import Source


def main() -> None:
    """Leave each data set out, print a table and write it."""
    options = parser(__doc__ or "")
    options.add_argument("--runs", type=int, default=10)
    options.add_argument("--budget", type=int, default=100, help="queries at most")
    options.add_argument("--known", type=int, default=200, help="trainings on a known data set")
    arguments = options.parse_args()
    if arguments.quick:
        arguments.runs, arguments.budget, arguments.known = 1, 10, 20
    runs = [
        one_run(left, run_seed(arguments.seed, number), arguments)
        for left in DATASETS
        for number in range(arguments.runs)
    ]
    rows = [summarize(left, [run for run in runs if run["left_out"] == left]) for left in DATASETS]
    for row in rows:
        print(row["left_out"])
        for name, fact in row.items():
            if name != "left_out":
                low, high = fact["ci95"] or (np.nan, np.nan)
                print(f"  {name:34} {fact['mean']:7.3f} [{low:.3f}, {high:.3f}]")
    settings = {name: vars(arguments)[name] for name in ("runs", "budget", "known")}
    save(arguments, "difficulty", {**settings, "rows": rows, "runs_of_all": runs})


def one_run(left: str, seed: int, arguments: Any) -> dict[str, Any]:
    """Carry a ranking to one data set, and search with it."""
    benchmarks = {name: weaknas.get_benchmark(SPACE, dataset=name) for name in DATASETS}
    target = benchmarks[left]
    space, probes = target.space, draw_probes(target.space, seed=seed)
    levels = {
        name: measure_difficulty(benchmark, probes, seed=seed)
        for name, benchmark in benchmarks.items()
    }
    known = [
        Known(levels[name], labels(benchmarks[name], arguments.known, seed), name)
        for name in DATASETS
        if name != left
    ]
    carried = carry_ranking(space, known, levels[left], seed=seed)
    told = {
        "carried": carried,
        "both alike": carry_ranking(space, alike(known), levels[left], seed=seed),
        **{f"{one.name} alone": carry_ranking(space, [one], 0.0, seed=seed) for one in known},
    }
    truth = target.true_scores(carried.genotypes)
    weights = weigh([one.difficulty for one in known], levels[left])
    return {
        "left_out": left,
        "difficulty": levels,
        "weights": {one.name: float(w) for one, w in zip(known, weights, strict=True)},
        "tau": {name: kendall_tau(truth, source.scores) for name, source in told.items()},
        "queries": {
            name: count(target, seed, arguments.budget, sources)
            for name, sources in (("from zero", []), ("carried", [carried]))
        },
        "best_of_first_ten": float(
            target.true_scores(carried.genotypes[np.argsort(-carried.scores)[:10]]).max()
        ),
    }


def alike(known: list[Known]) -> list[Known]:
    """Return what is known as if all data sets were of one difficulty."""
    return [Known(0.0, one.pairs, one.name) for one in known]


def labels(benchmark: Any, count: int, seed: int) -> list[tuple[Any, float]]:
    """Return random cells with a label each."""
    search = weaknas.get_strategy("random", benchmark.space, seed=seed)
    trials = weaknas.run(search, benchmark, budget=count).trials
    return [(trial.architecture, trial.score) for trial in trials]


def count(benchmark: Any, seed: int, budget: int, sources: list[Source]) -> int:
    """Return the queries of a search until the best cell, at most the budget."""
    space, best = benchmark.space, benchmark.optimum().fingerprints
    search = weaknas.WeakNAS(space, seed=seed, sources=sources, repeats="never")
    queries = 0
    while queries < budget:
        asked = search.ask(min(search.round_size, budget - queries))
        met = np.isin(space.fingerprint(space.genotypes(asked)), best)
        if met.any():
            return queries + 1 + int(np.argmax(met))
        queries += len(asked)
        search.tell(asked, [benchmark.evaluate(one, seed=seed).score for one in asked])
    return budget


def summarize(left: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return means over the runs of a data set, with intervals."""
    values: dict[str, list[float]] = {}
    for run in runs:
        for name, tau in run["tau"].items():
            values.setdefault(f"tau, {name}", []).append(tau)
        for name, queries in run["queries"].items():
            values.setdefault(f"queries, {name}", []).append(queries)
        for name, weight in run["weights"].items():
            values.setdefault(f"weight of {name}", []).append(weight)
    return {"left_out": left} | {
        name: {"mean": float(np.mean(found)), "ci95": _interval(found)}
        for name, found in values.items()
    }


def _interval(values: list[float]) -> list[float] | None:
    bounds = list(bootstrap_interval(values))
    return bounds if np.isfinite(bounds).all() else None


if __name__ == "__main__":
    start(main)
