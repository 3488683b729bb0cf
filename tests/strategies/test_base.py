"""What holds for every strategy beside its contract: threads, copies, scores of any size."""

from __future__ import annotations

import copy
import pickle
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import weaknas
from weaknas.errors import InputError
from weaknas.registry import STRATEGIES
from weaknas.spaces import Architecture, ChoiceSpace
from weaknas.strategies import RandomSearch, Strategy

SPACE = ChoiceSpace({f"x{i}": ["a", "b", "c"] for i in range(5)}, name="small")


def score(architecture: Architecture) -> float:
    return float(sum(value * 3**i for i, value in enumerate(architecture.genotype)) % 101)


def built(name: str) -> Strategy:
    graded = ("bohb", "hyperband", "multi-fidelity", "successive-halving")
    options = {"resources": [1.0, 3.0]} if name in graded else {}
    strategy: Strategy = STRATEGIES.build(name, SPACE, seed=3, **options)
    return strategy


def advance(strategy: Strategy, rounds: int) -> list[str]:
    """Ask and tell; return what was asked."""
    asked = []
    for _ in range(rounds):
        level = strategy.round_fidelity
        batch = strategy.ask(2)
        strategy.tell(batch, [score(each) for each in batch], level)
        asked += [each.id for each in batch]
    return asked


# That of Optuna's Gaussian process, which takes long, is the class of the others.
@pytest.mark.parametrize("name", [name for name in STRATEGIES.names() if name != "optuna-gp"])
def test_copies_and_pickles_go_on_alike(name: str) -> None:
    try:
        strategy = built(name)
    except InputError as missing:
        pytest.skip(str(missing))
    advance(strategy, 4)
    others = [pickle.loads(pickle.dumps(strategy)), copy.deepcopy(strategy)]  # noqa: S301
    assert [advance(other, 3) for other in others] == [advance(strategy, 3)] * 2


@pytest.mark.parametrize("takes_seed", [True, False])
def test_a_strategy_that_ran_leaves_the_evaluator_behind(takes_seed: bool) -> None:
    judge: Callable[..., float] = (
        (lambda architecture, seed: score(architecture) + seed % 7)
        if takes_seed
        else (lambda architecture: -score(architecture))
    )
    strategy = weaknas.WeakNAS(SPACE, seed=0, initial=6, batch_size=4)
    weaknas.run(strategy, judge, 18)
    other = pickle.loads(pickle.dumps(strategy))  # noqa: S301
    assert other.contenders() == strategy.contenders()
    assert other.ask() == strategy.ask()


def test_threads_ask_and_tell_at_once() -> None:
    strategy = RandomSearch(SPACE, seed=0)
    asked: list[Architecture] = []

    def work() -> None:
        for _ in range(20):
            batch = strategy.ask(2)
            asked.extend(batch)
            strategy.tell(batch, [score(each) for each in batch])

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({each.id for each in asked}) == len(asked) == len(strategy.history) == 240


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("targets", ["raw", "standard", "rank-normal", "compressed"])
def test_a_change_of_units_changes_nothing(targets: str) -> None:
    """However large scores become: their squares are beyond the largest number."""

    def searched(unit: float) -> Any:
        strategy = weaknas.WeakNAS(SPACE, seed=2, targets=targets, initial=6, batch_size=4)

        def judge(architecture: Architecture, seed: int) -> float:
            return unit * (score(architecture) + np.random.default_rng(seed).normal())

        return weaknas.run(strategy, judge, 60)  # enough for repeats

    huge = searched(2.0**531)
    assert [trial.architecture.id for trial in huge.trials] == [
        trial.architecture.id for trial in searched(2.0**400).trials
    ]
    assert np.isfinite([huge.best.score, huge.best.std_error, huge.best.probability_best]).all()


def test_what_takes_the_place_of_refused_proposals_is_no_training_twice() -> None:
    """A space that learns in the middle of a search what is outside, and trainings in pairs."""
    space = ChoiceSpace({f"x{i}": ["a", "b", "c"] for i in range(5)}, name="small")
    space.confirm = lambda rows: rows.sum(axis=1) % 3 > 0  # type: ignore[method-assign]
    search = weaknas.WeakNAS(space, seed=0, batch_size=6)
    search.begin(150, lambda architecture: 2.0)
    rng, asked, repeated = np.random.default_rng(0), Counter[str](), 0
    for _ in range(20):
        batch = search.ask()
        names = [each.id for each in batch]
        assert len(set(names)) == len(names)
        repeated += sum(asked[name] for name in names)
        asked.update(names)
        search.tell(batch, [score(each) / 101 + rng.normal(0, 0.3) for each in batch])
    assert repeated > 5
    assert max(asked.values()) == 2
