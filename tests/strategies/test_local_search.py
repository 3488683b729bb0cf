"""Neighbourhoods, moves and restarts as White et al. (2021) define them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from weaknas.runs.runner import run
from weaknas.spaces import Architecture, ChoiceSpace, Genotypes
from weaknas.spaces.nasbench201 import NASBench201
from weaknas.strategies import LocalSearch

SPACE = ChoiceSpace({"a": [1, 2, 3, 4], "b": ["x", "y", "z"], "c": ["x", "y"], "d": ["x", "y"]})
Row = tuple[int, ...]


def landscape(seed: int) -> dict[Row, float]:
    values = np.random.default_rng(seed).integers(0, 20, size=SPACE.size)  # with ties
    rows = [tuple(row) for row in SPACE.enumerate().tolist()]
    return dict(zip(rows, values.astype(float).tolist(), strict=True))


def neighbors(row: Row) -> set[Row]:
    rows = [tuple(other) for other in SPACE.enumerate().tolist()]
    return {o for o in rows if sum(x != y for x, y in zip(o, row, strict=True)) == 1}


def walk(strategy: LocalSearch, scores: dict[Row, float], budget: int) -> list[Row]:
    def score(architecture: Architecture) -> float:
        return scores[architecture.genotype]

    return [t.architecture.genotype for t in run(strategy, score, budget).trials]


@pytest.mark.parametrize("batch_size", [1, 4, 50])
@pytest.mark.parametrize("seed", range(6))
def test_the_trials_are_those_of_algorithm_1(seed: int, batch_size: int) -> None:
    scores = landscape(seed)
    trials = walk(LocalSearch(SPACE, seed=seed, batch_size=batch_size), scores, SPACE.size)
    known: set[Row] = set()
    starts, at = 0, 0
    while at < len(trials):
        current = trials[at]  # random, and new
        assert current not in known
        known.add(current)
        starts, at = starts + 1, at + 1
        while True:
            new = neighbors(current) - known
            assert set(trials[at : at + len(new)]) == new
            known |= new
            at += len(new)
            highest = max(scores[row] for row in neighbors(current))
            if highest <= scores[current]:
                break
            best = [row for row in neighbors(current) if scores[row] == highest]
            if len(best) > 1:  # a tie: the next trials show which was taken
                following = set(trials[at : at + 1])
                best = [row for row in best if following <= neighbors(row) - known] or best
            current = best[0]
            if len(best) > 1:
                return  # cannot be told from outside any more
    assert known == set(scores)
    assert starts >= 1


def test_by_hand() -> None:
    space = ChoiceSpace({"a": ["0", "1"], "b": ["0", "1", "2"]})
    # 00 -> 01 (best of 10, 01, 02) -> 02 is known and worse, 11 is new and best -> 10
    # and 01 are known, 12 is new and worse: a local optimum; nothing is left.
    scores = {(0, 0): 1.0, (1, 0): 0.0, (0, 1): 3.0, (0, 2): 2.0, (1, 1): 4.0, (1, 2): 0.5}
    strategy = LocalSearch(space, seed=0)
    strategy.tell(space.architectures(np.array([[0, 0]])), [1.0])
    order = []
    while batch := strategy.ask():
        order.append(batch[0].genotype)
        strategy.tell(batch, [scores[batch[0].genotype]])
    assert set(order[:3]) == {(1, 0), (0, 1), (0, 2)}
    assert order[3:] == [(1, 1), (1, 2)]


def test_a_restart_is_random_and_uses_what_is_known() -> None:
    space = ChoiceSpace({"a": ["0", "1"], "b": ["0", "1"], "c": ["0", "1"]})
    strategy = LocalSearch(space, seed=3)
    rows = np.array([[0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0]])
    strategy.tell(space.architectures(rows[:1]), [9.0])
    strategy.tell(space.architectures(rows[1:]), [1.0, 1.0, 1.0])  # 000 is a local optimum
    (start,) = strategy.ask()
    assert start.genotype in {(0, 1, 1), (1, 0, 1), (1, 1, 0), (1, 1, 1)}
    strategy.tell([start], [5.0])
    (following,) = strategy.ask()
    assert sum(x != y for x, y in zip(following.genotype, start.genotype, strict=True)) == 1


@pytest.mark.parametrize("first_improvement", [True, False])
def test_first_improvement_moves_at_once(first_improvement: bool) -> None:
    space = ChoiceSpace({f"x{i}": ["a", "b", "c"] for i in range(6)})
    strategy = LocalSearch(space, seed=1, first_improvement=first_improvement)
    start = strategy.ask()[0]
    strategy.tell([start], [0.0])
    better = strategy.ask()[0]
    strategy.tell([better], [1.0])
    around = space.architectures(
        space.neighbors(np.array((better if first_improvement else start).genotype))
    )
    assert set(strategy.ask(11)) == set(around) - {start, better}


def test_first_improvement_does_not_prefer_what_is_known() -> None:
    space = ChoiceSpace({name: ["0", "1"] for name in "abcd"})
    summit, beside = space.architectures(np.array([[1, 1, 0, 0], [1, 0, 0, 0]]))
    at_once, runs = 0, 200
    for seed in range(runs):
        strategy = LocalSearch(space, seed=seed, first_improvement=True)
        strategy.tell([summit], [5.0])
        while strategy._height is not None:  # until it is known for a local optimum
            strategy.tell(strategy.ask(), [0.0])
        strategy._move(np.array(beside.genotype), 1.0)  # a start; three neighbours are new
        strategy.tell([], [])
        at_once += strategy._height is None
    # The known one comes first in one of four orders: it is moved to, and that is all.
    assert abs(at_once / runs - 1 / 4) < 3.5 * np.sqrt(3 / 16 / runs)


def test_it_can_go_on_from_the_next_best() -> None:
    scores = landscape(0)
    strategy = LocalSearch(SPACE, seed=0, continue_at_optimum=True)
    moved_to: list[Row] = []
    move = strategy._move

    def note(genotype: Genotypes, score: float) -> None:
        if strategy._height is None and moved_to:  # after a local optimum
            best = max(s for row, s in known.items() if row not in moved_to)
            assert score == best == scores[tuple(genotype.tolist())]
        moved_to.append(tuple(genotype.tolist()))
        move(genotype, score)

    strategy._move = note  # type: ignore[method-assign]
    known: dict[Row, float] = {}
    while batch := strategy.ask():
        known[batch[0].genotype] = scores[batch[0].genotype]
        strategy.tell(batch, [known[batch[0].genotype]])
    assert len(set(moved_to)) == len(known) == SPACE.size


def test_failed_neighbours_are_never_moved_to() -> None:
    space = ChoiceSpace({"a": ["0", "1", "2"]})
    strategy = LocalSearch(space, seed=0)
    strategy.tell(space.architectures(np.array([[0]])), [1.0])
    strategy.tell(space.architectures(np.array([[1]])), [np.nan])
    strategy.tell(space.architectures(np.array([[2]])), [np.nan])
    assert strategy._height is None  # a local optimum: the next would be a restart
    assert strategy.ask() == []


def test_a_walk_on_genotypes_keeps_what_an_architecture_does_not_use() -> None:
    space = NASBench201()
    strategy = LocalSearch(space, seed=0, canonical=False, first_improvement=True)
    walk, queried = [], 0
    for score in range(40):  # each is better than all before, so that each is moved to
        (architecture,) = strategy.ask()
        queried += 1
        strategy.tell([architecture], [float(score)])
        walk.append(strategy._drawn[int(space.fingerprint(np.array([architecture.genotype]))[0])])
    changes = [(one != other).sum() for one, other in pairwise(walk)]
    assert set(changes) == {1}  # of the genotypes, whatever the canonical forms are
    assert any((row != space.canonicalize(row[None])[0]).any() for row in walk)
    codes = space.fingerprint(np.array(walk))
    assert len(np.unique(codes)) == queried  # none that is isomorphic to a known one is paid for


def test_the_best_of_several_starts_is_climbed_from() -> None:
    strategy = LocalSearch(SPACE, seed=0, starts=5, batch_size=3)
    scores = landscape(0)
    told: list[Row] = []
    while len(told) < 5:
        batch = strategy.ask()
        told += [each.genotype for each in batch]
        strategy.tell(batch, [scores[each.genotype] for each in batch])
    assert len(told) == 5  # 3 and 2
    best = max(told, key=scores.__getitem__)
    batch = strategy.ask()
    assert {each.genotype for each in batch} <= neighbors(best)
    around = neighbors(best) - set(told) - {each.genotype for each in batch}
    strategy.tell(batch, [-1.0] * len(batch))
    assert {each.genotype for each in strategy.ask(len(around))} == around
