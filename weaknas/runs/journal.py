"""The journal: an append-only file that keeps the trials of a run."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from weaknas.errors import InputError
from weaknas.files import differences, sync_folder
from weaknas.runs.trials import Trial

FORMAT_VERSION = 1
_HEADER_START = b'{"weaknas_journal":'


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


def read_journal(path: Path) -> tuple[dict[str, Any], list[Trial]]:
    """Read the journal of a search, also of one under way; nothing is changed.

    Returns
    -------
    config : dict
    trials : list of Trial
        In order of proposal.

    Raises
    ------
    InputError
        When it is damaged or has no trial; a torn last line is passed over.
    """
    lines = path.read_bytes().split(b"\n")[:-1]
    try:
        config = json.loads(lines[0])["config"]
        trials = [Trial.from_dict(json.loads(line)) for line in lines[1:]]
        np.array([trial.architecture.genotype for trial in trials])  # all of one length
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged or no journal of a search") from error
    if not trials:
        raise InputError(f"{path} holds no trial yet")
    return config, sorted(trials, key=lambda trial: trial.number)
