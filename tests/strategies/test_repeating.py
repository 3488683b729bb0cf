"""Architectures that are trained more than once, by any strategy."""

from __future__ import annotations

import copy
import math
import pickle
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weaknas
from weaknas.errors import InputError
from weaknas.evaluators.ofa_predictor import OFAPredictor
from weaknas.laboratory.experiment import Experiment, parse_strategy
from weaknas.spaces import Architecture, ChoiceSpace
from weaknas.strategies import RandomSearch, RegularizedEvolution, Repeating

SPACE = ChoiceSpace({"a": list(range(4)), "b": ["x", "y"], "c": ["p", "q", "r"]}, name="few")
SIZE = 24


def noisy(architecture: Architecture, seed: int) -> float:
    value = sum(v * 4**i for i, v in enumerate(architecture.genotype))
    return value + np.random.default_rng(seed % 2**32).normal(scale=4)


def steady(architecture: Architecture) -> float:
    return zlib.crc32(architecture.id.encode()) / 2**32


def test_the_last_trainings_are_two_more_of_each_of_the_best() -> None:
    search = Repeating(RandomSearch(SPACE, seed=1), confirm=3)
    result = weaknas.run(search, noisy, 20)
    first, last = result.trials[:14], result.trials[14:]
    best = sorted(first, key=lambda trial: -trial.score)[:3]
    again = Counter(trial.architecture for trial in last)
    assert again == {trial.architecture: 2 for trial in best}
    assert len({trial.round for trial in last}) == 1  # side by side where there are workers
    means = {c.architecture: c.score for c in result.contenders}
    for trial in best:
        labels = [t.score for t in result.trials if t.architecture == trial.architecture]
        assert means[trial.architecture] == pytest.approx(np.mean(labels))
    assert result.best.std_error is not None


@pytest.mark.parametrize(("budget", "queries"), [(1, 1), (2, 2), (3, 1), (7, 3), (100, SIZE)])
def test_small_and_large_budgets_are_divided(budget: int, queries: int) -> None:
    result = weaknas.run(Repeating(RandomSearch(SPACE), confirm=5), noisy, budget)
    repeats = [trial.repeat for trial in result.trials]
    assert repeats.count(0) == queries
    assert len(repeats) == min(budget, SIZE + 10)


def test_a_budget_above_the_space_is_spent_where_trainings_differ() -> None:
    for options in ({"confirm": "auto"}, {"repeats": 3}, {"repeats": "auto"}):
        result = weaknas.run(weaknas.get_strategy("random", SPACE, **options), noisy, 40)
        assert len(result.trials) == 40
    for strategy, judge in (
        (weaknas.get_strategy("random", SPACE, confirm=5), steady),
        (weaknas.get_strategy("random", SPACE), noisy),
        (weaknas.WeakNAS(SPACE, repeats="never"), noisy),
    ):
        with pytest.raises(InputError, match="the budget of 40 queries is above the 24"):
            weaknas.run(strategy, judge, 40)


def test_at_any_time_a_fifth_confirms_the_best_and_its_rivals() -> None:
    space = weaknas.ChoiceSpace({"a": list(range(40)), "b": list(range(10))}, name="many")

    def judge(architecture: Architecture, seed: int) -> float:
        return architecture.genotype[0] / 10 + np.random.default_rng(seed % 2**32).normal()

    result = weaknas.run(Repeating(RandomSearch(space, seed=3), confirm="auto"), judge, 100)
    spent = np.cumsum([trial.repeat > 0 for trial in result.trials])
    assert (spent <= np.arange(1, 101) / 5).all()
    assert spent[-1] >= 15  # labels of one size of noise are never sure
    counts = Counter(trial.architecture.id for trial in result.trials)
    assert counts[result.best.architecture.id] > 1
    calm = weaknas.run(
        Repeating(RandomSearch(space, seed=3), confirm="auto"),
        lambda architecture, seed: 1.0 * sum(architecture.genotype) + 1e-6 * (seed % 7),
        100,
    )
    assert sum(trial.repeat > 0 for trial in calm.trials) < 12  # it soon knows


