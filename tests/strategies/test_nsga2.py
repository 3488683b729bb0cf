"""Fronts, crowding, tournaments and survival as Deb et al. (2002) define them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaknas.errors import InputError
from weaknas.registry import get_strategy
from weaknas.runs.runner import run
from weaknas.search.pareto import hypervolume
from weaknas.spaces import Architecture, ChoiceSpace, ConstrainedSpace, Costs, SubsetSpace
from weaknas.strategies import NSGA2
from weaknas.strategies.nsga2 import crowding_distances, sort_fronts


def priced(decisions: int = 6, values: int = 4) -> ChoiceSpace:
    weights = 1 + np.arange(decisions)
    return ChoiceSpace(
        {f"v{i}": list(range(values)) for i in range(decisions)},
        name="priced",
        costs={"price": lambda rows: (rows @ weights).astype(float)},
    )


def value(architecture: Architecture) -> float:
    genotype = np.array(architecture.genotype)
    return float(np.sqrt(genotype).sum() + 0.3 * np.sin(genotype * np.arange(len(genotype))).sum())


small = st.integers(0, 4)
points = st.lists(st.tuples(small, small, st.integers(-2, 2)), min_size=1, max_size=14)


@given(points)
def test_fronts_by_definition(rows: list[tuple[int, int, int]]) -> None:
    table = np.array(rows, dtype=float)
    values, violations = table[:, :2], np.maximum(table[:, 2], 0)

    def dominates(a: int, b: int) -> bool:
        if violations[a] or violations[b]:
            return bool(violations[a] < violations[b])
        no_worse, better = values[a] <= values[b], values[a] < values[b]
        return bool(no_worse.all() and better.any())

    left, expected, front = set(range(len(rows))), {}, 0
    while left:
        first = {b for b in left if not any(dominates(a, b) for a in left)}
        expected |= dict.fromkeys(first, front)
        left -= first
        front += 1
    assert sort_fronts(values, violations).tolist() == [expected[i] for i in range(len(rows))]


def test_crowding_by_hand() -> None:
    values = np.array([[0.0, 8.0], [1.0, 4.0], [2.0, 3.0], [4.0, 0.0]])
    middle = [(2 - 0) / 4 + (8 - 3) / 8, (4 - 1) / 4 + (4 - 0) / 8]
    assert crowding_distances(values).tolist() == [np.inf, *middle, np.inf]
    assert crowding_distances(np.ones((3, 1))).tolist() == [np.inf, 0.0, np.inf]


def test_fronts_and_crowding_are_those_of_pymoo() -> None:
    pytest.importorskip("pymoo")
    from pymoo.operators.survival.rank_and_crowding.metrics import calc_crowding_distance
    from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

    values = np.random.default_rng(0).random((80, 3))
    fronts = sort_fronts(values)
    for number, front in enumerate(NonDominatedSorting().do(values)):
        assert sorted(front) == np.flatnonzero(fronts == number).tolist()
        theirs = calc_crowding_distance(values[front])  # the mean over the objectives
        assert crowding_distances(values[front]) == pytest.approx(3 * theirs)


def test_the_better_fronts_survive_and_then_the_less_crowded() -> None:
    space = priced(2, 4)
    strategy = NSGA2(space, objectives=("price",), population=4, seed=0)
    # Price v0 + 2 v1. Of the seven the first four are the front; then one more generation.
    first = ["v0=0,v1=0", "v0=3,v1=0", "v0=1,v1=2", "v0=3,v1=3"]
    strategy.tell(first, [0.0, 1.0, 2.0, 3.0])
    assert strategy._fronts.tolist() == [0, 0, 0, 0]
    strategy.tell(["v0=1,v1=0", "v0=2,v1=3", "v0=2,v1=2", "v0=0,v1=1"], [-1.0, 2.9, 2.5, 0.1])
    kept = {tuple(row) for row in strategy._parents.tolist()}
    # Front: prices 0, 2, 3, 5, 6, 8, 9 with 0, .1, 1, 2, 2.5, 2.9, 3; the ends and the most room.
    assert {(0, 0), (3, 3)} < kept
    assert (1, 0) not in kept
    assert strategy._crowding[:2].tolist() == [np.inf, np.inf]


def test_children_are_between_two_cuts_of_their_parents() -> None:
    space = ChoiceSpace({f"x{i}": list("abcdefgh") for i in range(10)})
    strategy = NSGA2(space, population=2, crossover=1.0, seed=0)
    mothers, fathers = np.zeros((50, 10), dtype=np.int16), np.ones((50, 10), dtype=np.int16)
    children = strategy._cross(mothers, fathers)
    assert (np.abs(np.diff(np.pad(children, ((0, 0), (1, 1))), axis=1)).sum(axis=1) <= 2).all()
    assert 0.2 < children.mean() < 0.5
    changed = strategy._mutate(np.zeros((4000, 10), dtype=np.int16)) != 0
    assert changed.mean() == pytest.approx(0.1, abs=0.01)


def test_ordered_decisions_take_short_steps() -> None:
    space = ChoiceSpace({f"x{i}": list(range(33)) for i in range(5)})
    strategy = NSGA2(space, seed=0)
    rows = np.full((4000, 5), 16, dtype=np.int16)
    steps = np.abs(strategy._mutate(rows) - rows)[strategy._mutate(rows) >= 0]
    steps = steps[steps > 0]
    # 1 - (1 - u)^(1/4) of the range: half of the steps are below 0.16 of it.
    assert np.median(steps) == pytest.approx(0.159 * 32, abs=1)


def test_it_finds_the_front() -> None:
    space = priced()
    costs, rows = Costs(space, ("price",)), space.enumerate()
    scores = np.array([value(each) for each in space.architectures(rows)])
    reference = scores.min(), costs.worst
    whole = hypervolume(scores, costs(rows), *reference)

    def share(name: str, **options: object) -> float:
        shares = []
        for seed in range(3):
            strategy = get_strategy(name, space, seed=seed, batch_size=20, **options)
            trials = run(strategy, value, 160).trials
            shares.append(hypervolume(trials.scores, costs(trials.genotypes), *reference) / whole)
        return float(np.mean(shares))

    ours = share("nsga2", objectives=("price",), population=20)
    assert ours > 0.92
    assert ours > share("random") + 0.02
    assert ours > share("nsga2", population=20)  # of the score alone


def test_what_is_outside_the_limits_has_children_and_is_not_trained() -> None:
    space = ConstrainedSpace(priced(), ["price<=9"])  # 1 in 22
    strategy = NSGA2(space, objectives=("price",), population=10, seed=0)
    result = run(strategy, value, 40)
    assert space.contains(result.trials.genotypes).all()
    assert len(strategy._outside) > 10
    assert not space.contains(space.sample(1, np.random.default_rng(0)) + 3).any()
    # Of fifty that were drawn after ten generations nearly all parents are inside.
    assert (strategy._violations == 0).sum() >= 8


def test_in_a_list_of_architectures_the_most_similar_new_one_is_taken() -> None:
    whole = priced()
    members = whole.sample(60, np.random.default_rng(1))
    space = SubsetSpace(whole, members)
    child = members[0].copy()
    assert space.nearest(child).tolist() == child.tolist()
    taken = set(space.fingerprint(members[:1]).tolist())
    other = space.nearest(child, taken)
    distances = (space.enumerate() != child).sum(axis=1)
    assert (other != child).sum() == np.sort(distances)[1]
    result = run(NSGA2(space, objectives=("price",), population=8, seed=0), value, 50)
    assert len({trial.architecture.id for trial in result.trials}) == 50


def test_objectives_are_costs_of_the_space() -> None:
    with pytest.raises(InputError, match="did you mean 'price'"):
        NSGA2(priced(), objectives=("prize",))
    with pytest.raises(InputError, match="population must be at least 2, not 1"):
        NSGA2(priced(), population=1)
