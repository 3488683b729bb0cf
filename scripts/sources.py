"""Queries to the best cell of a data set after a search on another one, and after false sources.

Every source is a search of 100 trainings with the default settings, its seed another one in each
run; false ones are the same with permuted, negated or constant scores:

    python scripts/sources.py --jobs 2
"""

from __future__ import annotations

import multiprocessing
from typing import Any, Literal, get_args

import numpy as np
from _shared import DATASETS, SPACE, parser, save, start

import weaknas
from weaknas.components import run_seed
from weaknas.laboratory.statistics import bootstrap_interval

Kind = Literal["true", "permuted", "negated", "constant"]
#: Target, source ("none" without one), kind, number of the run, and settings.
Task = tuple[str, str, Kind, int, int, int]

_PAID = 100  # trainings of a source


def main() -> None:
    """Run every pair of data sets, print the matrix, write the JSON."""
    options = parser(__doc__ or "")
    options.add_argument("--runs", type=int, default=100)
    options.add_argument("--budget", type=int, default=300)
    options.add_argument("--datasets", nargs="+", default=list(DATASETS))
    arguments = options.parse_args()
    kinds = list(get_args(Kind))
    if arguments.quick:
        arguments.runs, arguments.budget, kinds = 2, 30, kinds[:2]
        arguments.datasets = arguments.datasets[:2]
    tasks: list[Task] = [
        (target, source, kind, run, arguments.budget, arguments.seed)
        for target in arguments.datasets
        for source in ("none", *(name for name in arguments.datasets if name != target))
        for kind in (kinds if source != "none" else kinds[:1])
        for run in range(arguments.runs)
    ]
    with multiprocessing.get_context("spawn").Pool(arguments.jobs) as pool:
        found = pool.map(count_queries, tasks, chunksize=4)
    rows = summarize(tasks, found)
    for row in rows:
        low, high = row["queries"]["ci95"]
        label = f"{row['target']} after {row['source']} ({row['kind']})"
        print(f"{label:44} {row['queries']['mean']:6.1f} [{low:.1f}, {high:.1f}]"
              f"  ratio {row['ratio']:.2f}")  # fmt: skip
    name = "sources-quick" if arguments.quick else "sources"
    save(arguments, name, {"runs": arguments.runs, "budget": arguments.budget, "rows": rows})


def count_queries(task: Task) -> int:
    """Return the queries of one search until the best cell, at most the budget."""
    target, source, kind, run, budget, seed = task
    sources = [] if source == "none" else [measure(source, kind, run, seed)]
    benchmark = weaknas.get_benchmark(SPACE, dataset=target)
    space, best = benchmark.space, benchmark.optimum().fingerprints
    search = weaknas.WeakNAS(space, seed=run_seed(seed, run), sources=sources, repeats="never")
    queries = 0
    while queries < budget:
        asked = search.ask(min(search.round_size, budget - queries))
        met = np.isin(space.fingerprint(space.genotypes(asked)), best)
        if met.any():
            return queries + 1 + int(np.argmax(met))
        queries += len(asked)
        labels = [benchmark.evaluate(one, seed=run_seed(seed + 1, run)).score for one in asked]
        search.tell(asked, labels)
    return budget


def measure(dataset: str, kind: Kind, run: int, seed: int) -> list[tuple[Any, float]]:
    """Return architectures and labels of a search on a data set, as true or false as said."""
    benchmark = weaknas.get_benchmark(SPACE, dataset=dataset)
    search = weaknas.WeakNAS(benchmark.space, seed=run_seed(seed + 2, run))
    result = weaknas.run(search, benchmark, budget=_PAID)
    scores = np.array([trial.score for trial in result.trials])
    told = {
        "true": scores,
        "permuted": np.random.default_rng(run).permutation(scores),
        "negated": -scores,
        "constant": np.zeros(len(scores)),
    }[kind]
    return [(t.architecture, float(s)) for t, s in zip(result.trials, told, strict=True)]


def summarize(tasks: list[Task], found: list[int]) -> list[dict[str, Any]]:
    """Return a row a target, source and kind: mean queries, and the ratio to no source."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for (target, source, kind, *_), queries in zip(tasks, found, strict=True):
        groups.setdefault((target, source, kind), []).append(queries)
    rows = []
    for (target, source, kind), queries in groups.items():
        low, high = bootstrap_interval(queries)
        mean = float(np.mean(queries))
        zero = float(np.mean(groups[target, "none", "true"]))
        rows.append(
            {
                "target": target,
                "source": source,
                "kind": kind,
                "queries": {"mean": mean, "ci95": [low, high]},
                "ratio": mean / zero,
            }
        )
    return rows


if __name__ == "__main__":
    start(main)
