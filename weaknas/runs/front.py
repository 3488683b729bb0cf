"""The front of score and costs among the trials of a run, and costs as their metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from weaknas.evaluators import Evaluation, Evaluator
from weaknas.runs.trials import Trial, mean_scores
from weaknas.search.pareto import DominatedVolume, Floats, front
from weaknas.spaces import Architecture, Costs


@dataclass(frozen=True)
class Front:
    """The evaluated architectures that no other dominates.

    Parameters
    ----------
    objectives : tuple of str
        The costs, beside the score.
    trials : tuple of Trial
        The first of each architecture, by ascending first cost.
    scores : ndarray of float, shape (m,)
        Means over the trainings of each.
    costs : ndarray of float, shape (m, k)
    volume : float
        That they dominate, in units of score times costs.
    reference : dict
        ``score``: the worst that was observed; of each cost the largest in the space.
    intervals : dict of str to ndarray of float, shape (m, 2)
        Of each cost that is predicted, between what it is with 90 %.
    units : dict of str to str
        Of the same costs.
    """

    objectives: tuple[str, ...]
    trials: tuple[Trial, ...]
    scores: Floats
    costs: Floats
    volume: float
    reference: dict[str, float]
    intervals: Mapping[str, Floats] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return objectives, front, volume and its reference as plain JSON types."""
        rows = [
            {
                "architecture": trial.architecture.text,
                "id": trial.architecture.id,
                "query": trial.number + 1,
                "score": score,
                **dict(zip(self.objectives, costs, strict=True)),
                **{f"{name}_interval": ends[i].tolist() for name, ends in self.intervals.items()},
            }
            for i, (trial, score, costs) in enumerate(
                zip(self.trials, self.scores.tolist(), self.costs.tolist(), strict=True)
            )
        ]
        return {
            "objectives": list(self.objectives),
            "front": rows,
            "hypervolume": self.volume,
            "reference": self.reference,
        } | ({"units": dict(self.units)} if self.units else {})


def find_front(trials: Sequence[Trial], costs: Costs) -> Front:
    """Return the front of what was evaluated, each by the mean of its trainings.

    Failed evaluations are in none. The reference is the lowest single score.
    """
    good, scores = mean_scores(trials)
    rows = np.array([trial.architecture.genotype for trial in good], dtype=np.int64)
    rows = rows.reshape(len(good), costs.space.n_variables)
    prices = costs(rows)
    chosen = front(scores, prices)
    lowest = min((trial.score for trial in trials if trial.is_ok), default=0.0)
    volume = DominatedVolume(scores, prices, lowest, costs.worst).volume
    reference = {"score": lowest, **dict(zip(costs.names, costs.worst.tolist(), strict=True))}
    members = tuple(good[index] for index in chosen.tolist())
    intervals = costs.intervals(rows[chosen])
    return Front(
        costs.names,
        members,
        scores[chosen],
        prices[chosen],
        volume,
        reference,
        intervals,
        costs.units,
    )


class WithCosts:
    """An evaluator whose evaluations carry the costs of the architecture as metrics.

    Parameters
    ----------
    evaluator : Evaluator
    costs : Costs
    """

    def __init__(self, evaluator: Evaluator, costs: Costs) -> None:
        self._evaluator, self._costs = evaluator, costs

    def evaluate(
        self, architecture: Architecture, *, seed: int, fidelity: float | None = None
    ) -> Evaluation:
        """Evaluate, and add the costs."""
        evaluation = self._evaluator.evaluate(architecture, seed=seed, fidelity=fidelity)
        values = self._costs(np.array([architecture.genotype]))[0].tolist()
        metrics = {**evaluation.metrics, **dict(zip(self._costs.names, values, strict=True))}
        return replace(evaluation, metrics=metrics)

    def describe(self) -> dict[str, Any]:
        """Return the description of the evaluator."""
        return self._evaluator.describe()
