"""A run while it goes on: what its folder says, as a page and on a terminal."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError
from weaknas.files import write_atomically
from weaknas.runs.progress import duration
from weaknas.runs.records import Records
from weaknas.runs.status import Ongoing, Status
from weaknas.runs.trials import Trial, Trials

_MOST_POINTS = 2000  # of the figure
_MOST_ROWS = 15  # of a table
_LONGEST = 160  # characters of an architecture in a table
_BARS, _MOST_BARS = "▁▂▃▄▅▆▇█", 24
_WIDTH, _HEIGHT, _MARGIN = 900, 260, 45

Table = tuple[str, Sequence[str], list[list[str]]]


@dataclass(frozen=True)
class Live:
    """What is known of a run now.

    Parameters
    ----------
    folder : Path
    config : dict
        What the run is.
    trials : list of Trial
        In the order in which they came back; of one that was tried again the last.
    times : list of float or None
        When each came back, in seconds of the epoch.
    status : Status, optional
    """

    folder: Path
    config: dict[str, Any]
    trials: list[Trial]
    times: list[float | None]
    status: Status | None

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read what there is of a run, without changing anything.

        Raises
        ------
        InputError
            When the folder has no journal, or a damaged one.
        """
        path = folder / "journal.jsonl"
        try:
            records = Records.read(path, path.read_bytes())
        except OSError as error:
            raise InputError(f"{folder} has no journal.jsonl: {error.strerror}") from error
        pairs = dict(zip((t.number for t in records.trials), records.times, strict=True))
        trials = list(records.latest.values())
        times = [pairs[trial.number] for trial in trials]
        return cls(folder, records.config or {}, trials, times, Status.read(folder))

    @property
    def is_done(self) -> bool:
        """Whether the budget is spent; one that was stopped may be started again."""
        return self.status is not None and self.status.state == "done"

    @property
    def is_over(self) -> bool:
        """Whether nothing is under way."""
        return self.is_done or (self.status is not None and self.status.state == "stopped")

    @property
    def title(self) -> str:
        """What is searched, and by what."""
        space = (self.config.get("space") or {}).get("name") or "a space"
        strategy = (self.config.get("strategy") or {}).get("strategy") or "a strategy"
        return f"{space} by {strategy}"

    def facts(self, now: float) -> dict[str, str]:
        """Return what a glance should tell, by name."""
        failed = sum(not trial.is_ok for trial in self.trials)
        budget = self.config.get("budget")
        done = str(len(self.trials)) if budget is None else f"{len(self.trials)} of {budget}"
        paid = sum(trial.evaluation.cost for trial in self.trials)
        facts = {
            "state": self._state(now),
            "trainings": done + (f", {failed} failed" if failed else ""),
            "best observed": self._best(),
            "paid": duration(paid) + " of training",
        }
        left = self._seconds_left()
        if left is not None and not self.is_over:
            facts["left"] = f"about {duration(left)}"
        return facts | {"folder": str(self.folder)}

    def tables(self, now: float) -> list[Table]:
        """Return heading, columns and rows of what there is to list."""
        tables: list[Table] = []
        if self.status is not None:
            if self.status.running and not self.is_over:
                tables.append(self._under_way(self.status, now))
            if self.status.waiting and not self.is_over:
                rows = [[text[:_LONGEST]] for text in self.status.waiting[:_MOST_ROWS]]
                tables.append(("proposed next", ("architecture",), rows))
            if self.status.contenders:
                head = ("expected score", "trainings", "is the best", "architecture")
                tables.append(("contenders", head, list(map(_contender, self.status.contenders))))
        failures = [trial for trial in self.trials if not trial.is_ok][-_MOST_ROWS:]
        if failures:
            rows = [
                [str(t.number + 1), t.evaluation.status, t.evaluation.message[:_LONGEST]]
                for t in reversed(failures)
            ]
            tables.append(("failures, the last ones", ("training", "status", "reason"), rows))
        if not self.trials:
            return tables
        rows = [
            [str(t.number + 1), _clock(at), _number(t.score), duration(t.seconds), _text(t)]
            for t, at in list(zip(self.trials, self.times, strict=True))[: -_MOST_ROWS - 1 : -1]
        ]
        columns = ("training", "at", "score", "took", "architecture")
        return [*tables, ("last trainings", columns, rows)]

    def _under_way(self, status: Status, now: float) -> Table:
        """Return what is evaluated now, with the learning curves that there are."""
        running = status.running[:_MOST_ROWS]
        rows = [[str(item["number"] + 1), duration(now - item["since"])] for item in running]
        head, left = ["training", "for"], list(status.curves)
        known = [_take(left, item["architecture"]) for item in running]
        if any(known):
            head += ["epoch", "so far", "curve"]
            for row, curve in zip(rows, known, strict=True):
                row.extend(["", "", ""] if curve is None else _progress(curve))
        for row, item in zip(rows, running, strict=True):
            row.append(_short(item))
        return "under way", (*head, "architecture"), rows

    def _state(self, now: float) -> str:
        if self.status is None:
            return "unknown: nothing has been begun since"
        ago = f"{duration(now - self.status.time)} ago"
        return {
            "done": f"done, {ago}",
            "stopped": f"not running; last heard of {ago}; the same command continues",
            "unknown": f"on {self.status.host}, last heard of {ago}",
        }.get(self.status.state, "running")

    def _best(self) -> str:
        best = Trials(tuple(self.trials)).best_observed
        if best is None:
            return "none yet"
        return f"{best.score:.5g}, {_text(best)}"

    def _seconds_left(self) -> float | None:
        """By the pace of the last trainings, pauses between calls left out."""
        budget: int | None = self.config.get("budget")
        known = [at for at in self.times[-50:] if at is not None]
        if budget is None or len(known) < 2:
            return None
        return float(np.median(np.diff(known))) * max(budget - len(self.trials), 0)


