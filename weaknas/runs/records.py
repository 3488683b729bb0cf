"""The lines of a journal: how a record is written, verified and read again."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Self

from weaknas.errors import InputError
from weaknas.files import misfit
from weaknas.runs.trials import Trial, read_finite

FORMAT_VERSION = 2
#: Format 1 has no checksums.
_READABLE = (1, FORMAT_VERSION)
#: The fields of a configuration that may change while a run is continued.
BUDGET = frozenset({"budget", "budget_cost"})
#: What of a configuration is read again; a journal of others may lack it.
_FORM = {
    "space": (
        {
            "name": (str, None),
            "choices": ({str: [str]}, None),
            "conditions": ({str: {str: [str]}}, None),
        },
        None,
    ),
    "strategy": ({"strategy": (str, None)}, None),
    "evaluator": ({}, None),
    "budget": (int, None),
    "budget_cost": (float, None),
    "objectives": ([str], None),
}
_HEADER_START = b'{"weaknas_journal":'
_VERSION = re.compile(rb'\{"weaknas_journal":\s*(\d{1,9})\s*[,}]')
_CHECKSUM = re.compile(rb',"check":"([0-9a-f]{16})"\}')
_CHECKSUM_LENGTH = len(',"check":"0123456789abcdef"}')
#: What no write that was cut short leaves: the end of a record, or the start of a second.
_NOT_TORN = re.compile(_CHECKSUM.pattern + rb'|[^:]\{"number":')


def encode(record: dict[str, Any]) -> bytes:
    """Return a record as a line of JSON whose last field is a checksum of all before it."""
    body = json.dumps(record, allow_nan=False, separators=(",", ":")).encode()[:-1]
    return body + b',"check":"' + _checksum(body) + b'"}\n'


def decode(line: bytes) -> tuple[dict[str, Any], bool]:
    """Return the record of a line, and whether it had a checksum.

    Raises
    ------
    ValueError
        When the line is no JSON object, or not what the checksum was made of.
    """
    check = _CHECKSUM.fullmatch(line, max(0, len(line) - _CHECKSUM_LENGTH))
    if check is not None:
        line = line[: check.start()]
        if _checksum(line) != check[1]:
            raise ValueError("the checksum is not that of the line")
        line += b"}"
    try:
        record = json.loads(line, parse_constant=_refuse_constant)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(record, dict):
        raise ValueError("not an object")
    return record, check is not None


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=8).hexdigest().encode()


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


@dataclass
class Records:
    """What the bytes of a journal say.

    Parameters
    ----------
    path : Path
        For messages.
    version : int
        Of the format.
    config : dict, optional
        None where there is no header yet. A budget that was changed later is in it.
    trials : list of Trial
        In the order of the lines; one that failed and was tried again is there for each.
    times : list of float or None
        When each of them was written, in seconds of the epoch, where the line says it.
    latest : dict of int to Trial
        The last record of each number.
    length : int
        Bytes up to the end of the last whole record; what follows is a write cut short.
    is_open : bool
        Whether that record lacks its newline.
    """

    path: Path
    version: int = FORMAT_VERSION
    config: dict[str, Any] | None = None
    trials: list[Trial] = field(default_factory=list)
    times: list[float | None] = field(default_factory=list)
    latest: dict[int, Trial] = field(default_factory=dict)
    length: int = 0
    is_open: bool = False

    @classmethod
    def read(cls, path: Path, content: bytes) -> Self:
        """Read all records; a last one that a crash cut short is passed over.

        Raises
        ------
        InputError
            When it is no journal, of a format that is not read, or damaged.
        """
        if not content.startswith(_HEADER_START[: len(content)]):
            raise InputError(f"{path} is not a journal; nothing was changed")
        found = _VERSION.match(content)
        version = FORMAT_VERSION if found is None else int(found[1])
        if version not in _READABLE:
            raise InputError(
                f"{path} is a journal of format {version}, where"
                f" {' and '.join(map(str, _READABLE))} are read; nothing was changed"
            )
        records = cls(path, version)
        *lines, last = content.split(b"\n")
        for number, line in enumerate(lines, start=1):
            records._add(number, line)
        records.length = len(content) - len(last)
        if last and not _is_torn(last):
            records._add(len(lines) + 1, last)
            records.length, records.is_open = len(content), True
        return records

    def _add(self, number: int, line: bytes) -> None:
        try:
            record, is_checked = decode(line)
            if not is_checked and self.version > 1:
                raise ValueError("no checksum")
            if self.config is None:
                self._add_header(record)
            elif set(record) == BUDGET:
                self._configure(self.config | record)
            else:
                written = record.pop("time", None)
                self._add_trial(Trial.from_dict(record))
                self.times.append(None if written is None else read_finite(written, "time", 0))
        except ValueError as error:
            raise InputError(
                f"{self.path} is damaged at line {number}; nothing was changed: {error}."
                " Remove this line and those after it, or choose another output folder"
            ) from error

    def _add_header(self, record: dict[str, Any]) -> None:
        if set(record) != {"weaknas_journal", "config"} or not isinstance(record["config"], dict):
            raise ValueError("not a header with a configuration")
        self._configure(record["config"])

    def _configure(self, config: dict[str, Any]) -> None:
        fault = misfit(config, _FORM, "the configuration")
        if fault:
            raise ValueError(fault)
        self.config = config

    def _add_trial(self, trial: Trial) -> None:
        before = self.latest.get(trial.number)
        if before is not None and (before.is_ok or _asked(before) != _asked(trial)):
            raise ValueError(f"a second trial {trial.number}")
        self.trials.append(trial)
        self.latest[trial.number] = trial


def _asked(trial: Trial) -> tuple[object, ...]:
    """Return what remains of a trial that is tried again."""
    return trial.round, trial.repeat, trial.architecture, trial.evaluation.fidelity


def _is_torn(last: bytes) -> bool:
    """Whether what follows the last newline is a write that was cut short."""
    try:
        decode(last)
    except ValueError:
        return _NOT_TORN.search(last) is None
    return False
