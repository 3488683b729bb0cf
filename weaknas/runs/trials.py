"""Trials: the durable records of what was paid for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError
from weaknas.evaluators import Evaluation
from weaknas.spaces import Architecture


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
