"""Count the queries that WeakNAS needs as an Optuna sampler, beside `weaknas.run` and TPE.

A query is an architecture that was not evaluated before; proposals count every
trial, repeated ones too. Each run ends when the optimum was queried.

    python scripts/optuna_sampler.py --jobs 2
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, TypeAlias

import numpy as np
import optuna
from _shared import DATASETS, SPACE, parser, save, start
from optuna.samplers import BaseSampler, TPESampler

import weaknas
from weaknas.components import run_seed
from weaknas.evaluators import evaluation_seed
from weaknas.laboratory.statistics import bootstrap_interval
from weaknas.laboratory.workers import run_tasks
from weaknas.optuna_bridge.space import suggest
from weaknas.spaces import Architecture, SearchSpace

Tell: TypeAlias = Callable[[float], object]
SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "WeakNASSampler(space)": lambda seed: weaknas.WeakNASSampler(
        weaknas.get_space(SPACE), seed=seed
    ),
    "WeakNASSampler()": lambda seed: weaknas.WeakNASSampler(seed=seed),
    "TPESampler()": lambda seed: TPESampler(seed=seed),
}
METHODS = ("weaknas.run", *SAMPLERS)


@dataclass(frozen=True)
class Task:
    """One run."""

    dataset: str
    method: str
    seed: int
    budget: int


@dataclass(frozen=True)
class Done:
    """Queries and proposals of one run; `queries` is the budget where nothing was found."""

    task: Task
    found: bool
    queries: int
    proposals: int


def work(task: Task) -> Done:
    """Run one task until the optimum is queried."""
    benchmark, optimum = _load(task.dataset)
    space, queried = benchmark.space, set[int]()
    for number, (architecture, tell) in enumerate(_proposals(task, space), start=1):
        seed = evaluation_seed(task.seed, architecture)
        tell(benchmark.evaluate(architecture, seed=seed).score)
        code = int(space.fingerprint(np.array([architecture.genotype]))[0])
        queried.add(code)
        if code in optimum or len(queried) == task.budget:
            return Done(task, code in optimum, len(queried), number)
    raise AssertionError("proposals do not end")


def _proposals(task: Task, space: SearchSpace) -> Iterator[tuple[Architecture, Tell]]:
    """Yield architectures one by one, each with the function to tell its score."""
    if task.method == "weaknas.run":
        search = weaknas.WeakNAS(space, seed=task.seed)
        while True:
            batch, scores = search.ask(), list[float]()
            for architecture in batch:
                yield architecture, scores.append
            search.tell(batch, scores)
    study = optuna.create_study(direction="maximize", sampler=SAMPLERS[task.method](task.seed))
    while True:
        trial = study.ask()
        yield suggest(trial, space), partial(study.tell, trial)


@cache
def _load(dataset: str) -> tuple[Any, list[int]]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    benchmark = weaknas.get_benchmark(SPACE, dataset=dataset)
    return benchmark, benchmark.optimum().fingerprints.tolist()


def summarize(runs: list[Done]) -> dict[str, Any]:
    """Return found rate, queries and proposals of the runs of one method."""
    queries = np.array([run.queries for run in runs], dtype=np.float64)
    return {
        "runs": len(runs),
        "found_rate": float(np.mean([run.found for run in runs])),
        "queries_to_optimum": {
            "mean": float(queries.mean()),
            "median": float(np.median(queries)),
            "p90": float(np.percentile(queries, 90)),
            "ci95": bootstrap_interval(queries),
        },
        "proposals": float(np.mean([run.proposals for run in runs])),
    }


def main() -> None:
    """Run all methods on all data sets and write a table."""
    options = parser(__doc__ or "")
    options.add_argument("--runs", type=int, default=50)
    options.add_argument("--budget", type=int, default=300)
    options.add_argument("--datasets", nargs="+", default=list(DATASETS))
    arguments = options.parse_args()
    if arguments.quick:
        arguments.runs, arguments.budget, arguments.datasets = 2, 15, ["cifar100"]
    tasks = [
        Task(dataset, method, run_seed(arguments.seed, run), arguments.budget)
        for run in range(arguments.runs)
        for dataset in arguments.datasets
        for method in METHODS
    ]
    runs = defaultdict(list)
    for done in run_tasks(work, tasks, arguments.jobs):
        runs[done.task.dataset, done.task.method].append(done)
    rows = []
    for dataset in arguments.datasets:
        for method in METHODS:
            row = {"dataset": dataset, "method": method, **summarize(runs[dataset, method])}
            low, high = row["queries_to_optimum"]["ci95"]
            print(
                f"{dataset:15} {method:22} found {row['found_rate']:4.0%}  queries"
                f" {row['queries_to_optimum']['mean']:6.1f} [{low:.1f}, {high:.1f}]"
                f"  proposals {row['proposals']:6.1f}"
            )
            rows.append(row)
    save(arguments, "optuna-sampler", {"budget": arguments.budget, "rows": rows})


if __name__ == "__main__":
    start(main)
