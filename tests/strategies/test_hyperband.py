"""Brackets against the published table, rungs against a sort."""

from __future__ import annotations

import math
import tracemalloc
from itertools import groupby
from typing import Any

import numpy as np
import pytest

from weaknas.errors import InputError
from weaknas.evaluators import Evaluation
from weaknas.registry import get_space
from weaknas.runs.runner import run
from weaknas.runs.trials import Trial
from weaknas.spaces import Architecture, ChoiceSpace
from weaknas.strategies import BOHB, Hyperband, Strategy, SuccessiveHalving
from weaknas.strategies.bohb import Density
from weaknas.strategies.hyperband import bracket

SPACE = ChoiceSpace({f"x{i}": ["a", "b", "c", "d"] for i in range(6)})


class Rising:
    """Longer training shows more of the truth."""

    fidelities = (1.0, 3.0, 9.0, 27.0)

    def evaluate(
        self, architecture: Architecture, *, seed: int, fidelity: float | None = None
    ) -> Evaluation:
        truth = sum(architecture.genotype) + math.sin(
            sum(i * v for i, v in enumerate(architecture.genotype))
        )
        level = fidelity or 81.0
        return Evaluation(truth + (seed % 997) / 997 * 20 / level, cost=level)

    def describe(self) -> dict[str, Any]:
        return {}


def rungs(strategy: Strategy, budget: int) -> list[list[Trial]]:
    trials = run(strategy, Rising(), budget).trials
    return [list(group) for _, group in groupby(trials, key=lambda trial: trial.round)]


def test_the_brackets_are_those_of_table_1() -> None:
    # Li et al. (2018), R = 81, eta = 3: n_i of the brackets s = 4, 3, 2, 1, 0.
    published = [[81, 27, 9, 3, 1], [34, 11, 3, 1], [15, 5, 1], [8, 2], [5]]
    assert [bracket([1, 3, 9, 27, 81], start) for start in range(5)] == published


def test_the_brackets_do_not_suffer_from_rounding() -> None:
    for scale in (0.1, 1 / 3, 7.0):
        resources = [scale * 3**i for i in range(5)]
        assert bracket(resources, 0) == [81, 27, 9, 3, 1]


@pytest.mark.parametrize("resources", [[12, 200], [4, 12, 36, 108], [1, 2, 50, 51]])
def test_no_rung_costs_more_than_the_first_of_its_bracket(resources: list[float]) -> None:
    for start in range(len(resources)):
        counts = bracket(resources, start)
        costs = [n * r for n, r in zip(counts, resources[start:], strict=True)]
        assert max(costs) == costs[0]
        assert counts[-1] >= 1


def test_a_cycle_goes_through_all_brackets_and_begins_again() -> None:
    sizes = [81, 27, 9, 3, 1, 34, 11, 3, 1, 15, 5, 1, 8, 2, 5]
    levels = [1.0, 3.0, 9.0, 27.0, None, 3.0, 9.0, 27.0, None, 9.0, 27.0, None, 27.0, None, None]
    strategy = Hyperband(SPACE, resources=[1, 3, 9, 27, 81], seed=0)
    found = rungs(strategy, sum(sizes) + 81)
    assert found[-1][0].evaluation.fidelity == 1.0
    assert len(found[-1]) == 81
    # Promotions to where an earlier bracket has been are not paid again.
    counted = {"paid": 0, "free": 0}
    for rung, size, level in zip(found, sizes, levels, strict=False):
        assert {trial.evaluation.fidelity for trial in rung} == {level}
        assert len(rung) <= size
        counted["paid"] += len(rung)
        counted["free"] += size - len(rung)
    assert counted["free"] <= 2


def test_the_best_of_a_rung_are_promoted() -> None:
    for before, after in zip(
        *(rungs(SuccessiveHalving(SPACE, resources=[1, 3, 9, 27, 81]), 121)[i:] for i in (0, 1)),
        strict=False,
    ):
        ranked = sorted(before, key=lambda trial: -trial.score)
        best = {trial.architecture for trial in ranked[: len(after)]}
        assert {trial.architecture for trial in after} == best


def test_failures_are_not_promoted() -> None:
    strategy = SuccessiveHalving(SPACE, resources=[1, 3])
    batch = strategy.ask()
    assert len(batch) == 3
    strategy.tell(batch, [math.nan, math.nan, -7.0], 1.0)
    assert strategy.ask() == batch[2:]
    strategy.tell(batch[2:], [math.nan])
    fresh = strategy.ask()
    strategy.tell(fresh, [math.nan] * 3, 1.0)
    assert strategy.round_fidelity == 1.0  # nobody left: the next bracket
    assert len(set(strategy.ask()) | set(fresh) | set(batch)) == 9


