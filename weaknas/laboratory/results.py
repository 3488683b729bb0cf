"""Comparisons: the runs of an experiment, kept one by one in a folder and resumed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa

from weaknas.laboratory.comparison_folder import ComparisonFolder, Task, read_comparison
from weaknas.laboratory.experiment import Experiment, Truth, run_task
from weaknas.laboratory.folder import complete, versions
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


def read_queries(folder: Path) -> pa.Table:
    """Read the queries alone, see `read_comparison`."""
    return read_comparison(folder)[1]
