"""Trials, the durable record of what was paid for, and the journal that keeps them."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, overload

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError
from weaknas.evaluators import Evaluation
from weaknas.files import sync_folder
from weaknas.spaces import Architecture

FORMAT_VERSION = 1
_HEADER_START = b'{"weaknas_journal":'


@dataclass(frozen=True, slots=True)
class Trial:
    """One query.

    Parameters
    ----------
    number : int
        Position in the order of proposal, from 0.
    round : int
        The round of the search that proposed it, from 0; in a run that is
        asynchronous, how many results the strategy had when it proposed it.
    architecture : Architecture
    evaluation : Evaluation
    seconds : float
        Wall time of the evaluation.
    """

    number: int
    round: int
    architecture: Architecture
    evaluation: Evaluation
    seconds: float = 0.0

    @property
    def score(self) -> float:
        """The score; NaN when the evaluation failed."""
        return self.evaluation.score

    @property
    def is_ok(self) -> bool:
        """Whether there is a score."""
        return self.evaluation.is_ok

    @property
    def level(self) -> float:
        """The fidelity as a number to compare: infinity for full training."""
        return math.inf if self.evaluation.fidelity is None else self.evaluation.fidelity

    def to_dict(self) -> dict[str, Any]:
        """Return the trial as plain JSON types; the times come last."""
        evaluation = self.evaluation
        return {
            "number": self.number,
            "round": self.round,
            "architecture": self.architecture.to_dict(),
            "status": evaluation.status,
            "score": evaluation.score if evaluation.is_ok else None,
            "metrics": dict(evaluation.metrics),
            "cost": evaluation.cost,
            "fidelity": evaluation.fidelity,
            "message": evaluation.message,
            "seconds": round(self.seconds, 6),
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Trial:
        """Rebuild a trial from `to_dict`.

        Raises
        ------
        InputError
            When a field is missing or of the wrong kind.
        """
        try:
            score, fidelity = record["score"], record["fidelity"]
            evaluation = Evaluation(
                float("nan") if score is None else float(score),
                {str(name): float(value) for name, value in record["metrics"].items()},
                float(record["cost"]),
                None if fidelity is None else float(fidelity),
                str(record["status"]),
                str(record["message"]),
            )
            architecture = Architecture.from_dict(record["architecture"])
            number, round_index = int(record["number"]), int(record["round"])
            return cls(number, round_index, architecture, evaluation, float(record["seconds"]))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"not the record of a trial: {error}") from error


@dataclass(frozen=True)
class Trials(Sequence[Trial]):
    """The trials of a run in order of proposal: a sequence and a table of columns."""

    items: tuple[Trial, ...] = field(default_factory=tuple)

    @overload
    def __getitem__(self, index: int) -> Trial: ...
    @overload
    def __getitem__(self, index: slice) -> Trials: ...
    def __getitem__(self, index: int | slice) -> Trial | Trials:
        return Trials(self.items[index]) if isinstance(index, slice) else self.items[index]

    def __len__(self) -> int:
        return len(self.items)

    @property
    def genotypes(self) -> npt.NDArray[np.int16]:
        """Genotypes, shape (n, d)."""
        return np.array([trial.architecture.genotype for trial in self.items], dtype=np.int16)

    @property
    def scores(self) -> npt.NDArray[np.float64]:
        """Scores, shape (n,); NaN where an evaluation failed."""
        return np.array([trial.score for trial in self.items], dtype=np.float64)

    @property
    def costs(self) -> npt.NDArray[np.float64]:
        """Seconds paid for each, shape (n,)."""
        return np.array([trial.evaluation.cost for trial in self.items], dtype=np.float64)

    @property
    def best(self) -> Trial | None:
        """The trial with the best observed score (ties: the earlier); None if all failed.

        Where there are several fidelities, those of the highest one alone count:
        full training where there is any.
        """
        scored = [trial for trial in self.items if trial.is_ok]
        return max(scored, key=lambda t: (t.level, t.score, -t.number), default=None)

    def columns(self) -> dict[str, list[Any]]:
        """Return the table by columns; ``pandas.DataFrame(trials.columns())`` reads it."""
        names = sorted({name for trial in self.items for name in trial.evaluation.metrics})
        rows = [trial.to_dict() for trial in self.items]
        plain = ("number", "round", "status", "score", "cost", "fidelity", "message", "seconds")
        columns = {name: [row[name] for row in rows] for name in plain}
        columns["architecture"] = [trial.architecture.text for trial in self.items]
        columns["id"] = [trial.architecture.id for trial in self.items]
        for name in names:
            free = f"metric_{name}" if name in columns else name
            columns[free] = [row["metrics"].get(name) for row in rows]
        return columns


class Journal:
    """An append-only file of JSON lines: a header with the configuration, then trials.

    Each record is on the disk (fsync) before `append` returns. A torn last line,
    which a crash in the middle of a write leaves, is cut off when the journal is
    opened; damage anywhere else is refused and nothing is overwritten.

    Parameters
    ----------
    path : path
        Created, with its folder, when it does not exist.
    config : dict
        What the run is; a journal with another configuration is refused.

    Raises
    ------
    InputError
        When the folder cannot be written, the journal is damaged or in use, or it
        belongs to another configuration; the message names the first difference.
    """

    def __init__(self, path: str | os.PathLike[str], config: dict[str, Any]) -> None:
        self.path = Path(path)
        self.config = json.loads(json.dumps(config))
        self.trials: list[Trial] = []
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a+b", buffering=0)
        except OSError as error:
            raise InputError(f"cannot write to {self.path.parent}: {error.strerror}") from error
        try:
            self._lock()
            self._replay()
        except BaseException:
            self._file.close()
            raise

    def append(self, trial: Trial) -> None:
        """Write one trial and wait until it is on the disk.

        Raises
        ------
        OSError
            When the write fails, e.g. on a full disk; the journal then ends with
            the last complete record, or its next opening cuts it back to that.
        """
        self._write(trial.to_dict())
        self.trials.append(trial)

    def close(self) -> None:
        """Close the file; it may be opened again later."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # -- inside -------------------------------------------------------------------

    def _lock(self) -> None:
        """Keep a second process out; the lock ends with the process, however it ends."""
        with contextlib.suppress(ImportError):  # no fcntl on Windows
            import fcntl

            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InputError(f"{self.path} is in use by another process") from error
            except OSError:
                return  # a file system without locks

    def _write(self, record: dict[str, Any]) -> None:
        line = json.dumps(record, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        end = self._file.seek(0, os.SEEK_END)
        try:
            if self._file.write(line) < len(line):
                raise OSError(errno.ENOSPC, "the disk is full", str(self.path))
            os.fsync(self._file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(end)
            raise OSError(
                error.errno,
                f"cannot write the journal: {error.strerror or error}; what was measured before"
                " is kept, make room and call again",
                str(self.path),
            ) from error

    def _replay(self) -> None:
        self._file.seek(0)
        content = self._file.read()
        if not content.startswith(_HEADER_START[: len(content)]):
            raise InputError(f"{self.path} is not a journal; nothing was changed")
        *lines, torn = content.split(b"\n")
        if lines:
            self._compare(self._read_header(lines[0]))
            self.trials = self._read_trials(lines[1:])
        # Only now, when all is known to be ours and whole up to there.
        if torn:
            self._file.truncate(len(content) - len(torn))
        if not lines:
            self._write({"weaknas_journal": FORMAT_VERSION, "config": self.config})
            sync_folder(self.path.parent)

    def _read_header(self, line: bytes) -> Any:
        header = self._parse(line, 1)
        if header["weaknas_journal"] != FORMAT_VERSION:
            raise InputError(
                f"{self.path} is a journal of format {header['weaknas_journal']}, where"
                f" {FORMAT_VERSION} is read; nothing was changed"
            )
        return header.get("config")

    def _read_trials(self, lines: list[bytes]) -> list[Trial]:
        trials: dict[int, Trial] = {}
        for number, line in enumerate(lines, start=2):
            try:
                trial = Trial.from_dict(self._parse(line, number))
            except InputError as error:
                raise self._damaged(number) from error
            if trial.number in trials:
                raise self._damaged(number)
            trials[trial.number] = trial
        return list(trials.values())

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except ValueError as error:
            raise self._damaged(number) from error
        if not isinstance(record, dict):
            raise self._damaged(number)
        return record

    def _damaged(self, number: int) -> InputError:
        return InputError(
            f"{self.path} is damaged at line {number}; nothing was changed."
            " Mend the line or choose another output folder"
        )

    def _compare(self, theirs: Any) -> None:
        for key, old, new in differences(theirs, self.config):
            raise InputError(
                f"{self.path.parent} holds a run with {key} = {old}, not {new};"
                " choose another output folder or the same configuration"
            )


def differences(old: Any, new: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield name, old and new value of all leaves in which two configurations differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(set(old) | set(new)):
            yield from differences(old.get(key), new.get(key), f"{prefix}.{key}".lstrip("."))
    elif old != new:
        yield prefix, json.dumps(old), json.dumps(new)