def page(live: Live, now: float, refresh: float) -> str:
    """Return a page of one file that loads itself again every few seconds."""
    facts = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>"
        for name, value in live.facts(now).items()
    )
    tables = "".join(_html(*table) for table in live.tables(now))
    again = "" if live.is_done else f'<meta http-equiv="refresh" content="{math.ceil(refresh)}">'
    return _PAGE.format(
        title=escape(live.title), again=again, facts=facts, figure=_figure(live), tables=tables
    )


def write_page(live: Live, path: Path, refresh: float) -> None:
    """Write the page in one step: a reader sees the old one or the new one, never a part."""
    text = page(live, time.time(), refresh)
    write_atomically(
        path, lambda part: part.write_text(text, encoding="utf-8", errors="backslashreplace")
    )


def _figure(live: Live) -> str:
    """Draw scores and the best so far as SVG, of very many trials some."""
    scores = np.array([trial.score for trial in live.trials], dtype=np.float64)
    finite = np.isfinite(scores)
    if not finite.any():
        return ""
    best = np.fmax.accumulate(np.where(finite, scores, -np.inf))
    # One bad point does not flatten the rest.
    low, high = float(np.quantile(scores[finite], 0.05)), float(scores[finite].max())
    low -= 0.05 * (high - low or 1.0)
    across = _MARGIN + (_WIDTH - 2 * _MARGIN) * np.arange(len(scores)) / max(len(scores) - 1, 1)
    kept = np.unique(np.linspace(0, len(scores) - 1, _MOST_POINTS).astype(np.int64))
    records = np.flatnonzero(np.diff(best, prepend=-np.inf) > 0)
    kept = np.union1d(kept, records[-_MOST_POINTS:])
    down = _down(scores, low, high)
    points = "".join(
        f'<circle cx="{across[i]:.0f}" cy="{down[i]:.0f}" r="2"/>' for i in kept if finite[i]
    )
    steps = kept[np.isfinite(best[kept])]
    level = _down(best, low, high)
    before = np.concatenate([steps[:1], steps[:-1]])
    line = " ".join(
        f"{across[i]:.0f},{level[last]:.0f} {across[i]:.0f},{level[i]:.0f}"
        for last, i in zip(before, steps, strict=True)
    )
    labels = "".join(
        f'<text x="4" y="{_down(np.array([value]), low, high)[0] + 4:.0f}">{value:.4g}</text>'
        for value in (low, high)
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="scores">'
        f'<g class="points">{points}</g><polyline points="{line}"/>{labels}'
        f'<text x="{_WIDTH - 2 * _MARGIN}" y="{_HEIGHT - 8}">{len(scores)} trainings</text></svg>'
    )


