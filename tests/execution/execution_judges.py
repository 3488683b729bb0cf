"""Evaluators for worker processes: they mark what is paid, sleep, and fail as they are told."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weaknas.evaluators import Evaluation
from weaknas.spaces import Architecture, ChoiceSpace

SPACE = ChoiceSpace({f"x{i}": ["a", "b", "c"] for i in range(5)}, name="small")


def score(architecture: Architecture) -> float:
    return float(sum(value * 3**i for i, value in enumerate(architecture.genotype)) % 101)


class Judge:
    """Writes to ``marks`` in a folder: begin or end, identity, process.

    A fault is a kind, for an architecture, that happens so many times. After `most`
    evaluations a process hangs in the next one, to be killed there at the latest.
    """

    done = 0

    def __init__(
        self,
        folder: Path,
        seconds: float = 0.0,
        faults: Mapping[str, tuple[str, int]] | None = None,
        most: float = math.inf,
    ) -> None:
        self.folder, self.seconds, self.faults = folder, seconds, dict(faults or {})
        self.most = most

    def evaluate(
        self, architecture: Architecture, *, seed: int, fidelity: float | None = None
    ) -> Evaluation:
        key = self.key(architecture, seed)
        self.mark("begin", key)
        kind, times = self.faults.get(architecture.id, ("", 0))
        begun = [line for line in marks(self.folder) if line[:2] == ("begin", architecture.id)]
        if len(begun) <= times:
            happen(kind)
        if Judge.done >= self.most:
            happen("hang")
        self.work(seed)
        Judge.done += 1
        self.mark("end", key)
        value = float("nan") if kind == "nan" else self.score(architecture, seed)
        return Evaluation(value, cost=1.0)

    def work(self, seed: int) -> None:
        time.sleep(self.seconds * (1 + seed % 3))

    def describe(self) -> dict[str, Any]:
        return {"judge": 1}

    def key(self, architecture: Architecture, seed: int) -> str:
        return architecture.id

    def score(self, architecture: Architecture, seed: int) -> float:
        return score(architecture)

    def mark(self, event: str, key: str) -> None:
        line = f"{event} {key} {os.getpid()}\n".encode()
        handle = os.open(self.folder / "marks", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, line)
        os.close(handle)


class Noisy(Judge):
    """Of an architecture there are trainings without end, told apart by their seeds."""

    def trainings(self, architecture: Architecture) -> float:
        return math.inf

    def key(self, architecture: Architecture, seed: int) -> str:
        return f"{architecture.id}@{seed}"

    def score(self, architecture: Architecture, seed: int) -> float:
        return score(architecture) + seed % 17


class Held(Judge):
    """Ends no evaluation before there is a file ``go`` in its folder."""

    def work(self, seed: int) -> None:
        while not (self.folder / "go").exists():
            time.sleep(0.02)


def happen(kind: str) -> None:
    match kind:
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(3)
        case "sys.exit":
            raise SystemExit(3)
        case "hang":
            time.sleep(1000)
        case "raise":
            raise RuntimeError("diverged")
        case "memory":
            raise MemoryError
        case "gpu":
            raise RuntimeError("CUDA error: device-side assert triggered\nCompile with ...")


def marks(folder: Path) -> list[tuple[str, str, int]]:
    file = folder / "marks"
    lines = file.read_text().splitlines() if file.exists() else []
    return [(event, key, int(process)) for event, key, process in map(str.split, lines)]


def is_alive(process: int) -> bool:
    """Whether a process runs; one that nobody has buried yet does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def all_gone(processes: set[int], seconds: float = 120.0) -> bool:
    end = time.monotonic() + seconds
    while any(map(is_alive, processes)) and time.monotonic() < end:
        time.sleep(0.02)
    return not any(map(is_alive, processes))
