"""Searches of thousands of trials: seconds a query, memory, regret, beside the exact process.

The default conditions its process on the best and a random part of the labels from some hundreds
on; the exact one on all of them. Each run plants a function in a space of 14 decisions of 8
values, the sum of an effect a choice and of pairs of neighbouring decisions, of which the best is
known by dynamic programming. Regret is in standard deviations of random architectures, seconds are
of the processor, not of the clock, and every run has a process of its own. Runs are kept in a
file and not made again:

    python scripts/many_trials.py --jobs 1
"""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from _shared import by_marks, marks_in_words, parser, save, start
from scale import machine, peak_memory

from weaknas.components import run_seed
from weaknas.predictors._gp_open import OpenGaussianProcess
from weaknas.predictors.gaussian_process import GaussianProcess
from weaknas.predictors.open_model import OpenModel
from weaknas.search.presets import get_preset
from weaknas.search.strategy import WeakNAS
from weaknas.spaces import ChoiceSpace

Floats = npt.NDArray[np.float64]

DECISIONS, VALUES = 14, 8
MARKS = (100, 200, 500, 1000, 2000, 5000)
KINDS = ("default", "exact")
LAST = 50  # queries whose seconds are told at a mark
SAMPLE = 2000

#: Kind, number of the run, trials, seed.
Task = tuple[str, int, int, int]


class ExactProcess(GaussianProcess):
    """The process of the default, conditioned on all labels."""

    def for_any(self, reference: Any) -> OpenModel:
        """Return a model that leaves no label out."""
        return OpenGaussianProcess(reference, **self._parameters(), largest=None)


class Planted:
    """A sum of effects and of pairs of neighbours.

    Parameters
    ----------
    seed : int
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 14])
        names = [f"v{value}" for value in range(VALUES)]
        self.space = ChoiceSpace({f"layer{place}": names for place in range(DECISIONS)})
        self._effects = rng.normal(size=(DECISIONS, VALUES))
        self._pairs = 0.5 * rng.normal(size=(DECISIONS - 1, VALUES, VALUES))
        self.unit = float(self(self.space.sample(SAMPLE, rng)).std())

    def __call__(self, rows: npt.NDArray[np.integer]) -> Floats:
        """Return scores of genotypes, shape (n, d); shape (n,)."""
        places = np.arange(DECISIONS)
        single = self._effects[places, rows].sum(axis=1)
        pairs = self._pairs[places[:-1], rows[:, :-1], rows[:, 1:]].sum(axis=1)
        return np.asarray(single + pairs)

    def best(self) -> float:
        """Return the largest score there is: that of the best path through all decisions."""
        value = self._effects[0]
        for effects, pairs in zip(self._effects[1:], self._pairs, strict=True):
            value = (value[:, None] + pairs).max(axis=0) + effects
        return float(value.max())


def measure(task: Task) -> list[dict[str, float]]:
    """Search; return regret, seconds of a query and megabytes at each mark."""
    kind, run, trials, seed = task
    planted = Planted(seed + run)
    space, best = planted.space, planted.best()
    options = get_preset("default", space).predictor_options["gp"]
    process = ExactProcess(**options) if kind == "exact" else GaussianProcess(**options)
    search = WeakNAS(space, predictor=process, seed=run_seed(seed, run))
    rows, spent, highest = [], np.zeros(trials), -np.inf
    while len(search.history) < trials:
        begin, told = time.process_time(), len(search.history)
        asked = search.ask()
        scores = planted(space.genotypes(asked))
        search.tell(asked, scores)
        now = len(search.history)
        spent[told:now] = (time.process_time() - begin) / max(now - told, 1)
        highest = max(highest, float(scores.max()))
        rows += [
            {
                "trials": mark,
                "regret": max(best - highest, 0.0) / planted.unit,
                "seconds": float(spent[max(mark - LAST, 0) : mark].mean()),
                "peak_memory_mb": peak_memory(),
            }
            for mark in MARKS
            if told < mark <= now
        ]
    return rows


def complete(tasks: list[Task], path: Path, jobs: int) -> dict[Task, list[dict[str, float]]]:
    """Return what each task measures; those in the file are known, others are appended to it."""
    lines = path.read_text().splitlines() if path.is_file() else []
    known = {tuple(task): rows for task, rows in map(json.loads, lines)}
    missing = [task for task in tasks if task not in known]
    path.parent.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, maxtasksperchild=1) as pool, path.open("a") as file:
        for task, rows in pool.imap_unordered(_named, missing):
            known[task] = rows
            file.write(json.dumps([task, rows]) + "\n")
            file.flush()
    return {task: known[task] for task in tasks}


def _named(task: Task) -> tuple[Task, list[dict[str, float]]]:
    return task, measure(task)


def main() -> None:
    """Make all runs, print a row a kind and mark, write the JSON."""
    options = parser(__doc__ or "")
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--trials", type=int, default=2000)
    options.add_argument("--exact-trials", type=int, default=1000)
    options.add_argument("--longest", type=int, default=5000, help="of the first run")
    arguments = options.parse_args()
    if arguments.quick:
        arguments.runs, arguments.trials = 2, 200
        arguments.exact_trials, arguments.longest = 100, 200
    tasks = list(_tasks(arguments))
    quick = "-quick" if arguments.quick else ""
    found = complete(tasks, arguments.work / f"many-trials{quick}.jsonl", arguments.jobs)
    table = []
    for kind in KINDS:
        for mark in MARKS:
            reached = [
                row
                for task, rows in found.items()
                if task[0] == kind
                for row in rows
                if row["trials"] == mark
            ]
            if not reached:
                continue
            row: dict[str, Any] = {"process": kind, "trials": mark, "runs": len(reached)}
            for name in ("regret", "seconds", "peak_memory_mb"):
                values = np.array([[each[name]] for each in reached])
                row[name] = by_marks(values, [mark])[str(mark)]
            table.append(row)
            print(f"{kind:8} {mark:5} trials, {len(reached)} runs: seconds of a query"
                  f" {row['seconds']['mean']:.3f}, {row['peak_memory_mb']['mean']:.0f} MB, regret"
                  f" {marks_in_words({str(mark): row['regret']})}")  # fmt: skip
    save(arguments, "many-trials", {"machine": machine(), "rows": table})


def _tasks(arguments: Any) -> Iterator[Task]:
    for run in range(arguments.runs):
        longest = arguments.longest if run == 0 else arguments.trials
        yield "default", run, longest, arguments.seed
        yield "exact", run, arguments.exact_trials, arguments.seed


if __name__ == "__main__":
    start(main)
