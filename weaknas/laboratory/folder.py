"""The folder of an experiment: finished tasks, kept one by one and resumed."""

from __future__ import annotations

import importlib.metadata
import platform
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeAlias, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from weaknas.errors import InputError
from weaknas.files import (
    checksum,
    differences,
    lock,
    misfit,
    plain,
    prepare_folder,
    read_json,
    remove_parts,
    write_atomically,
    write_json,
)
from weaknas.laboratory.workers import Outcome, run_tasks
from weaknas.version import __version__

_Task = TypeVar("_Task", bound=Hashable)
Design: TypeAlias = dict[str, Any]

_PACKAGES = ("numpy", "scipy", "scikit-learn", "xgboost", "optuna", "pyarrow")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version(), "weaknas": __version__}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "absent"
    return found


class Folder(ABC, Generic[_Task]):
    """Finished tasks of one design, in memory and, where there is a folder, on the disk.

    While an experiment is under way each task is a small file of its own, whole or
    absent; when it ends or is interrupted they are put together. What is read back is
    checked: a file that cannot be read is refused, and a task that lacks rows, or has
    others than it should, is not finished.

    Parameters
    ----------
    path : path, optional
    design : dict
        Plain JSON types; a folder is refused whose design does not go with it.

    Attributes
    ----------
    done : dict of task to pyarrow.Table
        The rows of each finished task.
    errors : dict of task to str
        Why a task of the last call raised.
    """

    #: What the folder holds, for messages.
    kind: ClassVar[str]
    #: Name of the design in ``config.json``.
    section: ClassVar[str]
    version: ClassVar[int]
    #: The file of all tasks, and its columns.
    table: ClassVar[str]
    schema: ClassVar[pa.Schema]
    #: What a design that is read must be, see `weaknas.files.misfit`.
    form: ClassVar[Mapping[str, Any]]
    #: Columns whose values are the fields of a task.
    key: ClassVar[tuple[str, ...]]
    #: What a later design may add.
    growth: ClassVar[str]

    def __init__(self, path: Path | None, design: Mapping[str, Any]) -> None:
        self.path = path
        self.design: Design = plain(design)
        self.done: dict[_Task, pa.Table] = {}
        self.errors: dict[_Task, str] = {}
        self._parts = 0

    # -- what a kind of experiment says of itself --------------------------------------

    @classmethod
    @abstractmethod
    def task(cls, values: tuple[Any, ...]) -> _Task:
        """Return the task of the values of `key`."""

    @classmethod
    @abstractmethod
    def merge(cls, theirs: Design, ours: Design) -> tuple[Design, Design]:
        """Return the design that is kept, and what it would have to be to go with theirs."""

    @abstractmethod
    def fault(self, task: _Task, rows: pa.Table) -> str:
        """Return why these are not the rows of a finished task, or nothing."""

    @abstractmethod
    def position(self, task: _Task) -> tuple[int, ...]:
        """Return the place of a task among all."""

    @abstractmethod
    def summarize(self, rows: pa.Table | None, errors: Mapping[_Task, str]) -> dict[str, Any]:
        """Return the summary of all rows, and of tasks that raised, as plain JSON types."""

    @classmethod
    @abstractmethod
    def failures(cls, summary: dict[str, Any]) -> Iterator[tuple[_Task, str]]:
        """Yield the tasks that raised, and why, of a summary."""

    # -- a folder that is written --------------------------------------------------------

    @classmethod
    @contextmanager
    def open(
        cls, path: str | Path | None, design: Mapping[str, Any], command: str = ""
    ) -> Iterator[Self]:
        """Continue a folder, or begin it, and keep other processes away.

        Parameters
        ----------
        path : path, optional
            Default: nothing is written.
        design : mapping
        command : str
            Noted in ``config.json``.

        Raises
        ------
        InputError
            When the folder holds something else (the message names the first
            difference), is damaged, in use, or cannot be written.
        """
        if path is None:
            yield cls(None, design)
            return
        folder = prepare_folder(path)
        with lock(folder):
            opened = cls(folder, design)
            opened._begin(command)
            yield opened

    def _begin(self, command: str) -> None:
        assert self.path is not None
        path = self.path / "config.json"
        if path.exists():
            record = self.read_config(self.path)
            theirs = record[self.section]
            self.design, expected = self.merge(theirs, self.design)
            for name, old, new in differences(expected, self.design):
                raise InputError(
                    f"{self.path} holds a {self.kind} with {name} = {old}, not {new};"
                    " choose another output folder or the same configuration"
                    f" ({self.growth} may be added)"
                )
            self._read()
            if self.design == theirs:
                return
        else:
            if any((self.path / name).exists() for name in (self.table, "journal.jsonl")):
                raise InputError(f"{self.path} holds other results; choose another output folder")
            created = datetime.now(UTC).isoformat(timespec="seconds")
            record = {f"weaknas_{self.kind}": self.version, "created": created}
        record |= {"command": command, self.section: self.design}
        write_json(path, record | {"checksum": checksum(self.design)})

    def add(self, task: _Task, rows: pa.Table) -> None:
        """Keep a finished task."""
        self.done[task] = rows
        if self.path is not None:
            self._parts += 1
            _write_table(rows, self.path / "runs" / f"{self._parts:06d}.parquet")

    def finish(self) -> dict[str, Any]:
        """Summarize what there is and put the files of single tasks together."""
        summary = self.summary
        if self.path is not None:
            if self.done:
                _write_table(self.rows, self.path / self.table)
            write_json(self.path / "summary.json", summary)
            remove_parts(self.path / "runs", "*.parquet")
        return summary

    @property
    def rows(self) -> pa.Table:
        """The rows of all finished tasks, in order of their positions."""
        tables = [self.done[task] for task in sorted(self.done, key=self.position)]
        return pa.concat_tables(tables) if tables else self.schema.empty_table()

    @property
    def summary(self) -> dict[str, Any]:
        """The summary of what there is."""
        errors = {task: self.errors[task] for task in sorted(self.errors, key=self.position)}
        return self.summarize(self.rows if self.done else None, errors)

    # -- a folder that is read -----------------------------------------------------------

    @classmethod
    def read(cls, path: Path) -> tuple[dict[str, Any], Self]:
        """Read a folder, finished or under way; nothing is changed.

        Returns
        -------
        record : dict
            What ``config.json`` says.
        folder : Folder

        Raises
        ------
        InputError
            When it holds something else or is damaged.
        """
        record = cls.read_config(path)
        folder = cls(path, record[cls.section])
        folder._read()
        file = path / "summary.json"
        if file.exists():  # only there it is written what failed
            summary = read_json(file)
            try:
                folder.errors = {task: str(error) for task, error in cls.failures(summary)}
                sorted(folder.errors, key=folder.position)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise InputError(f"{file} is damaged: {error!r}") from error
        return record, folder

    @classmethod
    def read_config(cls, path: Path) -> dict[str, Any]:
        """Read ``config.json``.

        Raises
        ------
        InputError
            When there is none, it is damaged or not of this kind and version.
        """
        file = path / "config.json"
        if not file.is_file():
            raise InputError(f"{path} holds no {cls.kind}: it has no config.json")
        record = read_json(file)
        if not isinstance(record, dict) or record.get(f"weaknas_{cls.kind}") != cls.version:
            raise InputError(f"{path} holds no {cls.kind} of this version of weaknas")
        design = record.get(cls.section)
        if not isinstance(design, dict) or record.get("checksum") != checksum(design):
            raise InputError(f"{file} is damaged: it is not what was written")
        form = {"command": (str, None), "created": str, cls.section: dict(cls.form)}
        fault = misfit(record, form, "the record")
        if fault:
            raise InputError(f"{file} is damaged: {fault}")
        return record

    def _read(self) -> None:
        assert self.path is not None
        files = sorted((self.path / "runs").glob("*.parquet"))
        # Not their count: one that was damaged may have been moved away.
        self._parts = max((int(part.stem) for part in files if part.stem.isdecimal()), default=0)
        for file in [self.path / self.table, *files]:
            if file.exists():
                self._take(file)

    def _take(self, file: Path) -> None:
        """Keep the finished tasks of a file."""
        for task, rows in self._split(file):
            fault = self.fault(task, rows)
            if not fault:
                self.done[task] = rows
                continue
            values = rows.select(self.key).slice(0, 1).to_pylist()[0].items()
            name = ", ".join(f"{column} {value}" for column, value in values)
            warnings.warn(f"{file}: {name} is not finished: {fault}", stacklevel=2)

    def _split(self, file: Path) -> Iterator[tuple[_Task, pa.Table]]:
        """Yield the tasks of a file with all their rows."""
        table = _read_table(file, self.schema)
        codes = [table[name].combine_chunks().dictionary_encode().indices for name in self.key]
        rows = np.stack([code.to_numpy() for code in codes], axis=1)
        _, places, inverse = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        order = np.argsort(inverse.reshape(-1), kind="stable")
        ends = np.searchsorted(inverse.reshape(-1)[order], np.arange(len(places)), side="right")
        for start, end in pairwise([0, *ends.tolist()]):
            part = table.take(order[start:end])
            yield self.task(tuple(part.select(self.key).slice(0, 1).to_pylist()[0].values())), part