@pytest.mark.parametrize("asynchronous", [False, True])
def test_what_is_trained_several_times_at_once_is_learned_as_its_mean(asynchronous: bool) -> None:
    inner = RegularizedEvolution(SPACE, seed=1, population=8, tournament=3, batch_size=2)
    with ThreadPoolExecutor(3) as executor:
        result = weaknas.run(
            Repeating(inner, repeats=3),
            noisy,
            24,
            executor=executor,
            workers=3,
            asynchronous=asynchronous,
        )
    counts = Counter(trial.architecture.id for trial in result.trials)
    assert set(counts.values()) == {3}
    assert len(inner._alive) == 8  # of each one step
    for genotype, score in inner._alive:
        ours = [t.score for t in result.trials if t.architecture.genotype == tuple(genotype)]
        assert score == pytest.approx(np.mean(ours))


def test_the_last_trainings_of_a_budget_need_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"confirm=5 .* give a number of trainings"):
        weaknas.run(
            Repeating(RandomSearch(SPACE), confirm=5), noisy, budget_cost=9.0, output=tmp_path
        )
    assert not list(tmp_path.iterdir())
    weaknas.run(Repeating(RandomSearch(SPACE), confirm=2), noisy, 10, output=tmp_path)
    with pytest.raises(InputError, match="budget = 10, not 12"):  # what it would have done is past
        weaknas.run(Repeating(RandomSearch(SPACE), confirm=2), noisy, 12, output=tmp_path)
    for budget in (10, 20):  # at any time: it grows
        folder = tmp_path / "auto"
        grown = weaknas.run(
            Repeating(RandomSearch(SPACE), confirm="auto"), noisy, budget, output=folder
        )
    fresh = weaknas.run(Repeating(RandomSearch(SPACE), confirm="auto"), noisy, 20)
    assert [t.score for t in grown.trials] == [t.score for t in fresh.trials]


def test_driven_by_hand_nothing_is_repeated_unless_it_is_said() -> None:
    search = Repeating(RandomSearch(SPACE), repeats=2, confirm=2)
    asked = [search.ask(3) for _ in range(3)]
    assert len({item for batch in asked for item in batch}) == 9
    told = Repeating(RandomSearch(SPACE), repeats=2)
    told.begin(trainings=lambda architecture: math.inf)
    assert [len(set(told.ask())) for _ in range(2)] == [1, 1]
    assert len(set(told.ask(3))) == 2
    with pytest.raises(InputError, match="at least 1"):
        told.ask(0)


def test_trainings_under_way_and_failed_ones_are_not_asked_for_again() -> None:
    search = Repeating(RandomSearch(SPACE, seed=1), repeats=2, confirm=2)
    search.begin(budget=9, trainings=lambda architecture: 3)
    one, _, other, _, last = search.ask(5)
    search.tell([one, other], [2.0, 1.0])  # the second training of each is under way
    assert search.ask(3) == [last, one, other]  # of each the third, and the last there is
    assert not {one, other, last} & set(search.ask(1))
    failing = Repeating(RandomSearch(SPACE, seed=1), confirm=1)
    failing.begin(budget=3, trainings=lambda architecture: 2)
    (first,) = failing.ask()
    failing.tell([first], [1.0])
    assert failing.ask() == [first]
    failing.tell([first], [math.nan])
    assert first not in failing.ask()


@pytest.mark.parametrize("confirm", [3, "auto"])
def test_a_copy_goes_on_alike(confirm: Any) -> None:
    def advance(search: Repeating, rounds: int) -> list[Architecture]:
        asked: list[Architecture] = []
        for _ in range(rounds):
            batch = search.ask(2)
            search.tell(batch, [noisy(item, len(asked)) for item in batch])
            asked += batch
        return asked

    search = Repeating(RegularizedEvolution(SPACE, seed=1, population=4), confirm=confirm)
    search.begin(budget=24, trainings=lambda architecture: 3)
    advance(search, 8)
    others = [pickle.loads(pickle.dumps(search)), copy.deepcopy(search)]  # noqa: S301
    went_on = advance(search, 4)
    assert [advance(other, 4) for other in others] == [went_on] * 2
    assert len(set(went_on)) < len(went_on) or confirm == "auto"


