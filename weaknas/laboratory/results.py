"""Comparisons: what was measured, kept run by run in a folder and resumed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
import pyarrow as pa

from weaknas.components import run_seed
from weaknas.errors import InputError
from weaknas.laboratory.experiment import QUERIES, Experiment, Task, Truth, run_task
from weaknas.laboratory.folder import Design, Folder, complete, versions
from weaknas.laboratory.summary import by_dataset, summarize
from weaknas.laboratory.workers import Outcome, attempt, run_tasks
from weaknas.runs.problem import Problem

Progress: TypeAlias = Callable[[Outcome[Task]], None]


def compare(
    experiment: Experiment,
    output: str | Path | None = None,
    *,
    jobs: int = 1,
    command: str = "",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Run an experiment, or what is left of it, and summarize it.

    With `output`, every finished run is on the disk before the next is waited
    for; the same experiment with the same folder continues, and one with more
    strategies or more runs adds to it. A run whose strategy raised is reported and
    tried again by the next call.

    Parameters
    ----------
    experiment : Experiment
    output : path, optional
        Folder; gets ``queries.parquet`` (one row a query, see
        `weaknas.laboratory.experiment.query_table`), ``summary.json`` and ``config.json``.
    jobs : int
        Processes; they do not change the results.
    command : str
        Noted in ``config.json``.
    progress : callable, optional
        Called with the `Outcome` of every run, those of an earlier call included.

    Returns
    -------
    dict
        The summary, see `weaknas.laboratory.summary.summarize`.

    Raises
    ------
    InputError
        When the experiment cannot be run as designed, or the folder holds another
        one or cannot be written.
    """
    design = experiment.describe() | {"versions": versions()}
    with ComparisonFolder.open(output, design, command) as folder:
        return complete(folder, experiment.tasks(), Worker(experiment), jobs, progress)


def run_experiment(
    experiment: Experiment, tasks: Sequence[Task], jobs: int = 1
) -> Generator[Outcome[Task], None, None]:
    """Run tasks of an experiment in `jobs` processes, see `run_tasks`."""
    yield from run_tasks(Worker(experiment), tasks, jobs)


class Worker:
    """Runs the tasks of an experiment and keeps what it loads between them.

    Parameters
    ----------
    experiment : Experiment
    """

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self._loaded: dict[str, tuple[Problem, Truth]] = {}

    def __call__(self, task: Task) -> Outcome[Task]:
        """Run one task."""
        return attempt(self._run, task)

    def _run(self, task: Task) -> pa.Table:
        if task.dataset not in self._loaded:
            problem = self.experiment.load(task.dataset)
            self._loaded[task.dataset] = problem, self.experiment.truth(problem)
        return run_task(self.experiment, task, *self._loaded[task.dataset])


class ComparisonFolder(Folder[Task]):
    """The finished runs of a comparison; each has as many rows as it made queries."""

    kind = "comparison"
    section = "experiment"
    version = 2
    table = "queries.parquet"
    schema = QUERIES
    form: ClassVar[Mapping[str, Any]] = {
        "space": str,
        "datasets": {
            str: {
                "labels": (str, None),
                "optimum": ({"score": float}, None),
                "random_score": (float, None),
                "hypervolume": ({"reference": {str: (float, None)}}, None),
            }
        },
        "strategies": {str: {"runs": int}},
        "runs": int,
        "budget": int,
        "budget_cost": (float, None),
        "seed": int,
        "seeds": [int],
        "optimum": str,
        "versions": {str: str},
    }
    key = ("dataset", "strategy", "run")
    growth = "strategies and runs"

    @classmethod
    def task(cls, values: tuple[Any, ...]) -> Task:
        """Return the run of a data set, a strategy and a number."""
        return Task(*values)

    @classmethod
    def merge(cls, theirs: Design, ours: Design) -> tuple[Design, Design]:
        """Return our experiment, and theirs with the strategies and the runs that ours adds."""
        strategies = theirs["strategies"] | {
            name: new
            if name not in theirs["strategies"]
            else _more_runs(theirs["strategies"][name], new)
            for name, new in ours["strategies"].items()
        }
        grown = _more_runs(theirs, ours) | {"strategies": strategies}
        if ours["seeds"][: len(theirs["seeds"])] == theirs["seeds"]:
            grown["seeds"] = ours["seeds"]
        return ours, grown

    def fault(self, task: Task, rows: pa.Table) -> str:
        """Return why these are not all queries of a run of the comparison, or nothing."""
        runs = self.design["strategies"].get(task.strategy, {"runs": 0})["runs"]
        if task.dataset not in self.design["datasets"] or not 0 <= task.run < runs:
            return "it is not one of the comparison"
        seed, count = run_seed(self.design["seed"], task.run), len(rows)
        if (rows["seed"].to_numpy() != seed).any():
            return f"its seed is not {seed}"
        if not np.array_equal(rows["query"].to_numpy(), np.arange(1, count + 1)):
            return f"it has {count} rows, which are not the queries 1 to {count}"
        if count > self.design["budget"]:
            return f"it has {count} queries of {self.design['budget']}"
        if not rows["is_last"][-1].as_py():
            return f"it breaks off after {count} queries"
        return ""

    def position(self, task: Task) -> tuple[int, ...]:
        """Return the place of a run: by data set, strategy and number."""
        datasets, strategies = list(self.design["datasets"]), list(self.design["strategies"])
        return datasets.index(task.dataset), strategies.index(task.strategy), task.run

    def summarize(self, rows: pa.Table | None, errors: Mapping[Task, str]) -> dict[str, Any]:
        """Return the summary of a comparison, see `weaknas.laboratory.summary.summarize`."""
        failures = [
            {"dataset": t.dataset, "strategy": t.strategy, "run": t.run, "error": error}
            for t, error in errors.items()
        ]
        return summarize(self.design, rows, failures)

    @classmethod
    def failures(cls, summary: dict[str, Any]) -> Iterator[tuple[Task, str]]:
        """Yield the runs that raised, and why."""
        for part in by_dataset(summary):
            for item in part["failures"]:
                yield Task(part["dataset"], item["strategy"], item["run"]), item["error"]


def read_comparison(folder: Path) -> tuple[dict[str, Any], pa.Table, dict[str, Any]]:
    """Read a comparison, under way or ended.

    Returns
    -------
    record : dict
        ``created, command`` and ``experiment``, the design.
    queries : pyarrow.Table
        Of the finished runs, see `weaknas.laboratory.experiment.query_table`.
    summary : dict
        See `weaknas.laboratory.summary.summarize`.

    Raises
    ------
    InputError
        When the folder holds something else, no run is finished or a file is damaged.
    """
    record, read = ComparisonFolder.read(folder)
    if not read.done:
        raise InputError(f"{folder} holds no finished run")
    return record, read.rows, read.summary


def read_queries(folder: Path) -> pa.Table:
    """Read the queries alone, see `read_comparison`."""
    return read_comparison(folder)[1]


def _more_runs(theirs: Design, ours: Design) -> Design:
    return theirs | {"runs": max(theirs["runs"], ours["runs"])}
