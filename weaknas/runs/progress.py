"""What a run tells while it goes on: a bar on a terminal, lines in a log."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self, TypeAlias

from weaknas.runs.budget import Budget
from weaknas.runs.trials import Trial

Progress: TypeAlias = Callable[[Trial], None]

_QUICK = 0.05  # seconds of an evaluation that has no line of its own, e.g. one of a table
_PAUSE = 1.0  # seconds after which even such a one has


class Audience:
    """Those who are told of a run while it goes on.

    Parameters
    ----------
    progress : callable or bool, optional
        Called with every trial. True stands for a bar on standard error where that is a
        terminal, else for lines.
    callbacks : sequence of callable
        Called after it.
    title : str
        What is searched.
    budget : Budget
    folder : path, optional
        Of the run.
    recorded : int
        Trials of an earlier call, which come first.
    """

    def __init__(
        self,
        progress: Progress | bool | None,
        callbacks: Sequence[Progress],
        *,
        title: str,
        budget: Budget,
        folder: Path | None = None,
        recorded: int = 0,
    ) -> None:
        self._shown: _Shown | None = None
        if progress is True:
            kind = _Bar if sys.stderr.isatty() else _Lines
            progress = self._shown = kind(title, budget, folder, recorded)
        self._told = (progress, *callbacks) if callable(progress) else tuple(callbacks)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown is not None:
            self._shown.close()

    def begin(self) -> None:
        """Tell that evaluations begin; what was told before is not told again."""
        if self._shown is not None:
            self._shown.begin()

    def __call__(self, trial: Trial) -> None:
        """Tell of a trial."""
        for one in self._told:
            one(trial)


class _Shown(ABC):
    """What is shown of a run, trial by trial."""

    def __init__(self, title: str, budget: Budget, folder: Path | None, recorded: int) -> None:
        self.title, self.budget, self.folder, self.recorded = title, budget, folder, recorded
        self.best = float("-inf")
        self._level = float("-inf")  # of the most training there was
        self.cost = 0.0
        self.numbers: set[int] = set()  # one that is tried again comes twice
        self.calls = 0
        self._begin = time.monotonic()

    @abstractmethod
    def begin(self) -> None:
        """Show that it goes on, once."""

    @abstractmethod
    def __call__(self, trial: Trial) -> None:
        """Show a trial."""

    @abstractmethod
    def close(self) -> None:
        """Show the end."""

    def add(self, trial: Trial) -> None:
        self.calls += 1
        self.cost += trial.evaluation.cost
        self.numbers.add(trial.number)
        if trial.is_ok:
            best = (self._level, self.best)
            self._level, self.best = max(best, (trial.level, trial.score))
        if self.calls == self.recorded:
            self._begin = time.monotonic()

    @property
    def done(self) -> str:
        """How many trainings are done, of how many."""
        of = "" if self.budget.queries is None else f"/{self.budget.queries}"
        return f"{len(self.numbers)}{of}"

    @property
    def seconds_left(self) -> float | None:
        """By the pace of this call."""
        new = self.calls - self.recorded
        if self.budget.queries is None or new < 1:
            return None
        left = self.budget.queries - len(self.numbers)
        return left * (time.monotonic() - self._begin) / new


class _Lines(_Shown):
    """Lines on standard error: the start, every trial or second, failures, the end."""

    _last: float | None = None

    def begin(self) -> None:
        if self._last is None:
            there = f", {self.recorded} trainings are there" if self.recorded else ""
            folder = self.folder or "none"
            self._print(f"{self.title}: {self.budget}{there}; run folder: {folder}")
            self._last = time.monotonic()

    def __call__(self, trial: Trial) -> None:
        self.add(trial)
        if self.calls <= self.recorded:
            return
        now, last = time.monotonic(), self._last or 0.0
        if trial.is_ok and trial.seconds < _QUICK and now - last < _PAUSE:
            return
        self._last = now
        evaluation = trial.evaluation
        outcome = f"{trial.score:.5g}" if trial.is_ok else f"{evaluation.status}:"
        reason = "" if trial.is_ok else f" {evaluation.message}"
        left = self.seconds_left
        self._print(
            f"{self.done}: {outcome}{reason} after {trial.seconds:.1f} s,"
            f" luckiest {self.best:.5g}; paid {duration(self.cost)}"
            + ("" if left is None else f", about {duration(left)} left")
        )

    def close(self) -> None:
        """Write the last line."""
        if self._last is not None:
            self._print(f"{self.done} trainings are done, luckiest {self.best:.5g}")

    @staticmethod
    def _print(text: str) -> None:
        print(time.strftime("%Y-%m-%d %H:%M:%S"), text, file=sys.stderr, flush=True)


class _Bar(_Shown):
    """A bar on a terminal with the luckiest score so far, shown once evaluations begin."""

    def __init__(self, title: str, budget: Budget, folder: Path | None, recorded: int) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        super().__init__(title, budget, folder, recorded)
        self._bar = Progress(
            TextColumn("trainings"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[best]}"),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task("trainings", total=budget.queries, best="")

    def begin(self) -> None:
        self._bar.start()

    def __call__(self, trial: Trial) -> None:
        self.add(trial)
        if trial.is_ok:
            self._bar.update(self._task, best=f"luckiest {self.best:.4g}")
        self._bar.update(self._task, completed=len(self.numbers))

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar.live.is_started:  # else it would print an empty line
            self._bar.stop()


def duration(seconds: float) -> str:
    """Return a time in the two units that say most of it.

    Examples
    --------
    >>> duration(42.4), duration(3700), duration(200_000)
    ('42 s', '1 h 1 min', '2 d 7 h')
    """
    rest = round(seconds)
    parts: list[str] = []
    for name, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count or parts:
            parts.append(f"{count} {name}" if count else "")
    return " ".join(filter(None, parts[:2])) or "0 s"
