"""The folder of an experiment: what was measured, kept run by run and resumed."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from weaknas.errors import InputError
from weaknas.files import differences, remove_parts, write_atomically, write_json
from weaknas.laboratory.experiment import Experiment, Task
from weaknas.laboratory.summary import summarize
from weaknas.laboratory.workers import Outcome, run_experiment

FORMAT_VERSION = 1
Progress: TypeAlias = Callable[[Outcome], None]

_PACKAGES = ("weaknas", "numpy", "scipy", "scikit-learn", "xgboost", "optuna", "pyarrow")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:  # run from a source tree
            import weaknas

            found[package] = weaknas.__version__ if package == "weaknas" else "absent"
    return found


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
    config = experiment.describe() | {"versions": versions()}
    runs = Runs(None if output is None else Path(output), config, command)
    errors: dict[Task, str] = {}
    for task, queries in runs.done.items():
        if progress is not None:
            progress(Outcome(task, queries))
    left = [task for task in experiment.tasks() if task not in runs.done]
    outcomes = run_experiment(experiment, left, jobs)
    try:
        for outcome in outcomes:
            if outcome.queries is None:
                errors[outcome.task] = outcome.error
            else:
                runs.add(outcome.task, outcome.queries)
            if progress is not None:
                progress(outcome)
    finally:
        outcomes.close()
        summary = runs.finish(experiment.tasks(), errors)
    return summary


class Runs:
    """The finished runs of one experiment, in memory and, where there is a folder, on the disk.

    While an experiment is under way each run is a small file of its own, whole or
    absent; when it ends or is interrupted they are put together.

    Parameters
    ----------
    folder : path, optional
    config : dict
        The experiment, plain JSON types; a folder is refused whose experiment is not
        a part of it: the same but for strategies and runs that are added.
    command : str

    Raises
    ------
    InputError
        When the folder holds another experiment (the message names the first
        difference), is damaged or cannot be written.
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
            record = read_config(folder)
            _refuse_other(folder, record["experiment"], self.config)
            self.done = dict(_read_runs(folder))
            if record["experiment"] != self.config:
                write_json(path, record | {"command": command, "experiment": self.config})
            return
        if (folder / "queries.parquet").exists() or (folder / "journal.jsonl").exists():
            raise InputError(f"{folder} holds other results; choose another output folder")
        created = datetime.now(UTC).isoformat(timespec="seconds")
        record = {"weaknas_comparison": FORMAT_VERSION, "created": created, "command": command}
        write_json(path, record | {"experiment": self.config})

    def add(self, task: Task, queries: pa.Table) -> None:
        """Keep a finished run."""
        self.done[task] = queries
        if self.folder is not None:
            write_atomically(
                self.folder / "runs" / f"{len(self.done):06d}.parquet",
                lambda path: pq.write_table(queries, path, compression="zstd"),
            )

    def finish(self, order: list[Task], errors: dict[Task, str]) -> dict[str, Any]:
        """Summarize what there is and put the files of single runs together."""
        ranked = sorted((task for task in order if task in self.done), key=self._position)
        tables = [self.done[task] for task in ranked]
        queries = pa.concat_tables(tables) if tables else None
        failures = [
            {"dataset": t.dataset, "strategy": t.strategy, "run": t.run, "error": message}
            for t, message in sorted(errors.items(), key=lambda item: self._position(item[0]))
        ]
        summary = summarize(self.config, queries, failures)
        if self.folder is not None:
            if queries is not None:
                write_atomically(
                    self.folder / "queries.parquet",
                    lambda path: pq.write_table(queries, path, compression="zstd"),
                )
            write_json(self.folder / "summary.json", summary)
            remove_parts(self.folder / "runs", "*.parquet")
        return summary

    def _position(self, task: Task) -> tuple[int, int, int]:
        datasets, strategies = list(self.config["datasets"]), list(self.config["strategies"])
        return datasets.index(task.dataset), strategies.index(task.strategy), task.run


def read_config(folder: Path) -> dict[str, Any]:
    """Read ``config.json`` of a comparison.

    Raises
    ------
    InputError
        When there is none or it is not of this version.
    """
    path = folder / "config.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{folder} holds no comparison: it has no config.json") from error
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}") from error
    if not isinstance(record, dict) or record.get("weaknas_comparison") != FORMAT_VERSION:
        raise InputError(f"{path} is not of a comparison of this version of weaknas")
    return record


def read_queries(folder: Path) -> pa.Table:
    """Read all queries of the finished runs of a comparison, under way or ended.

    Raises
    ------
    InputError
        When no run is finished or a file is damaged.
    """
    tables = list(dict(_read_runs(folder)).values())
    if not tables:
        raise InputError(f"{folder} holds no finished run")
    return pa.concat_tables(tables)


def _read_runs(folder: Path) -> Iterator[tuple[Task, pa.Table]]:
    for path in [folder / "queries.parquet", *sorted((folder / "runs").glob("*.parquet"))]:
        if not path.exists():
            continue
        try:
            yield from _split(pq.read_table(path))
        except (pa.ArrowInvalid, KeyError) as error:
            raise InputError(f"{path} is damaged: {error}; move it away to continue") from error


def _split(queries: pa.Table) -> Iterator[tuple[Task, pa.Table]]:
    """Yield the runs of a table, whose rows are in the order of runs and queries."""
    starts = pc.indices_nonzero(pc.equal(queries["query"], 1)).to_pylist()
    for start, end in zip(starts, [*starts[1:], len(queries)], strict=True):
        part = queries.slice(start, end - start)
        key = part.slice(0, 1).to_pylist()[0]
        yield Task(key["dataset"], key["strategy"], key["run"]), part


def _refuse_other(folder: Path, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    for key, old, new in differences(_grown(theirs, ours), ours):
        raise InputError(
            f"{folder} holds a comparison with {key} = {old}, not {new};"
            " choose another output folder or the same configuration"
            " (strategies and runs may be added)"
        )


def _grown(theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """Return their experiment with the strategies and the runs that ours adds to it."""
    strategies = theirs["strategies"] | {
        name: new
        if name not in theirs["strategies"]
        else _more_runs(theirs["strategies"][name], new)
        for name, new in ours["strategies"].items()
    }
    grown = _more_runs(theirs, ours) | {"strategies": strategies}
    if ours["seeds"][: len(theirs["seeds"])] == theirs["seeds"]:
        grown["seeds"] = ours["seeds"]
    return grown


def _more_runs(theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    return theirs | {"runs": max(theirs["runs"], ours["runs"])}
