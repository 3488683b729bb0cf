"""Trials: the durable records of what was paid for."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError
from weaknas.evaluators import Evaluation
from weaknas.spaces import Architecture


@dataclass(frozen=True, slots=True)
class Trial:
    """One training that was paid for.

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
    repeat : int
        How many trainings of the architecture at this fidelity were asked for before:
        0 for a query, the first one.
    """

    number: int
    round: int
    architecture: Architecture
    evaluation: Evaluation
    seconds: float = 0.0
    repeat: int = 0

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
            "repeat": self.repeat,
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
            When a field is missing, unknown, of the wrong kind or out of range.
        """
        try:
            for name in record:
                if name not in _FIELDS:
                    raise ValueError(f"unknown field {name!r}")
            return cls(
                _whole(record["number"], "number"),
                _whole(record["round"], "round"),
                Architecture.from_dict(record["architecture"]),
                _evaluation(record),
                read_finite(record["seconds"], "seconds", 0),
                _whole(record.get("repeat", 0), "repeat"),  # journals before 0.2 have none
            )
        except KeyError as error:
            raise InputError(f"not the record of a trial: it lacks the field {error}") from error
        except (AttributeError, TypeError, ValueError) as error:
            raise InputError(f"not the record of a trial: {error}") from error


def mean_scores(trials: Iterable[Trial]) -> tuple[list[Trial], npt.NDArray[np.float64]]:
    """Return the first trial of each architecture that has a score, and its mean, shape (m,).

    Trainings at another fidelity are another architecture's.
    """
    labels: dict[tuple[str, float | None], list[Trial]] = {}
    for trial in trials:
        if trial.is_ok:
            labels.setdefault((trial.architecture.id, trial.evaluation.fidelity), []).append(trial)
    means = [math.fsum(trial.score for trial in same) / len(same) for same in labels.values()]
    return [same[0] for same in labels.values()], np.array(means)


_NUMBERS = {"repeat", "number", "round", "score", "metrics", "cost", "fidelity", "seconds"}
_FIELDS = _NUMBERS | {"architecture", "status", "message"}


def _evaluation(record: dict[str, Any]) -> Evaluation:
    status, score, fidelity = record["status"], record["score"], record["fidelity"]
    if (status == "ok") != (score is not None):
        raise ValueError(f"the score is {score} where the status is {status!r}")
    return Evaluation(
        math.nan if score is None else read_finite(score, "score"),
        {name: read_finite(value, name) for name, value in record["metrics"].items()},
        read_finite(record["cost"], "cost", 0),
        None if fidelity is None else read_finite(fidelity, "fidelity", 0),
        _text(status, "status"),
        _text(record["message"], "message"),
    )


_LARGEST = sys.float_info.max


def _whole(value: Any, name: str) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} must be a whole number of at least 0, not {value!r}")
    return int(value)


def read_finite(value: Any, name: str, least: float = -math.inf) -> float:
    """Return a number of a record; refuse what is none, not finite or below `least`."""
    # A bool is no number here, and there are whole numbers that are no float.
    if type(value) not in (int, float) or not least <= value <= _LARGEST or value < -_LARGEST:
        bound = "" if least < 0 else f" of at least {least:g}"
        raise ValueError(f"{name} must be a finite number{bound}, not {value!r}")
    return float(value)


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} must be text, not {value!r}")
    return value


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
    def genotypes(self) -> npt.NDArray[np.int64]:
        """Genotypes, shape (n, d)."""
        return np.array([trial.architecture.genotype for trial in self.items], dtype=np.int64)

    @property
    def scores(self) -> npt.NDArray[np.float64]:
        """Scores, shape (n,); NaN where an evaluation failed."""
        return np.array([trial.score for trial in self.items], dtype=np.float64)

    @property
    def costs(self) -> npt.NDArray[np.float64]:
        """Seconds paid for each, shape (n,)."""
        return np.array([trial.evaluation.cost for trial in self.items], dtype=np.float64)

    @property
    def best_observed(self) -> Trial | None:
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
        texts = {"architecture", "metrics"}
        plain = [name for name in rows[0] if name not in texts] if rows else []
        columns = {name: [row[name] for row in rows] for name in plain}
        columns["architecture"] = [trial.architecture.text for trial in self.items]
        columns["id"] = [trial.architecture.id for trial in self.items]
        for name in names:
            free = f"metric_{name}" if name in columns else name
            columns[free] = [row["metrics"].get(name) for row in rows]
        return columns
