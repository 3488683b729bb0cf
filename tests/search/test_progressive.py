"""PNAS: which cells are trained, level by level, and how the beam is chosen."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from weaknas.errors import InputError
from weaknas.runs.runner import run
from weaknas.search.progressive import Progressive
from weaknas.spaces import Architecture, ChoiceSpace, ConstrainedSpace

WEIGHTS = np.array([5.0, 4.1, 3.3, 2.0, 1.0])
SPACE = ChoiceSpace(
    {f"v{i}": [0, 1, 2] for i in range(5)},
    name="steps",
    costs={"total": lambda rows: rows.sum(axis=1).astype(float)},
)


def value(architecture: Architecture) -> float:
    """What ridge regression on a one-hot encoding learns exactly; 2 is best everywhere."""
    return float(WEIGHTS @ np.array(architecture.genotype))


def sizes(rows: np.ndarray) -> np.ndarray:
    return (rows > 0).sum(axis=1)


def test_all_of_the_first_level_then_the_best_of_each() -> None:
    strategy = Progressive(SPACE, beam=4, predictor=Ridge(1e-3), seed=0)
    rows = run(strategy, value, 1 + 4 + 4 * 4).trials.genotypes
    assert sizes(rows).tolist() == [0, *[level for level in range(1, 6) for _ in range(4)]]
    assert rows[-4:].max(axis=0).tolist() == [2] * 5


def test_the_beam_is_extended_by_every_block_and_the_predicted_best_are_trained() -> None:
    strategy = Progressive(SPACE, beam=10, predictor=Ridge(1e-3), seed=0)
    result = run(strategy, value, 1 + 10)
    assert sizes(result.trials.genotypes).tolist() == [0] + [1] * 10
    strategy.beam = 3  # the best three single steps: v0=2, v1=2, v2=2
    second = np.array([each.genotype for each in strategy.ask(3)])
    extensions = [
        row for row in SPACE.extend(2 * np.eye(5, dtype=np.int16)[:3], 2) if (row == 2).sum() >= 1
    ]
    best = sorted(extensions, key=lambda row: -(WEIGHTS @ row))[:3]
    assert {tuple(row) for row in second.tolist()} == {tuple(row.tolist()) for row in best}


def test_growth_begins_again_with_what_was_learned() -> None:
    strategy = Progressive(SPACE, beam=2, predictor=Ridge(1e-3), seed=0)
    rows = run(strategy, value, 40).trials.genotypes
    assert len(np.unique(rows, axis=0)) == 40
    falls = np.flatnonzero(np.diff(sizes(rows)) < 0)
    assert len(falls) >= 2
    assert rows[:12].tolist().count([2] * 5) == 1  # found in the first pass


def test_what_cannot_be_trained_yet_grows_by_its_prediction() -> None:
    space = ConstrainedSpace(SPACE, "total>=5")  # nothing below three decisions is inside
    result = run(Progressive(space, beam=5, predictor=Ridge(1e-3), seed=0), value, 30)
    assert space.contains(result.trials.genotypes).all()
    assert result.best.score == pytest.approx(2 * WEIGHTS.sum())


def test_what_it_refuses() -> None:
    with pytest.raises(InputError, match="beam must be at least 1, not 0"):
        Progressive(SPACE, beam=0)
    with pytest.raises(InputError, match="did you mean 'mlp'"):
        Progressive(SPACE, predictor="mlpp")
