"""Which architecture is trained again."""

from __future__ import annotations

import numpy as np
import pytest

from weaknas.search.repeats import choose_rivals


def shares(mean: list[float], variance: list[float], is_open: list[bool]) -> list[float]:
    """Return how often each is chosen, the last being none."""
    chosen = choose_rivals(
        np.array(mean), np.diag(variance), 2000, np.array(is_open), np.random.default_rng(0)
    )
    counts = np.bincount(np.array(chosen) % (len(mean) + 1), minlength=len(mean) + 1)
    return (counts / len(chosen)).tolist()


def test_of_two_rivals_the_less_known_is_trained_in_proportion() -> None:
    first, second, none = shares([0.0, 0.0], [1.0, 3.0], [True, True])
    assert first == pytest.approx(0.25, abs=0.03)
    assert second == pytest.approx(0.75, abs=0.03)
    assert none == 0


def test_the_best_without_a_rival_is_not_trained_again() -> None:
    assert shares([9.0, 0.0, 0.0], [0.1, 0.1, 0.1], [True] * 3) == [0, 0, 0, 1]


def test_a_rival_that_cannot_be_trained_leaves_room_for_what_is_new() -> None:
    first, second, none = shares([0.0, 0.0], [1.0, 1.0], [True, False])
    assert second == 0
    assert first == pytest.approx(0.5, abs=0.03)
    assert none == pytest.approx(0.5, abs=0.03)


def test_an_exhausted_best_leaves_it_to_its_rivals() -> None:
    first, second, none = shares([0.5, 0.0], [0.0, 1.0], [False, True])
    assert (first, none) == (0, 0)
    assert second == 1
