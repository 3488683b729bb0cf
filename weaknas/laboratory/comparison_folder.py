"""The folder of a comparison, its tasks and the table of its queries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from weaknas.components import run_seed
from weaknas.errors import InputError
from weaknas.laboratory.folder import Design, Folder
from weaknas.laboratory.summary import by_dataset, summarize


@dataclass(frozen=True)
class Task:
    """One run of an experiment; `run` counts from 0."""

    dataset: str
    strategy: str
    run: int


#: The columns of `weaknas.laboratory.experiment.query_table`; by `is_last` a run that was cut short
#: is told from one that ended.
QUERIES = pa.schema(
    [
        pa.field(name, kind, nullable=name in ("fidelity", "probability_best", "costs"))
        for name, kind in (
            ("dataset", pa.string()),
            ("strategy", pa.string()),
            ("run", pa.int64()),
            ("seed", pa.int64()),
            ("seconds", pa.float64()),
            ("query", pa.int32()),
            ("round", pa.int32()),
            ("repeat", pa.int32()),
            ("architecture", pa.string()),
            ("id", pa.string()),
            ("status", pa.string()),
            ("score", pa.float64()),
            ("cost", pa.float64()),
            ("fidelity", pa.float64()),
            ("mean_score", pa.float64()),
            ("top", pa.float64()),
            ("is_optimum", pa.bool_()),
            ("returned", pa.int32()),
            ("returned_score", pa.float64()),
            ("regret", pa.float64()),
            ("optimum_returned", pa.bool_()),
            ("probability_best", pa.float64()),
            ("is_last", pa.bool_()),
            ("costs", pa.list_(pa.float64())),
        )
    ]
)


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


def _more_runs(theirs: Design, ours: Design) -> Design:
    return theirs | {"runs": max(theirs["runs"], ours["runs"])}
