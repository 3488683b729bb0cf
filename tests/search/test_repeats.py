"""Which architecture is trained again."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

import weaknas
from weaknas.predictors.labels import Joint
from weaknas.search.repeats import choose_trainings, knowledge_gradient
from weaknas.spaces import ChoiceSpace

Floats = npt.NDArray[np.float64]


def choose(
    mean: list[float],
    variance: list[float],
    *,
    new: int = 0,
    n: int = 1,
    noise: float = 1.0,
    is_open: list[bool] | None = None,
    has_more: bool = False,
) -> list[int]:
    """Choose among independent architectures, of which the last `new` are new."""
    trained = len(mean) - new
    joint = Joint(np.array(mean), np.diag(variance), 0.0, noise)
    open_ones = np.ones(trained, dtype=bool) if is_open is None else np.array(is_open)
    places = np.arange(len(mean))
    return choose_trainings(joint, places[:trained], places[trained:], open_ones, n, has_more)


def test_the_value_of_one_training_is_that_of_many_draws() -> None:
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 4))
    mean, covariance, noise = np.array([0.3, 0.1, 0.0, -0.4]), root @ root.T, 1e-9
    values = knowledge_gradient(mean, covariance, noise, trained=3)
    draws = rng.standard_normal((400_000, 1))
    for place in range(4):
        # without noise one training tells all that many would
        moves = covariance[place] / np.sqrt(covariance[place, place])
        after = (mean + moves * draws)[:, [*range(3), place]].max(axis=1)
        assert values[place] == pytest.approx(after.mean() - mean.max(), abs=0.01)


def test_what_is_known_exactly_is_worth_nothing() -> None:
    values = knowledge_gradient(np.array([0.0, -0.1]), np.diag([0.0, 1.0]), 1.0, trained=2)
    assert values[0] == 0
    assert values[1] > 0


def test_many_trainings_are_worth_something_where_one_is_not() -> None:
    mean, covariance = np.array([0.0, -1.0]), np.diag([0.0, 0.5])
    one = 0.5 / np.sqrt(0.5 + 10.0)  # how far one training of much noise moves the mean
    assert one < 0.2  # five deviations from being the best
    assert knowledge_gradient(mean, covariance, 10.0, trained=2)[1] > 1e-4


def test_of_two_rivals_the_less_known_is_trained() -> None:
    assert choose([0.0, 0.0], [1.0, 3.0]) == [1]


def test_rivals_take_turns() -> None:
    assert sorted(choose([0.0, 0.0, -9.0], [1.0, 1.1, 1.0], n=2)) == [0, 1]


def test_the_best_without_a_rival_is_not_trained_again() -> None:
    assert choose([9.0, 0.0, 0.0], [0.1, 0.1, 4.0], new=1) == [2]


def test_what_cannot_be_trained_again_is_left_to_its_rivals() -> None:
    assert choose([0.5, 0.0], [1.0, 0.5], is_open=[False, True]) == [1]


def test_where_nothing_can_be_learnt_new_ones_are_trained() -> None:
    assert choose([1.0, 0.5, 0.2], [0.0, 0.0, 0.0], new=1) == [2]


def test_near_equals_are_not_told_apart_where_new_ones_promise_more() -> None:
    # A hundredth between two that are trained; a new one that may be much better.
    assert choose([1.0, 0.99, 0.5], [1e-4, 1e-4, 1.0], new=1, noise=0.01) == [2]


def test_no_more_than_there_are() -> None:
    assert choose([0.0, 0.0], [1.0, 1.0], n=5, is_open=[True, False]) == [0]


def test_nothing_is_trained_again_for_want_of_new_ones_that_were_not_compared() -> None:
    chosen = choose([0.0, 0.0, 0.5, 0.4], [1.0, 1.0, 1.0, 1.0], new=2, n=4, has_more=True)
    assert set(chosen) >= {2, 3}
    assert chosen[-1] in (2, 3)


@pytest.mark.parametrize("size", [20, 40])
def test_a_large_batch_is_of_new_ones(size: int) -> None:
    """Labels tell nearly all, so that repeats are worth next to nothing."""
    space = ChoiceSpace({f"layer{i}": list("abcd") for i in range(6)})
    effects = np.random.default_rng(0).normal(size=(6, 4))
    search = weaknas.WeakNAS(space, batch_size=size, initial=size, seed=0)
    search.begin(6 * size, lambda architecture: np.inf)
    rng = np.random.default_rng(1)
    for _ in range(6):
        rows = space.genotypes(asked := search.ask())
        assert len(asked) == size
        labels = effects[np.arange(6), rows].sum(axis=1) + rng.normal(0, 0.05, size)
        search.tell(asked, labels)
    assert len(search.history) > 5.5 * size
