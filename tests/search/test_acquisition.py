"""Acquisitions against their definitions, and the batches they choose."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

import weaknas
from weaknas.errors import InputError
from weaknas.predictors.gaussian_process import GaussianProcess
from weaknas.predictors.pool import for_pool
from weaknas.search.acquisition import (
    ACQUISITIONS,
    Acquisition,
    ExpectedImprovement,
    Greedy,
    HalvedTop,
    IndependentThompson,
    TopN,
    UpperConfidenceBound,
    best_first,
    get_acquisition,
    log_unit_improvement,
)
from weaknas.search.belief import Belief, Evaluated

RNG = np.random.default_rng(0)


def generator():
    return np.random.default_rng(1)


def belief(mean, std=None, taken=(), *, incumbent=None, rounds=0, rng=None, joint=lambda _: None):
    """What a predictor that is certain, or as uncertain as it is told, says of candidates."""
    mean = np.asarray(mean, dtype=float)
    genotypes = np.arange(len(mean), dtype=np.int16)[:, None]
    available = np.ones(len(mean), dtype=bool)
    available[list(taken)] = False
    rows = np.array(list(taken) or [0])
    best = mean[rows] if incumbent is None else np.array([float(incumbent)])
    return Belief(
        genotypes=genotypes,
        mean=mean,
        std=np.zeros(len(mean)) if std is None else np.asarray(std, dtype=float),
        available=available,
        evaluated=Evaluated(genotypes[rows[: len(best)]], best),
        round=rounds,
        rng=generator() if rng is None else rng,
        joint=joint,
    )


def all_acquisitions():
    return [get_acquisition(name) for name in ACQUISITIONS]


# -- values ---------------------------------------------------------------------------------


@pytest.mark.parametrize("z", [3.0, 1.0, 0.0, -1.0, -4.0, -4.999, -5.001, -6.0, -9.0, -20.0, -35.0])
def test_expected_improvement_by_integration(z):
    # E max(x - incumbent, 0), x normal, is phi(z) times the integral of u exp(-u^2/2 + z u)
    integral, _ = quad(lambda u: u * np.exp(-0.5 * u**2 + z * u), 0, np.inf, epsabs=0, limit=200)
    for std, incumbent in [(1.0, 0.0), (0.3, 70.0)]:
        candidate = belief([incumbent + z * std], [std], incumbent=incumbent)
        value = ExpectedImprovement().values(candidate)
        expected = norm.logpdf(z) + np.log(integral) + np.log(std)
        assert value[0] == pytest.approx(expected, rel=1e-8)


def exact_log_unit_improvement(z):
    """To 60 digits, of which no more than 14 cancel."""
    with mpmath.workdps(60):
        z = mpmath.mpf(float(z))
        tail = mpmath.erfc(-z / mpmath.sqrt(2)) / 2
        return mpmath.log(mpmath.exp(-z * z / 2) / mpmath.sqrt(2 * mpmath.pi) + z * tail)


def test_the_logarithm_is_exact_to_the_last_digits():
    places = [
        0.0,
        -1e-9,
        1e-9,
        -4.999,
        -5.0,
        -5.001,
        -199.999,
        -200.0,
        -200.001,
        -1e6,
        8.499,
        8.5,
        8.501,
        10.0,
    ]
    z = np.concatenate([-np.logspace(-6, 6, 400), np.logspace(-6, 1, 100), places])
    found = log_unit_improvement(z)
    for place, value in zip(z, found, strict=True):
        expected = exact_log_unit_improvement(place)
        # near z = .9, where it is 0, to 1e-14 of the improvement itself
        assert abs(value - expected) <= 1e-12 * abs(expected) + 1e-14, place


def test_the_logarithm_of_what_is_beyond_all_bounds():
    z = np.array([-np.inf, -1e200, -1e154, 1e200, np.inf])
    with np.errstate(over="ignore", divide="ignore"):
        assert log_unit_improvement(z).tolist() == pytest.approx(
            [-np.inf, -np.inf, -0.5e308, np.log(1e200), np.inf]
        )


def test_expected_improvement_grows_with_mean_and_deviation():
    acquisition = ExpectedImprovement()
    means = np.linspace(-60, 5, 20_001)
    ones = np.ones_like(means)
    assert (np.diff(acquisition.values(belief(means, ones, incumbent=0))) > 0).all()
    spread = belief(-ones, np.linspace(0.02, 3, len(ones)), incumbent=0)
    assert (np.diff(acquisition.values(spread)) > 0).all()
    assert np.isfinite(acquisition.values(belief(means, 0 * ones, incumbent=0))).all()


def test_upper_bound_and_greedy():
    mean, std = RNG.normal(size=9), RNG.random(9)
    np.testing.assert_array_equal(Greedy().values(belief(mean, std)), mean)
    bound = UpperConfidenceBound(2.5).values(belief(mean, std))
    np.testing.assert_allclose(bound, mean + 2.5 * std)


def test_thompson_draws_from_each_distribution():
    mean, std = np.repeat([1.0, -2.0], 20_000), np.repeat([0.5, 3.0], 20_000)
    drawn = IndependentThompson().values(belief(mean, std)).reshape(2, -1)
    np.testing.assert_allclose(drawn.mean(axis=1), [1, -2], atol=0.1)
    np.testing.assert_allclose(drawn.std(axis=1), [0.5, 3], rtol=0.03)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=30), st.integers(1, 30))
def test_best_first_is_a_stable_sort(values, n):
    expected = sorted(range(len(values)), key=lambda i: (-values[i], i))[:n]
    assert best_first(np.array(values, dtype=float), n).tolist() == expected


# -- batches --------------------------------------------------------------------------------


@given(
    st.integers(1, 40).flatmap(
        lambda size: st.tuples(st.just(size), st.sets(st.integers(0, size - 1), max_size=size))
    ),
    st.integers(1, 12),
)
@pytest.mark.parametrize("name", ACQUISITIONS)
def test_batches_are_new_and_as_large_as_they_can_be(name, pool, n):
    size, taken = pool
    candidates = belief(np.arange(size) % 7, np.arange(size) % 3, taken)
    chosen = get_acquisition(name).choose(candidates, n)
    assert len(chosen) == min(n, size - len(taken))
    assert len(set(chosen.tolist())) == len(chosen)
    assert not set(chosen.tolist()) & taken


@pytest.mark.parametrize("acquisition", [Greedy(), ExpectedImprovement(), UpperConfidenceBound()])
def test_without_covariances_a_batch_is_the_best_first(acquisition):
    mean, std = RNG.normal(size=50), 0.1 + RNG.random(50)
    candidates = belief(mean, std, taken=[3, 4])
    values = acquisition.values(candidates).copy()
    values[[3, 4]] = -np.inf
    chosen = acquisition.choose(candidates, 6)
    assert chosen.tolist() == np.argsort(-values, kind="stable")[:6].tolist()


@pytest.mark.parametrize("acquisition", [ExpectedImprovement(), UpperConfidenceBound(3.0)])
def test_a_spread_batch_is_the_kriging_believer_from_scratch(acquisition):
    # every candidate has near twins, which a batch should not hold together
    features = np.repeat(np.random.default_rng(2).uniform(size=(100, 2)), 4, axis=0)
    features = (features + RNG.normal(scale=0.01, size=(400, 2))).astype(np.float32)
    labels = np.cos(12 * features).sum(axis=1)
    queried = np.arange(0, 100, 4)

    def fitted(extra=()):
        model = for_pool(GaussianProcess(), features)
        model.fit(queried, labels[queried])
        model.condition(np.array(extra, dtype=np.int64))
        return model

    model = fitted()
    candidates = belief(*model.predict(), queried, joint=model.covariance)
    chosen = acquisition.choose(candidates, 5).tolist()
    believed: list[int] = []
    for index in chosen:
        mean, std = fitted(believed).predict()
        values = acquisition.values(belief(mean, std, incumbent=candidates.incumbent))
        values[[*queried, *believed]] = -np.inf
        # the same choice, or one as good but for single precision
        assert values[index] >= values.max() - 1e-3
        believed.append(index)
    alone = best_first(np.where(candidates.available, acquisition.values(candidates), -np.inf), 5)
    assert set(chosen) != set(alone.tolist())  # it does spread


def test_the_incumbent_is_the_largest_predicted_mean_of_the_queried():
    assert belief([5.0, 1.0, 3.0, 9.0], taken=[1, 2]).incumbent == 3.0


# -- the paper's ----------------------------------------------------------------------------


def test_top_n_draws_uniformly_from_what_is_left_of_the_top():
    mean = np.arange(50.0)
    taken = [49, 47, 45, 10]
    top = sorted(set(range(30, 50)) - set(taken))
    counts = np.zeros(50)
    rng = generator()
    for _ in range(3000):
        chosen = TopN(20).choose(belief(mean, taken=taken, rng=rng), 5)
        assert len(set(chosen.tolist())) == 5
        counts[chosen] += 1
    assert counts[top].sum() == 15_000
    expected = 15_000 / len(top)
    assert np.abs(counts[top] - expected).max() < 5 * np.sqrt(expected)


def test_top_n_is_filled_by_rank():
    taken = [*range(92, 100), 88]
    chosen = TopN(10).choose(belief(np.arange(100.0), taken=taken), 6)
    assert set(chosen[:2].tolist()) == {90, 91}
    assert chosen[2:].tolist() == [89, 87, 86, 85]


def test_top_n_counts_the_queried():
    taken = list(range(80, 100))
    chosen = TopN(20).choose(belief(np.arange(100.0), taken=taken), 3)
    assert chosen.tolist() == [79, 78, 77]


@pytest.mark.parametrize(("size", "start", "decay"), [(500, 80_000, 0.96), (3, 40, 0.5)])
def test_the_schedule_decays_by_the_formula(size, start, decay):
    acquisition = TopN(size, start, decay)
    mean = np.arange(100_000.0)[:: -1 if start > 100 else 1]
    ranked = np.argsort(-mean, kind="stable")
    place = np.empty(len(mean), dtype=int)
    place[ranked] = np.arange(len(mean))
    for round_index in range(12):
        limit = max(size, round(start * decay**round_index))
        chosen = place[acquisition.choose(belief(mean, rounds=round_index), limit)]
        assert sorted(chosen) == list(range(limit))  # all of the top, no more


def test_the_decay_by_name_is_the_papers():
    assert get_acquisition("top-n-decay").describe() == {
        "name": "TopN",
        "size": 500,
        "start": 80_000,
        "decay": 0.96,
    }
    assert get_acquisition("top-n").describe()["size"] == 100
    assert get_acquisition("top-n").start is None


@pytest.mark.parametrize(
    "options", [{"size": 0}, {"size": 10, "start": 5}, {"decay": 0.0}, {"decay": 1.1}]
)
def test_bad_schedules(options):
    with pytest.raises(InputError, match="not"):
        TopN(**options)


# -- BRP-NAS' ------------------------------------------------------------------------------


def test_half_are_the_best_and_half_are_drawn_from_a_top_that_halves():
    mean, taken = np.arange(64.0), [63, 60, 30]
    for round_index, top in enumerate([range(32, 64), range(48, 64), range(56, 64)]):
        counts = np.zeros(64)
        for seed in range(400):
            rng = np.random.default_rng(seed)
            candidates = belief(mean, taken=taken, rounds=round_index, rng=rng)
            chosen = HalvedTop().choose(candidates, 4)
            assert chosen[:2].tolist() == [62, 61]
            assert len(set(chosen.tolist())) == 4
            counts[chosen[2:]] += 1
        drawn = sorted(set(top) - {*taken, 62, 61})
        assert np.flatnonzero(counts).tolist() == drawn
        expected = 800 / len(drawn)
        assert np.abs(counts[drawn] - expected).max() < 5 * np.sqrt(expected)


def test_when_the_top_is_used_up_the_next_best_follow():
    candidates = belief(np.arange(16.0), taken=[15], rounds=3)
    chosen = HalvedTop(best=0.0).choose(candidates, 3)
    assert chosen.tolist() == [14, 13, 12]  # the top is one, and taken
    with pytest.raises(InputError, match=r"not 1\.5"):
        HalvedTop(best=1.5)


# -- names ----------------------------------------------------------------------------------


def test_nothing_changes_with_use():
    for acquisition in all_acquisitions():
        before = acquisition.describe(), vars(acquisition).copy()
        acquisition.choose(belief(np.arange(9.0)), 3)
        assert (acquisition.describe(), vars(acquisition)) == before
        assert isinstance(acquisition, Acquisition)
    assert get_acquisition("ucb", beta=2.0).describe() == {
        "name": "UpperConfidenceBound",
        "beta": 2.0,
    }


def test_one_method_is_an_acquisition():
    class Optimist(Acquisition):
        def __init__(self, weight):
            self.weight = weight

        def values(self, belief):
            return belief.mean + self.weight * belief.std**2

    assert Optimist(2.0).describe() == {"name": "Optimist", "weight": 2.0}
    assert Optimist(0.5).choose(belief([1, 2, 3], [4, 0, 1], taken=[1]), 2).tolist() == [0, 2]
    search = weaknas.WeakNAS(weaknas.get_space("nasbench201"), acquisition=Optimist(1.0))
    result = weaknas.run(search, lambda a: float(sum(a.genotype)), budget=15)
    assert result.trials.scores[5:].mean() > result.trials.scores[:5].mean()


def test_a_batch_is_chosen_given_what_was_chosen_before():
    told = []

    class Curious(Acquisition):
        spreads = True

        def values(self, belief):
            told.append(None if belief.assumed is None else belief.assumed.genotypes[:, 0].tolist())
            return belief.mean

    assert Curious().choose(belief([3, 9, 4, 7], taken=[3]), 3).tolist() == [1, 2, 0]
    assert told == [None, None, [1], [1, 2]]


def test_an_unknown_acquisition_names_the_closest():
    with pytest.raises(InputError, match="'topn'; did you mean 'top-n'"):
        get_acquisition("topn")


def test_a_batch_larger_than_what_is_spread_is_filled_with_the_next_best():
    sizes = []

    def joint(rows):
        sizes.append(len(rows))
        return np.eye(len(rows)), 0.1

    mean = np.random.default_rng(3).permutation(5000) / 5000
    many = belief(mean, np.ones(5000), incumbent=1.0, joint=joint)
    chosen = ExpectedImprovement().choose(many, 3000)
    assert sizes == [2000]
    assert sorted(chosen) == sorted(np.argsort(-mean)[:3000])
    np.testing.assert_array_equal(chosen[2000:], np.argsort(-mean)[2000:3000])


@pytest.mark.parametrize("unit", [2.0**-30, 2.0**30])
@pytest.mark.parametrize("acquisition", ["ei", "ucb"])
def test_the_unit_of_labels_that_are_not_transformed_does_not_matter(unit, acquisition):
    space = weaknas.ChoiceSpace({f"layer{i}": list("abcd") for i in range(5)})
    effects = np.random.default_rng(0).normal(size=(5, 4))

    def proposals(factor):
        search = weaknas.WeakNAS(space, targets="raw", acquisition=acquisition, seed=0)
        texts = []
        for _ in range(12):
            asked = search.ask()
            texts += [each.text for each in asked]
            scores = effects[np.arange(5), space.genotypes(asked)].sum(axis=1)
            search.tell(asked, factor * scores)
        return texts

    assert proposals(unit) == proposals(1.0)
