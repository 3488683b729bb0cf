"""What is under way in a run, in a file beside its journal, for those who watch."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from weaknas.errors import InputError
from weaknas.evaluators.outcome import TRAININGS, Ongoing
from weaknas.files import read_json, write_json
from weaknas.spaces import Architecture
from weaknas.strategies import Contender

__all__ = ["Ongoing", "Status", "StatusFile"]

FILE = "status.json"
_PAUSE = 0.5  # seconds between two files while evaluations are quick


class StatusFile:
    """Writes ``status.json``: the process, what runs, what waits, who leads.

    It is a view for people: nothing is lost with it, and no run reads it.

    Parameters
    ----------
    folder : path
        Of the run.
    workers : int, optional
        How many evaluations are made at a time; default: all of a round.
    """

    def __init__(self, folder: Path, workers: int | None) -> None:
        self._path, self._workers = folder / FILE, workers
        self._head = {"pid": os.getpid(), "host": socket.gethostname(), "started": time.time()}
        self._since: dict[int, float] = {}
        self._written = 0.0

    def is_due(self, seconds: float) -> bool:
        """Whether to write now; `seconds` is what the last evaluation took."""
        return seconds > _PAUSE or time.time() - self._written > _PAUSE

    def write(
        self, proposed: Mapping[int, Architecture], contenders: Sequence[Contender], done: bool
    ) -> None:
        """Write what was proposed and is not back yet, by number, and the leading contenders."""
        now = time.time()
        running = list(proposed)[: self._workers]
        self._since = {number: self._since.get(number, now) for number in running}
        record = self._head | {
            "time": now,
            "done": done,
            "running": [
                {"number": n, "architecture": proposed[n].text, "since": self._since[n]}
                for n in running
            ],
            "waiting": [proposed[n].text for n in proposed if n not in self._since],
            "contenders": [contender.to_dict() for contender in contenders],
        }
        write_json(self._path, record)
        self._written = now


@dataclass(frozen=True)
class Status:
    """What a status file says.

    Parameters
    ----------
    state : {"running", "stopped", "done", "unknown"}
        Unknown where the process is one of another host.
    host : str
    time : float
        When it was written, in seconds of the epoch.
    running : list of dict
        ``number``, ``architecture`` and ``since`` of each evaluation that is under way.
    waiting : list of str
        Architectures that are proposed and not begun.
    contenders : list of dict
        As of `Contender.to_dict`.
    curves : list of Ongoing
        What trainings under way have measured so far.
    """

    state: str
    host: str
    time: float
    running: list[dict[str, Any]]
    waiting: list[str]
    contenders: list[dict[str, Any]]
    curves: list[Ongoing]

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Read the file of a run folder; None where there is none, or not one of ours."""
        try:
            record = read_json(folder / FILE)
            state = _state(record)
            names = ("host", "time", "running", "waiting", "contenders")
            fields = {name: record[name] for name in names}
            return cls(state=state, **fields, curves=Ongoing.read(folder / TRAININGS))
        except (InputError, KeyError, TypeError):
            return None


def _state(record: Mapping[str, Any]) -> str:
    if record["done"]:
        return "done"
    if record["host"] != socket.gethostname():
        return "unknown"
    try:
        os.kill(int(record["pid"]), 0)
    except ProcessLookupError:
        return "stopped"
    except PermissionError:  # of another user
        return "running"
    return "running"