def complete(
    folder: Folder[_Task],
    tasks: Sequence[_Task],
    work: Callable[[_Task], Outcome[_Task]],
    jobs: int = 1,
    progress: Callable[[Outcome[_Task]], None] | None = None,
) -> dict[str, Any]:
    """Do the tasks that are left and return the summary of all.

    Every finished task is on the disk before the next is waited for; what raised is
    reported, and tried again by the next call.

    Parameters
    ----------
    folder : Folder
    tasks : sequence
    work : callable
        Picklable, see `run_tasks`.
    jobs : int
    progress : callable, optional
        Called with every outcome, those of an earlier call included.
    """
    report = progress or (lambda _: None)
    for task, rows in folder.done.items():
        report(Outcome(task, rows))
    outcomes = run_tasks(work, [task for task in tasks if task not in folder.done], jobs)
    try:
        for outcome in outcomes:
            if outcome.rows is None:
                folder.errors[outcome.task] = outcome.error
            else:
                folder.add(outcome.task, outcome.rows)
            report(outcome)
    finally:
        outcomes.close()
        summary = folder.finish()
    return summary


def _read_table(file: Path, schema: pa.Schema) -> pa.Table:
    try:
        table = pq.read_table(file, page_checksum_verification=True)
        for field in schema:
            if field.nullable and field.name not in table.column_names:  # of an earlier version
                table = table.append_column(field, pa.nulls(len(table), field.type))
        return table.select(schema.names).cast(schema)
    except (pa.ArrowException, KeyError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{file} is damaged: {reason}; move it away to continue") from error


def _write_table(rows: pa.Table, file: Path) -> None:
    write_atomically(
        file,
        lambda place: pq.write_table(rows, place, compression="zstd", write_page_checksum=True),
    )