def _down(values: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.float64]:
    share = (np.clip(np.nan_to_num(values, neginf=low), low, high) - low) / (high - low or 1.0)
    return np.asarray(_HEIGHT - _MARGIN + (2 * _MARGIN - _HEIGHT) * share + 15)


def _html(heading: str, head: Sequence[str], rows: list[list[str]]) -> str:
    names = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f'<h2>{escape(heading)}</h2><div class="wide"><table><tr>{names}</tr>{body}</table></div>'
    )


def _take(curves: list[Ongoing], architecture: str) -> Ongoing | None:
    """Take the oldest curve of an architecture out of those that are left."""
    found = next((curve for curve in curves if curve.architecture == architecture), None)
    if found is not None:
        curves.remove(found)
    return found


def _progress(ongoing: Ongoing) -> list[str]:
    curve = ongoing.curve
    return [f"{len(curve)} of {ongoing.epochs}", _number(curve[-1]) if curve else "", _bars(curve)]


def _bars(values: Sequence[float]) -> str:
    """Draw a curve in one line of text; of a long one some points."""
    finite = np.array([value for value in values if math.isfinite(value)], dtype=np.float64)
    if not len(finite):
        return ""
    places = np.linspace(0, len(finite) - 1, min(len(finite), _MOST_BARS)).astype(np.int64)
    low, high = float(finite.min()), float(finite.max())
    heights = (finite[places] - low) / (high - low or 1.0) * (len(_BARS) - 1)
    return "".join(_BARS[height] for height in np.rint(heights).astype(np.int64))


def _contender(item: dict[str, Any]) -> list[str]:
    error, chance = item["std_error"], item["probability_best"]
    score = _number(item["score"]) + (f" +- {error:.2g}" if error else "")
    share = "" if chance is None else f"{chance:.0%}"
    return [score, str(item["trainings"]), share, _short(item)]


def _short(item: dict[str, Any]) -> str:
    return str(item["architecture"])[:_LONGEST]


def _text(trial: Trial) -> str:
    return trial.architecture.text[:_LONGEST]


def _number(value: float) -> str:
    return f"{value:.5g}" if math.isfinite(value) else "none"


def _clock(at: float | None) -> str:
    return "" if at is None else time.strftime("%H:%M:%S", time.localtime(at))


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">{again}
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 1rem; }}
h1 {{ font-size: 1.5rem; }} h2 {{ font-size: 1.1rem; margin: 1.8rem 0 .4rem; }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }}
dt {{ opacity: .7; }} dd {{ margin: 0; overflow-wrap: anywhere; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: .85rem; }}
th, td {{ padding: .25rem .7rem; text-align: left; border-bottom: 1px solid #8884; }}
td:not(:last-child) {{ white-space: nowrap; }}
svg {{ width: 100%; height: auto; }} svg text {{ font-size: 12px; fill: currentColor; }}
.points {{ fill: #56b4e9; }} polyline {{ fill: none; stroke: #d55e00; stroke-width: 2; }}
</style></head><body><h1>{title}</h1><dl>{facts}</dl>{figure}{tables}</body></html>
"""
