"""The journal: an append-only file that keeps the trials of a run."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

from weaknas.errors import InputError
from weaknas.files import (
    differences,
    is_file_at,
    lock,
    plain,
    prepare_folder,
    sync_folder,
    write_atomically,
)
from weaknas.runs.records import BUDGET, FORMAT_VERSION, Records, encode
from weaknas.runs.trials import Trial

_PARTS = ("space", "strategy", "evaluator")
#: The text of a `weaknas.search.sources.Source`, which ends with a digest of what it holds.
_NAMED_SOURCE = re.compile(r"Source\(.*?, ((?:same problem, )?\d+ scores, [0-9a-f]{16}\))")


class Journal:
    """An append-only file of JSON lines: a header with the configuration, then trials.

    Each record ends with a checksum and is on the disk (fsync) before `append`
    returns. When the journal is opened, a last record that a crash has cut short is
    removed, and one that lacks nothing but its newline is given it; any other damage
    is refused and nothing is overwritten. Journals without checksums, as versions
    before 0.2 wrote them, are read and continued.

    Parameters
    ----------
    path : path
        Created, with its folder, when it does not exist.
    config : dict
        What the run is; a journal with another configuration is refused. The budget
        in it may be another one, and is then written before the next trial.

    Raises
    ------
    InputError
        When the folder cannot be written, the journal is damaged or in use, or it
        belongs to another configuration; the message names the first difference. Also
        when the configuration has what JSON cannot hold.
    """

    def __init__(self, path: str | os.PathLike[str], config: dict[str, Any]) -> None:
        self.path = Path(path).absolute()
        self.config = plain(config)
        #: In the order in which they came back; a later one of the same number replaces one
        #: that failed.
        self.trials: list[Trial] = []
        #: When each of these was written, in seconds of the epoch; None in journals before 0.2.
        self.times: list[float | None] = []
        self._news = b""  # what is written before the next trial
        self._length = 0
        prepare_folder(self.path.parent)
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(lock(self.path.parent))
                self._file = stack.enter_context(self.path.open("a+b", buffering=0))
            except OSError as error:
                raise InputError(f"cannot write to {self.path.parent}: {error.strerror}") from error
            self._replay()
            self._open = stack.pop_all()

    def append(self, trial: Trial) -> None:
        """Write one trial and wait until it is on the disk.

        Raises
        ------
        OSError
            When the write fails, e.g. on a full disk; the journal then ends with
            the last complete record, or its next opening cuts it back to that. Also
            when somebody else deleted, replaced or changed the file; what was
            measured is then written anew, to the place that the message names.
        """
        now = round(time.time(), 3)
        if not is_file_at(self._file, self.path) or self._size() != self._length:
            self._rescue([*self.trials, trial], [*self.times, now])
        self._write(self._news + encode(_stamped(trial, now)))
        self._news = b""
        self.trials.append(trial)
        self.times.append(now)

    def close(self) -> None:
        """Close the file; it may be opened again later."""
        self._open.close()

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

    def _size(self) -> int:
        return self._file.seek(0, os.SEEK_END)

    def _rescue(self, trials: Sequence[Trial], times: Sequence[float | None]) -> NoReturn:
        """Write all trials to a file of their own, or in the place of the one that is gone."""
        is_gone = not self.path.exists()
        other = self.path.with_name(f"{self.path.stem}-{secrets.token_hex(4)}{self.path.suffix}")
        place = self.path if is_gone else other
        content = self._header() + b"".join(
            encode(_stamped(trial, written)) for trial, written in zip(trials, times, strict=True)
        )
        write_atomically(place, lambda temporary: temporary.write_bytes(content))
        raise OSError(
            f"{self.path} was {'deleted' if is_gone else 'changed'} while the run wrote to it;"
            f" all that was measured is in {place}"
        )

    def _header(self) -> bytes:
        return encode({"weaknas_journal": FORMAT_VERSION, "config": self.config})

    def _write(self, line: bytes) -> None:
        end = self._size()
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
        self._length = end + len(line)

    def _replay(self) -> None:
        self._file.seek(0)
        content = self._file.read()
        records = Records.read(self.path, content)
        if records.config is not None:
            self._compare(records.config)
        # Only now, when all is known to be ours and whole up to there.
        if records.length < len(content):
            self._file.truncate(records.length)
        self._length = records.length
        self.trials, self.times = records.trials, records.times
        if records.is_open:
            self._write(b"\n")
        if records.config is None:
            self._write(self._header())
            sync_folder(self.path.parent)

    def _compare(self, theirs: dict[str, Any]) -> None:
        budget = {name: self.config.get(name) for name in sorted(BUDGET)}
        if any(theirs.get(name) != value for name, value in budget.items()):
            self._news = encode(budget)
        for key, old, new in differences(theirs | budget, self.config | budget):
            if _without_names(old) == _without_names(new):
                continue
            raise InputError(
                f"{self.path.parent} holds a run with {key} = {old}, not {new};"
                " choose another output folder or the same configuration"
            )


def _without_names(text: str) -> str:
    """Return a part of a configuration without the names of sources: their content decides."""
    return _NAMED_SOURCE.sub(r"Source(\1", text)


def _stamped(trial: Trial, written: float | None) -> dict[str, Any]:
    return trial.to_dict() | ({} if written is None else {"time": written})


def read_journal(path: Path) -> tuple[dict[str, Any], list[Trial]]:
    """Read the journal of a search, also of one under way; nothing is changed.

    Returns
    -------
    config : dict
    trials : list of Trial
        In order of proposal; of one that failed and was tried again the last.

    Raises
    ------
    InputError
        When it is damaged, not of a search or without trials; a last record that is
        cut short is passed over.
    """
    config, records = read_records(path)
    trials = list(records.latest.values())
    if not trials:
        raise InputError(f"{path} holds no trial yet")
    return config, sorted(trials, key=lambda trial: trial.number)


def read_records(path: Path) -> tuple[dict[str, Any], Records]:
    """Read all lines of the journal of a search; nothing is changed.

    Returns
    -------
    config : dict
    records : Records

    Raises
    ------
    InputError
        When it is damaged, or not of a search; a last record that is cut short is passed
        over.
    """
    records = Records.read(path, path.read_bytes())
    is_ours = records.config is not None and all(
        isinstance(records.config.get(part), dict) for part in _PARTS
    )
    if records.config is None or not (records.trials or is_ours):
        raise InputError(f"{path} holds no trial yet")
    if len({len(trial.architecture.genotype) for trial in records.trials}) > 1:
        raise InputError(f"{path} has architectures of different lengths, of several spaces")
    if not is_ours:
        raise InputError(f"{path} is not the journal of a search: it lacks {', '.join(_PARTS)}")
    return records.config, records
