"""The folder of a ranking of predictors, its tasks and its summary."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
import pyarrow as pa

from weaknas.components import run_seed
from weaknas.files import read_bytes
from weaknas.laboratory.folder import Design, Folder
from weaknas.laboratory.statistics import Floats, bootstrap_interval, holm, wilcoxon

QUALITIES = ("kendall_tau", "spearman", "top_precision", "regret")


@dataclass(frozen=True)
class Task:
    """One predictor in one run, at all training sizes; `run` counts from 0."""

    predictor: str
    run: int


#: The columns of what is measured.
MEASUREMENTS = pa.schema(
    [
        pa.field(name, kind, nullable=False)
        for name, kind in (
            ("predictor", pa.string()),
            ("encoder", pa.string()),
            ("run", pa.int64()),
            ("seed", pa.int64()),
            ("train_size", pa.int64()),
            ("kendall_tau", pa.float64()),
            ("spearman", pa.float64()),
            ("top_precision", pa.float64()),
            ("regret", pa.float64()),
            ("seconds_fit", pa.float64()),
            ("seconds_predict", pa.float64()),
        )
    ]
)


def summarize_ranking(
    config: Mapping[str, Any], rows: pa.Table | None, errors: Mapping[Task, str]
) -> dict[str, Any]:
    """Return the summary of a ranking as plain JSON types.

    ``space, dataset, labels, regime, targets, architectures, top, train_sizes, runs,
    seed, rows, failures``. Each of ``rows`` has ``predictor, encoder, train_size, runs,
    kendall_tau {mean, ci95}, spearman, top_precision, regret, seconds_fit,
    seconds_predict`` (means), ``ci95`` (intervals of the other three qualities), and
    ``p_holm``: Wilcoxon's test of the tau of the first predictor against this one,
    paired by run and adjusted for their number at this training size.

    Parameters
    ----------
    config : mapping
        See `weaknas.laboratory.ranking.Ranking.describe`.
    rows : pyarrow.Table or None
    errors : mapping of Task to str
    """
    names = ("labels", "regime", "targets", "architectures", "top", "train_sizes", "runs", "seed")
    facts = dict(config["benchmark"]) | dict(config)
    cells = _cells(rows) if rows is not None else {}
    found: list[dict[str, Any]] = []
    for size in config["train_sizes"]:
        present = [name for name in config["predictors"] if (name, size) in cells]
        found.extend(_rows_of(size, present, cells))
    return {
        "space": config["space"],
        "dataset": config["benchmark"]["benchmark"].rpartition("/")[2],
        **{name: facts[name] for name in names},
        "rows": found,
        "failures": [
            {"predictor": task.predictor, "run": task.run, "error": message}
            for task, message in errors.items()
        ],
    }


_Cell: TypeAlias = dict[str, Any]


def _cells(rows: pa.Table) -> dict[tuple[str, int], _Cell]:
    """Return the columns of each predictor and training size, in order of runs."""
    found: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in sorted(rows.to_pylist(), key=lambda row: row["run"]):
        found.setdefault((row["predictor"], row["train_size"]), []).append(row)
    return {
        key: {name: np.array([row[name] for row in group]) for name in group[0]}
        for key, group in found.items()
    }


def _rows_of(
    size: int, names: list[str], cells: Mapping[tuple[str, int], _Cell]
) -> Iterator[dict[str, Any]]:
    """Yield the summary of each predictor at one training size."""
    others = [cells[name, size] for name in names[1:]]
    p_values = [_paired_p(cells[names[0], size], other) for other in others] if others else []
    adjusted: list[float | None] = [None, *map(_number, holm(p_values))]
    for name, p_value in zip(names, adjusted, strict=False):
        cell = cells[name, size]
        tau, *rest = QUALITIES
        yield {
            "predictor": name,
            "encoder": str(cell["encoder"][0]),
            "train_size": size,
            "runs": len(cell["run"]),
            tau: {"mean": _number(cell[tau].mean()), "ci95": _interval(cell[tau])},
            **{quality: _number(cell[quality].mean()) for quality in rest},
            "seconds_fit": _number(cell["seconds_fit"].mean()),
            "seconds_predict": _number(cell["seconds_predict"].mean()),
            "ci95": {quality: _interval(cell[quality]) for quality in rest},
            "p_holm": p_value,
        }


def _paired_p(first: _Cell, other: _Cell) -> float:
    _, a, b = np.intersect1d(first["run"], other["run"], return_indices=True)
    return wilcoxon(first["kendall_tau"][a], other["kendall_tau"][b])


def _interval(values: Floats) -> list[float | None]:
    return [_number(end) for end in bootstrap_interval(values)]


def _number(value: Any) -> float | None:
    return float(f"{float(value):.6g}") if math.isfinite(value) else None


class RankingFolder(Folder[Task]):
    """The finished fits of a ranking; each has a row a training size."""

    kind = "ranking"
    section = "ranking"
    version = 3
    table = "rankings.parquet"
    schema = MEASUREMENTS
    form: ClassVar[Mapping[str, Any]] = {
        "space": str,
        "benchmark": {"benchmark": str, "labels": str},
        "predictors": {str: {"runs": int}},
        "architectures": int,
        "top": int,
        "train_sizes": [int],
        "runs": int,
        "seed": int,
        "regime": str,
        "targets": str,
        "versions": {str: str},
    }
    key = ("predictor", "run")
    growth = "predictors and runs"

    @classmethod
    def task(cls, values: tuple[Any, ...]) -> Task:
        """Return the task of a predictor and a number."""
        return Task(*values)

    @classmethod
    def merge(cls, theirs: Design, ours: Design) -> tuple[Design, Design]:
        """Return the predictors and runs of both, each said as by ours, and as by theirs."""
        return _joined(theirs, ours), _joined(ours, theirs)

    def fault(self, task: Task, rows: pa.Table) -> str:
        """Return why these are not the rows of all training sizes, or nothing."""
        runs = self.design["predictors"].get(task.predictor, {"runs": 0})["runs"]
        if not 0 <= task.run < runs:
            return "it is not one of the ranking"
        seed, sizes = run_seed(self.design["seed"], task.run), rows["train_size"].to_pylist()
        if (rows["seed"].to_numpy() != seed).any():
            return f"its seed is not {seed}"
        if sorted(sizes) != self.design["train_sizes"]:
            return f"it has rows of the training sizes {sizes}, not {self.design['train_sizes']}"
        return ""

    def position(self, task: Task) -> tuple[int, ...]:
        """Return the place of a task: by number and predictor."""
        return task.run, list(self.design["predictors"]).index(task.predictor)

    def summarize(self, rows: pa.Table | None, errors: Mapping[Task, str]) -> dict[str, Any]:
        """Return the summary of a ranking, see `summarize_ranking`."""
        return summarize_ranking(self.design, rows, errors)

    @classmethod
    def failures(cls, summary: dict[str, Any]) -> Iterator[tuple[Task, str]]:
        """Yield the tasks that raised, and why."""
        for item in summary["failures"]:
            yield Task(item["predictor"], item["run"]), item["error"]


def _joined(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return the second design with the predictors of both and the larger numbers of runs."""
    runs = {
        name: max(
            design["predictors"][name]["runs"]
            for design in (first, second)
            if name in design["predictors"]
        )
        for name in first["predictors"] | second["predictors"]
    }
    described = first["predictors"] | second["predictors"]
    predictors = {name: described[name] | {"runs": count} for name, count in runs.items()}
    return {**second, "runs": max(first["runs"], second["runs"]), "predictors": predictors}


def is_ranking(folder: Path) -> bool:
    """Tell whether a folder holds a ranking, rather than other results or nothing."""
    path = folder / "config.json"
    return path.is_file() and b'"weaknas_ranking"' in read_bytes(path)


def read_ranking(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a ranking, finished or under way.

    Returns
    -------
    record : dict
        ``created, command`` and ``ranking``, the design.
    summary : dict
        See `summarize_ranking`.

    Raises
    ------
    InputError
        When the folder holds something else, or is damaged.
    """
    record, read = RankingFolder.read(folder)
    return record, read.summary