def test_a_rung_waits_for_all_its_scores() -> None:
    strategy = SuccessiveHalving(SPACE, resources=[1, 3])
    first, second = strategy.ask(2), strategy.ask(2)
    assert (len(first), len(second), strategy.ask(2)) == (2, 1, [])
    strategy.tell(first, [1.0, 2.0], 1.0)
    assert strategy.ask(1) == []
    strategy.tell(second, [0.0], 1.0)
    assert (strategy.round_fidelity, strategy.ask(1)) == (None, first[1:])


def test_a_known_score_at_a_higher_fidelity_is_not_asked_for() -> None:
    strategy = SuccessiveHalving(SPACE, resources=[1, 3])
    batch = strategy.ask()
    strategy.tell(batch[:1], [5.0])  # full training, from elsewhere
    strategy.tell(batch, [9.0, 1.0, 1.0], 1.0)
    assert strategy.round_fidelity == 1.0
    assert not set(strategy.ask()) & set(batch)


def test_the_published_tables_have_default_resources() -> None:
    strategy = Hyperband(get_space("nasbench201"))
    assert strategy.fidelities == (12.0, None)
    assert strategy.round_size == 17
    with pytest.raises(InputError, match="no default resources"):
        Hyperband(SPACE)
    for wrong in ([3, 1], [0, 1], [1, math.inf], [2, 2]):
        with pytest.raises(InputError, match="resources must"):
            Hyperband(SPACE, resources=wrong)
    with pytest.raises(InputError, match="resources are a set, whose order differs"):
        Hyperband(SPACE, resources={1, 3, 9})  # type: ignore[arg-type]


MIXED = ChoiceSpace({"op": ["a", "b", "c"], "width": [1, 2, 4, 8], "flag": ["n", "y"]})


@pytest.mark.parametrize("n", [1, 2, 9])
def test_a_density_sums_to_one(n: int) -> None:
    rows = MIXED.sample(n, np.random.default_rng(n))
    density = Density(MIXED, rows)
    assert density(MIXED.enumerate()).sum() == pytest.approx(1)
    # By the definition, at one point.
    point = MIXED.enumerate()[7]
    total = 0.0
    for row in rows:
        product = 1.0
        for x, c, k, ordered in zip(point, row, MIXED.cardinalities, MIXED.ordered, strict=True):
            h = (k - 1) / k / math.sqrt(n)
            if ordered:
                product *= h ** abs(int(x) - int(c)) / sum(h ** abs(int(c) - y) for y in range(k))
            else:
                product *= 1 - h if x == c else h / (k - 1)
        total += product / n
    assert density(point[None])[0] == pytest.approx(total)


def test_a_density_of_many_values_holds_no_square_of_them() -> None:
    space = ChoiceSpace({"rate": range(20_000), "name": [f"n{i}" for i in range(20_000)]})
    rng = np.random.default_rng(0)
    rows = space.sample(5, rng)
    tracemalloc.start()
    density = Density(space, rows)
    drawn = density.sample(100, rng)
    assert (density(drawn) > 0).all()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50 * 8 * 20_000  # 20,000 squared is 400 times as much


def test_draws_follow_the_density() -> None:
    rng = np.random.default_rng(0)
    density = Density(MIXED, MIXED.sample(5, rng))
    drawn = MIXED.fingerprint(density.sample(40_000, rng))
    counts = np.bincount(drawn, minlength=MIXED.size)
    assert np.abs(counts / 40_000 - density(MIXED.enumerate())).max() < 0.01


def test_bohb_picks_where_the_good_ones_are() -> None:
    rows = SPACE.sample(300, np.random.default_rng(0))
    scores = (rows == 0).sum(axis=1).astype(float)

    def share_of_good_choices(strategy: Hyperband) -> float:
        strategy.tell(SPACE.architectures(rows), scores)
        picked = strategy._pick(90)
        assert len(set(SPACE.fingerprint(picked).tolist())) == 90
        return float((picked == 0).mean())

    # A third is random, with a quarter of good choices.
    assert share_of_good_choices(Hyperband(SPACE, resources=[1, 3])) < 0.3
    assert share_of_good_choices(BOHB(SPACE, resources=[1, 3])) > 0.4


def test_bohb_is_hyperband_before_it_has_seen_enough() -> None:
    assert BOHB(SPACE, resources=[1, 3, 9])._model() is None
    assert (
        BOHB(SPACE, resources=[1, 3, 9], seed=3).ask()
        == Hyperband(SPACE, resources=[1, 3, 9], seed=3).ask()
    )
