"""Candidates that evolve on the acquisition, and the sampling distribution that narrows."""

from __future__ import annotations

import numpy as np
import pytest

import weaknas
from weaknas.encoders import OneHotEncoder
from weaknas.search.candidates import ListedCandidates
from weaknas.search.evolution import EvolvedCandidates, Valued, cover, default_candidates
from weaknas.search.narrowing import Narrowing
from weaknas.spaces import ChoiceSpace, ConstrainedSpace, distinct
from weaknas.spaces.mobilenetv3 import MobileNetV3
from weaknas.strategies import History

CHAIN = ChoiceSpace({f"layer{i}": ["skip", "conv3", "conv5", "pool"] for i in range(30)})
MOBILE = MobileNetV3(1.2, 236)
WINDOW = ConstrainedSpace(MOBILE, ["595e6<=macs<=600e6", "params<=9e6"])


NOTHING = np.empty((0, 12), dtype=np.int64)


def generator(seed=0):
    return np.random.default_rng(seed)


def seen(history):
    return np.sort(history.fingerprints)


def told(space, n=30, seed=1, score=lambda rows: rows.sum(axis=1)):
    history = History(space)
    rows = distinct(space, space.sample(n, generator(seed)))
    history.add(rows, np.asarray(score(rows), dtype=float))
    return history


def test_what_cannot_be_listed_evolves():
    assert isinstance(default_candidates(CHAIN, OneHotEncoder(CHAIN)), EvolvedCandidates)
    cells = weaknas.get_space("nasbench201")
    assert isinstance(default_candidates(cells, OneHotEncoder(cells)), ListedCandidates)


def test_every_choice_is_covered_rare_ones_included():
    """Value 0 of each decision is in one of some hundred members of a space with a limit."""
    names, rng = [f"v{i}" for i in range(10)], generator(3)
    whole = ChoiceSpace({f"layer{i}": names for i in range(12)})
    prices = rng.uniform(0.5, 1.5, size=(12, 10))
    prices[:, 0] = 6.0
    space = ConstrainedSpace(
        whole, ["price<=16"], {"price": lambda rows: prices[np.arange(12), rows].sum(axis=1)}
    )
    share = (space.sample(2000, generator()) == 0).mean()
    assert 0 < share < 0.03
    candidates = EvolvedCandidates(space, OneHotEncoder(space))
    first = candidates.sample(12, generator(1), NOTHING)
    assert space.contains(first).all()
    assert len(np.unique(space.fingerprint(first))) == 12
    covered = [len(set(column)) for column in first.T.tolist()]
    assert np.mean(covered) > 8  # of 10; a draw of 12 has about 6.5
    start = candidates.pool(told(space), generator(2)).genotypes
    assert all(set(column) == set(range(10)) for column in start.T.tolist())


def test_cover_takes_what_was_chosen_least():
    rows = np.array([[0, 0], [0, 1], [1, 1], [0, 0]])
    np.testing.assert_array_equal(cover(rows, np.array([2, 2]), 2, rows[:0]), [[0, 0], [1, 1]])
    np.testing.assert_array_equal(cover(rows, np.array([2, 2]), 1, rows[:1]), [[1, 1]])
    assert len(cover(rows, np.array([2, 2]), 9, rows[:0])) == 4


