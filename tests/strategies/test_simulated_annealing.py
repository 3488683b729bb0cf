"""The Metropolis rule and the temperature."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaknas.errors import InputError
from weaknas.spaces import ChoiceSpace
from weaknas.strategies import SimulatedAnnealing
from weaknas.strategies.simulated_annealing import acceptance_probability

SPACE = ChoiceSpace({f"x{i}": ["a", "b"] for i in range(10)})
START, SIDE = np.zeros(10, dtype=np.int16), np.eye(10, dtype=np.int16)[0]


@given(st.floats(-50, 50), st.floats(0.01, 50))
def test_probability(change: float, temperature: float) -> None:
    expected = min(1.0, math.exp(min(change / temperature, 0)))
    assert acceptance_probability(change, temperature) == pytest.approx(expected)


def test_nothing_falls_at_zero_temperature() -> None:
    assert acceptance_probability(-1e-9, 0.0) == 0
    assert acceptance_probability(0.0, 0.0) == 1


def moved(seed: int, change: float, cooling: float = 0.5, before: int = 0) -> bool:
    """Whether a step of that change was taken, after some that were not."""
    strategy = SimulatedAnnealing(SPACE, initial=1, temperature=1.0, cooling=cooling, seed=seed)
    rows = SPACE.architectures(np.array([START, SIDE]))
    strategy.tell(rows[:1], [0.0])
    for other in np.eye(10, dtype=np.int16)[1 : 1 + before]:
        strategy.tell(SPACE.architectures(other[None]), [-1e6])
    strategy.tell(rows[1:], [change])
    # Children of the two differ in the parity of their ones.
    return bool(strategy._draw().sum() % 2 == 0)


@pytest.mark.parametrize(("change", "before"), [(-1.0, 0), (-0.3, 0), (-0.3, 1)])
def test_steps_are_taken_as_often_as_the_rule_says(change: float, before: int) -> None:
    runs = 800
    taken = sum(moved(seed, change, before=before) for seed in range(runs))
    chance = math.exp(change / 0.5**before)  # each step halves the temperature
    assert abs(taken / runs - chance) < 3.5 * math.sqrt(chance * (1 - chance) / runs)


def test_a_rise_is_always_taken_and_a_failure_never() -> None:
    assert all(moved(seed, 0.1) for seed in range(30))
    assert not any(moved(seed, math.nan) for seed in range(30))


def test_the_walk_begins_at_the_best_of_the_sample() -> None:
    strategy = SimulatedAnnealing(SPACE, initial=3, temperature=1e-9, seed=0)
    rows = np.array([START, np.ones(10), SIDE], dtype=np.int16)
    strategy.tell(SPACE.architectures(rows), [0.0, 5.0, 1.0])
    for architecture in strategy.ask(5):
        assert sum(architecture.genotype) == 9


def test_the_default_temperature_follows_the_unit_of_the_score() -> None:
    starts = []
    for unit in (1.0, 100.0):
        strategy = SimulatedAnnealing(SPACE, initial=4, seed=0)
        scores = unit * np.array([0.0, 1.0, 3.0, 7.0])  # differences 1 2 3 4 6 7
        strategy.tell(SPACE.architectures(SPACE.enumerate()[:4]), scores)
        starts.append(strategy._start)
    assert starts == pytest.approx([3.5 / 20, 350 / 20])


def test_wrong_numbers_are_refused() -> None:
    for options in ({"initial": 0}, {"temperature": 0.0}, {"cooling": 1.0}):
        with pytest.raises(InputError, match=next(iter(options))):
            SimulatedAnnealing(SPACE, **options)