@pytest.mark.parametrize(
    "strategy", ["weaknas", "random:confirm=5", "random:confirm=auto", "random:repeats=3"]
)
def test_what_says_nothing_new_is_never_repeated(strategy: str, shared_data: Any) -> None:
    build = parse_strategy(strategy)
    mean = weaknas.get_benchmark("nasbench201", dataset="cifar10", labels="mean")
    path = shared_data("mobilenet/ofa_acc_predictor_w1.2.pth")
    large = weaknas.get_space("mobilenetv3", width=1.2)
    predicted = OFAPredictor(large, path=path)
    for space, judge in ((mean.space, mean), (large, predicted), (SPACE, steady)):
        result = weaknas.run(build(space, seed=1), judge, 16)
        assert [trial.repeat for trial in result.trials] == [0] * 16
    again = weaknas.run(build(SPACE, seed=1), noisy, 16)
    assert any(trial.repeat for trial in again.trials)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("random:confirm=none", "unknown confirm 'none'"),
        ("random:confirm=0", "confirm must be at least 1, not 0"),
        ("random:repeats=always", "unknown repeats 'always'"),
        ("weaknas:repeats=0", "repeats must be at least 1, not 0"),
        ("weaknas:repeats=always", "unknown repeats 'always'"),
        ("random:confrim=5", "did you mean 'confirm'"),
    ],
)
def test_bad_options_are_named(label: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_strategy(label)(SPACE, seed=0)


def test_comparisons_say_what_is_repeated() -> None:
    table = {SPACE.architectures(row[None])[0].text: float(row.sum()) for row in SPACE.enumerate()}
    benchmark = weaknas.TabularBenchmark(SPACE, table).with_noise(0.5)
    labels = ("random", "random:confirm=2", "weaknas:repeats=2")
    experiment = Experiment(
        "few", {"few": benchmark}, {x: parse_strategy(x) for x in labels}, runs=1, budget=12
    )
    settings = experiment.describe()["strategies"]
    assert "confirm" not in settings["random"]
    assert (
        settings["random:confirm=2"] | {"confirm": 2, "budget": 12} == settings["random:confirm=2"]
    )
    assert settings["weaknas:repeats=2"]["repeats"] == 2


@pytest.mark.parametrize("strategy", ["random:confirm=auto", "weaknas", "weaknas:initial=7"])
def test_few_architectures_get_all_trainings_where_they_differ(strategy: str) -> None:
    space = ChoiceSpace({"a": [1, 2, 3]})

    def train(architecture: Architecture, seed: int) -> float:
        return architecture.genotype[0] + float(np.random.default_rng(seed).normal())

    result = weaknas.run(parse_strategy(strategy)(space, seed=0), train, budget=20)
    assert len(result.trials) == 20
    assert result.best.trainings > 1


def test_nothing_is_said_of_sureness_before_a_repeat() -> None:
    space = ChoiceSpace({"a": list(range(10)), "b": list(range(10))})
    search = weaknas.WeakNAS(space, seed=0)
    search.begin(trainings=lambda architecture: math.inf)
    architectures = search.ask(5)
    search.tell(architectures, [1.0, 2.0, 3.0, 4.0, 5.0])
    assert {item.std_error for item in search.contenders()} == {None}
    search.tell(architectures[-1:], [5.5])
    assert all(item.std_error and item.probability_best is not None for item in search.contenders())


def test_more_repeats_than_the_budget_are_those_of_the_budget() -> None:
    search = Repeating(RandomSearch(SPACE, seed=0), repeats=100_000)
    result = weaknas.run(search, lambda architecture, seed: float(seed % 7), budget=12)
    assert [trial.repeat for trial in result.trials] == list(range(12))
    with pytest.raises(InputError, match="repeats"):
        Repeating(RandomSearch(SPACE, seed=0), repeats=100_001)
