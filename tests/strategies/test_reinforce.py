"""The gradient against finite differences, and learning on a bandit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from weaknas.errors import InputError
from weaknas.spaces import ChoiceSpace
from weaknas.strategies import Reinforce
from weaknas.strategies.reinforce import probabilities, score_function

SPACE = ChoiceSpace({"a": ["x", "y", "z"], "b": ["x", "y"]})
Floats = npt.NDArray[np.float64]


def rewards() -> Floats:
    return np.random.default_rng(0).normal(size=SPACE.size)


def expected_reward(logits: Floats) -> float:
    """By the definition: the sum over all architectures of chance times reward."""
    total = 0.0
    for row, reward in zip(SPACE.enumerate(), rewards(), strict=True):
        chance = 1.0
        for choice, line in zip(row, logits, strict=True):
            weights = np.exp(line[np.isfinite(line)])
            chance *= weights[choice] / weights.sum()
        total += chance * reward
    return total


@pytest.mark.parametrize("baseline", [0.0, -3.0, 7.0])
def test_the_gradient_is_that_of_the_expected_reward(baseline: float) -> None:
    logits = np.random.default_rng(1).normal(size=(2, 3))
    logits[1, 2] = -np.inf  # the second decision has two choices
    chances = probabilities(logits)
    analytic = np.zeros((2, 3))
    for row, reward in zip(SPACE.enumerate(), rewards(), strict=True):
        chance = chances[np.arange(2), row].prod()
        analytic += chance * (reward - baseline) * score_function(logits, row)
    for index in np.argwhere(np.isfinite(logits)).tolist():
        step = np.zeros((2, 3))
        step[tuple(index)] = 1e-6
        slope = (expected_reward(logits + step) - expected_reward(logits - step)) / 2e-6
        assert analytic[tuple(index)] == pytest.approx(slope, abs=1e-7)
    assert analytic[1, 2] == 0


def test_the_first_policy_is_uniform() -> None:
    strategy = Reinforce(SPACE, seed=0)
    drawn = np.array([strategy._draw() for _ in range(3000)])
    for column, count in enumerate(SPACE.cardinalities):
        counts = np.bincount(drawn[:, column], minlength=count)
        assert len(counts) == count
        assert np.abs(counts / 3000 - 1 / count).max() < 0.04


def test_updates_follow_the_advantage_over_the_moving_baseline() -> None:
    strategy = Reinforce(SPACE, seed=0, momentum=0.5)
    rows = SPACE.architectures(np.array([[0, 0], [1, 1], [2, 0]]))
    strategy.tell(rows[:1], [4.0])  # the first is the baseline: no advantage
    assert strategy._baseline == 4.0
    assert probabilities(strategy._logits)[0] == pytest.approx([1 / 3] * 3)
    strategy.tell(rows[1:2], [8.0])  # better: more likely
    assert strategy._baseline == 6.0
    assert probabilities(strategy._logits)[0].argmax() == 1
    strategy.tell(rows[2:], [np.nan])  # failed: counts as the worst so far, 4
    assert strategy._baseline == 5.0
    assert probabilities(strategy._logits)[0].argmin() == 2


@pytest.mark.parametrize("unit", [0.01, 1.0, 100.0])
def test_a_bandit_is_learned_whatever_the_unit(unit: float) -> None:
    arms = ChoiceSpace({"arm": [f"arm{i}" for i in range(6)]})
    strategy = Reinforce(arms, seed=2)
    strategy.tell(arms.architectures(arms.enumerate()), unit * np.arange(6.0))
    assert strategy.ask(1) == []  # nothing new, but 30 draws answered from memory
    for _ in range(20):
        strategy.ask(1)
    assert probabilities(strategy._logits)[0].argmax() == 5
    assert probabilities(strategy._logits)[0].max() > 0.9


def test_wrong_numbers_are_refused() -> None:
    for options in ({"learning_rate": 0.0}, {"momentum": 1.0}):
        with pytest.raises(InputError, match=next(iter(options))):
            Reinforce(SPACE, **options)