def test_asked_for_one_at_a_time_they_cover_as_much():
    space = ChoiceSpace({f"layer{i}": list("abcdefgh") for i in range(12)})

    def tried(size):
        search = weaknas.WeakNAS(space, seed=0)
        rows = space.genotypes([each for _ in range(10 // size) for each in search.ask(size)])
        return np.mean([len(set(column)) / 8 for column in rows.T.tolist()])

    assert tried(1) > 0.93
    assert tried(10) > 0.93  # a draw of 10 has .74


def valued(wanted):
    """Return a valuation by a function of features; what is predicted is the same."""

    def value(rows, features):
        values = wanted(features)
        return Valued(values, 2 * values, values)

    return value


def test_evolution_reaches_the_most_wanted_architecture():
    """Of 4^30 the one that is all 'pool', whatever was told; evaluating a part in 10^14."""
    looked_at = []

    def wanted(features):
        looked_at.append(len(features))
        return features.reshape(-1, 30, 4)[:, :, 3].sum(axis=1)

    candidates = EvolvedCandidates(CHAIN, OneHotEncoder(CHAIN))
    history = told(CHAIN)
    end = candidates.evolve(history, seen(history), valued(wanted), generator())
    assert sum(looked_at) < 20_000
    assert end.values.wanted.max() == 30
    assert len(end.rows) <= candidates.size
    assert len(np.unique(end.codes)) == len(end.codes)
    np.testing.assert_array_equal(end.features, OneHotEncoder(CHAIN).transform(end.rows))
    np.testing.assert_array_equal(end.codes, CHAIN.fingerprint(end.rows))
    np.testing.assert_array_equal(end.values.wanted, wanted(end.features))
    np.testing.assert_array_equal(end.values.mean, end.values.wanted)
    np.testing.assert_array_equal(end.values.std, 2 * end.values.wanted)


def test_a_belief_is_of_what_evolved_and_of_what_was_proposed():
    search = weaknas.WeakNAS(CHAIN, initial=4, batch_size=2, seed=0)
    for _ in range(4):
        asked = search.ask()
        search.tell(asked, [(search.space.genotypes([one])[0] == 3).mean() for one in asked])
    waiting = search.ask()
    search.ask()
    belief = search._ranker.rank(search._evidence, search.acquisition)
    codes = CHAIN.fingerprint(belief.genotypes)
    assert len(np.unique(codes)) == len(codes)
    known = np.isin(codes, search.history.fingerprints)
    pending = np.isin(codes, CHAIN.fingerprint(CHAIN.genotypes(waiting)))
    assert known.sum() == len(search.history)
    assert pending.sum() == len(waiting)
    assert not belief.available[known | pending].any()
    # Of each it says what the model says of it alone.
    features = search.encoder.transform(belief.genotypes)
    mean, std = search._ranker._model.predict(features)
    np.testing.assert_allclose(belief.mean, mean, atol=1e-4)
    new = belief.available
    np.testing.assert_allclose(belief.std[new], std[new], atol=1e-4)


def test_the_end_is_a_local_optimum_of_a_rugged_acquisition():
    weights = generator(5).normal(size=(120, 3))

    def wanted(features):
        return np.sin(features @ weights).sum(axis=1)

    candidates = EvolvedCandidates(CHAIN, OneHotEncoder(CHAIN), generations=40)
    history = told(CHAIN)
    end = candidates.evolve(history, seen(history), valued(wanted), generator())
    best = end.rows[end.ranked[0]]
    near = CHAIN.neighbors(best)
    encode = OneHotEncoder(CHAIN).transform
    assert wanted(encode(near)).max() <= wanted(encode(best[None]))[0]


def test_evolution_stays_within_limits():
    encoder = weaknas.get_encoder("one-hot+costs", WINDOW)
    candidates = EvolvedCandidates(WINDOW, encoder, generations=6)
    history = told(WINDOW, n=20)
    total = valued(lambda features: features.sum(axis=1))
    end = candidates.evolve(history, seen(history), total, generator())
    assert len(end.rows) > 1000
    macs = MOBILE.macs(end.rows)
    assert macs.min() >= 595e6
    assert macs.max() <= 600e6
    assert MOBILE.parameters(end.rows).max() <= 9e6
    assert WINDOW.contains(candidates.narrowing.sample(200, generator())).all()


def test_the_generator_decides():
    def grow(seed):
        candidates = EvolvedCandidates(CHAIN, OneHotEncoder(CHAIN), size=300, generations=3)
        history = told(CHAIN)
        wanted = OneHotEncoder(CHAIN).transform(history.genotypes[:1])[0]
        value = valued(lambda features: features @ wanted)
        return candidates.evolve(history, seen(history), value, generator(seed)).rows

    np.testing.assert_array_equal(grow(1), grow(1))
    assert not np.array_equal(grow(1), grow(2))


def test_work_does_not_grow_with_the_space():
    def looked_at(layers):
        space = ChoiceSpace({f"layer{i}": [0, 1, 2] for i in range(layers)})
        count = []
        candidates = EvolvedCandidates(space, OneHotEncoder(space), generations=5)
        history = told(space)
        value = valued(lambda f: count.append(len(f)) or f[:, 2])
        candidates.evolve(history, seen(history), value, generator())
        return sum(count)

    # the start, and in each generation offspring and neighbours of three
    bound = 250 + 5 * (600 + 3 * 500)
    assert looked_at(20) < looked_at(300) <= bound


def test_work_does_not_grow_with_the_values(monkeypatch):
    """Neighbours of 300 decisions of 100 values would be 29,700: some are drawn."""
    space = ChoiceSpace({f"x{i}": range(100) for i in range(300)})
    monkeypatch.setattr(space, "neighbors", None)
    count = []
    candidates = EvolvedCandidates(space, OneHotEncoder(space), generations=5)
    history = told(space)
    value = valued(lambda f: count.append(f.shape) or f[:, 2])
    candidates.evolve(history, seen(history), value, generator())
    assert sum(rows for rows, _ in count) <= 250 + 5 * (600 + 3 * 500)
    assert {columns for _, columns in count} == {300}


# -- narrowing ------------------------------------------------------------------------------


def test_probabilities_move_to_the_elite_and_keep_a_floor():
    space = ChoiceSpace({"a": ["x", "y"], "b": ["p", "q", "r", "s"]})
    narrowing = Narrowing(space, generator(), rate=0.5, floor=0.1)
    start = [p.copy() for p in narrowing.probabilities]
    elite = np.array([[1, 2], [1, 3]], dtype=np.int16)
    narrowing.learn(elite)
    # half way to (0, 1), then a tenth of the beginning
    np.testing.assert_allclose(
        narrowing.probabilities[0], 0.9 * (0.5 * start[0] + [0, 0.5]) + 0.1 * start[0]
    )
    for _ in range(40):
        narrowing.learn(elite)
    assert narrowing.probabilities[0][1] > 0.85
    np.testing.assert_allclose(narrowing.probabilities[1][2:].sum(), 0.9, atol=0.05)
    assert all(
        p.min() >= 0.1 * s.min() > 0 for p, s in zip(narrowing.probabilities, start, strict=True)
    )
    assert all(p.sum() == pytest.approx(1) for p in narrowing.probabilities)
    entropies = np.array(narrowing.entropies)
    assert entropies.shape == (41, 2)
    assert (np.diff(entropies.sum(axis=1)) < 1e-12).all()
    narrowing.widen()
    assert narrowing.entropies[-1].sum() > entropies[-1].sum()


def test_draws_follow_the_probabilities():
    narrowing = Narrowing(CHAIN, generator(), rate=1.0, floor=0.04)
    narrowing.learn(np.full((5, 30), 2, dtype=np.int16))
    drawn = narrowing.sample(500, generator(3))
    assert drawn.shape == (500, 30)
    np.testing.assert_allclose((drawn == 2).mean(axis=0), 0.97, atol=0.03)


def test_a_search_narrows_and_widens_when_it_is_stuck():
    search = weaknas.WeakNAS(CHAIN, seed=0, batch_size=3, initial=5, encoder="one-hot")
    for _ in range(6):
        asked = search.ask()
        search.tell(asked, [float((np.array(a.genotype) == 1).sum()) for a in asked])
    narrowing = search.narrowing
    assert narrowing.entropies[-1].sum() < 0.8 * 30 * 2
    rounds = len(narrowing.entropies)
    for _ in range(12):
        asked = search.ask()
        search.tell(asked, [-1.0] * len(asked))  # nothing is better any more
    steps = np.diff([e.sum() for e in narrowing.entropies[rounds:]])
    assert len(steps) > 11
    assert steps.max() > 2


def test_other_searches_have_no_narrowing():
    assert weaknas.WeakNAS(weaknas.get_space("nasbench201")).narrowing is None
