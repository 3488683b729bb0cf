"""The folder of a ranking of predictors, its summary, and the loop that fills them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from weaknas.errors import InputError
from weaknas.files import differences, remove_parts, write_atomically, write_json
from weaknas.laboratory.ranking import Measured, Measurer, Ranking, Task
from weaknas.laboratory.results import versions
from weaknas.laboratory.statistics import Floats, bootstrap_interval, holm, wilcoxon
from weaknas.laboratory.workers import run_tasks

FORMAT_VERSION = 2
QUALITIES = ("kendall_tau", "spearman", "top_precision", "regret")
Progress: TypeAlias = Callable[[Measured], None]


def rank(
    design: Ranking,
    output: str | Path | None = None,
    *,
    jobs: int = 1,
    command: str = "",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure how well predictors rank, or what is left of it, and summarize.

    With `output`, every finished task is on the disk before the next is waited for;
    the same design with the same folder continues, and one with more or other
    predictors, or more runs, adds to it. What raised is reported and tried again by
    the next call.

    Parameters
    ----------
    design : Ranking
    output : path, optional
        Folder; gets ``rankings.parquet`` (one row a predictor, run and training
        size, see `weaknas.laboratory.ranking.measure`), ``summary.json`` and ``config.json``.
    jobs : int
        Processes; apart from the seconds they do not change the results.
    command : str
        Noted in ``config.json``.
    progress : callable, optional
        Called with every `Measured`, those of an earlier call included.

    Returns
    -------
    dict
        The summary of all that is in the folder, see `summarize_ranking`.

    Raises
    ------
    InputError
        When the design cannot be run, or the folder holds something else or cannot be
        written.
    """
    config = design.describe() | {"versions": versions()}
    kept = _Folder(None if output is None else Path(output), config, command)
    errors: dict[Task, str] = {}
    for task, rows in kept.done.items():
        if progress is not None:
            progress(Measured(task, rows))
    left = [task for task in design.tasks() if task not in kept.done]
    outcomes = run_tasks(Measurer(design), left, jobs)
    try:
        for outcome in outcomes:
            if outcome.rows is None:
                errors[outcome.task] = outcome.error
            else:
                kept.add(outcome.task, outcome.rows)
            if progress is not None:
                progress(outcome)
    finally:
        outcomes.close()
        summary = kept.finish(design.tasks(), errors)
    return summary


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


class _Folder:
    """The finished tasks, in memory and, where there is a folder, on the disk.

    While a ranking is under way each task is a small file of its own, whole or
    absent; when it ends or is interrupted they are put together.
    """

    def __init__(self, folder: Path | None, config: dict[str, Any], command: str) -> None:
        self.folder = folder
        self.config = json.loads(json.dumps(config))
        self.done: dict[Task, pa.Table] = {}
        if folder is None:
            return
        try:
            self._open(folder, command)
        except OSError as error:
            raise InputError(f"cannot write to {folder}: {error.strerror}") from error

    def _open(self, folder: Path, command: str) -> None:
        path = folder / "config.json"
        if path.exists():
            theirs = _read_record(folder)["ranking"]
            ours = _joined(theirs, self.config)
            for key, old, new in differences(_joined(self.config, theirs), ours):
                raise InputError(
                    f"{folder} holds a ranking with {key} = {old}, not {new};"
                    " choose another output folder or the same configuration"
                    " (predictors and runs may be added)"
                )
            self.config = ours
            self.done = _read(folder)
            if self.config != theirs:
                write_json(path, self._record(command))
            return
        if any((folder / name).exists() for name in ("rankings.parquet", "journal.jsonl")):
            raise InputError(f"{folder} holds other results; choose another output folder")
        write_json(path, self._record(command))

    def _record(self, command: str) -> dict[str, Any]:
        created = datetime.now(UTC).isoformat(timespec="seconds")
        record = {"weaknas_ranking": FORMAT_VERSION, "created": created, "command": command}
        return record | {"ranking": self.config}

    def add(self, task: Task, rows: pa.Table) -> None:
        """Keep a finished task."""
        self.done[task] = rows
        if self.folder is not None:
            _write_table(rows, self.folder / "runs" / f"{len(self.done):06d}.parquet")

    def finish(self, order: list[Task], errors: Mapping[Task, str]) -> dict[str, Any]:
        """Summarize what there is and put the files of single tasks together."""
        added = [task for task in self.done if task not in set(order)]  # by other designs
        tables = [self.done[task] for task in order + added if task in self.done]
        rows = pa.concat_tables(tables) if tables else None
        summary = summarize_ranking(self.config, rows, errors)
        if self.folder is not None:
            if rows is not None:
                _write_table(rows, self.folder / "rankings.parquet")
            write_json(self.folder / "summary.json", summary)
            remove_parts(self.folder / "runs", "*.parquet")
        return summary


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
    return path.exists() and b'"weaknas_ranking"' in path.read_bytes()


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
    record, done = _read_record(folder), _read(folder)
    rows = pa.concat_tables(done.values()) if done else None
    summary = summarize_ranking(record["ranking"], rows, {})
    path = folder / "summary.json"
    if path.exists():  # only there it is written what failed
        summary["failures"] = json.loads(path.read_text(encoding="utf-8"))["failures"]
    return record, summary


def _read_record(folder: Path) -> dict[str, Any]:
    try:
        record = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{folder / 'config.json'} is damaged: {error}") from error
    if not isinstance(record, dict) or record.get("weaknas_ranking") != FORMAT_VERSION:
        raise InputError(f"{folder} holds no ranking of this version of weaknas")
    return record


def _read(folder: Path) -> dict[Task, pa.Table]:
    groups: dict[Task, list[dict[str, Any]]] = {}
    for path in [folder / "rankings.parquet", *sorted((folder / "runs").glob("*.parquet"))]:
        if not path.exists():
            continue
        try:
            rows = pq.read_table(path).to_pylist()
        except pa.ArrowInvalid as error:
            raise InputError(f"{path} is damaged: {error}; move it away to continue") from error
        read: dict[Task, list[dict[str, Any]]] = {}
        for row in rows:
            read.setdefault(Task(row["predictor"], row["run"]), []).append(row)
        groups.update(read)
    return {task: pa.Table.from_pylist(rows) for task, rows in groups.items()}


def _write_table(rows: pa.Table, path: Path) -> None:
    write_atomically(path, lambda place: pq.write_table(rows, place, compression="zstd"))
