"""Statistics against their definitions, by brute force or by other libraries' numbers."""

from __future__ import annotations

import csv
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from weaknas.errors import InputError
from weaknas.laboratory import statistics

scores = st.lists(st.one_of(st.integers(0, 5).map(float), st.just(math.nan)), max_size=12)


@given(scores)
def test_incumbent_is_the_first_of_the_best_so_far(observed):
    found = statistics.best_so_far(observed)
    for n in range(len(observed)):
        known = [(score, -i) for i, score in enumerate(observed[: n + 1]) if math.isfinite(score)]
        assert found[n] == (-max(known)[1] if known else -1)


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from([4.0, 12.0, math.inf])), max_size=10))
def test_incumbent_is_of_the_highest_fidelity(queries):
    observed, levels = [float(s) for s, _ in queries], [level for _, level in queries]
    found = statistics.best_so_far(observed, levels)
    for n in range(len(queries)):
        best = max(range(n + 1), key=lambda i: (levels[i], observed[i], -i))
        assert found[n] == best


def test_values_at_reads_a_step_function():
    read = statistics.values_at([1.0, 3.0], [10.0, 5.0], [0.5, 1.0, 2.9, 3.0, 9.0])
    np.testing.assert_array_equal(read, [np.nan, 10.0, 10.0, 5.0, 5.0])


def test_queries_to_optimum_counts_from_one():
    assert statistics.queries_to_optimum([False, True, True]) == 2
    assert statistics.queries_to_optimum([False]) is None


def test_bootstrap_interval_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(100):
        low, high = statistics.bootstrap_interval(rng.exponential(size=40))
        covered += low <= 1.0 <= high
    assert 85 <= covered <= 100


def test_bootstrap_interval_is_seeded_and_defined_where_bca_is_not():
    values = [1.0, 2.0, 5.0, 9.0]
    assert statistics.bootstrap_interval(values) == statistics.bootstrap_interval(values)
    assert statistics.bootstrap_interval([3.0, 3.0]) == (3.0, 3.0)
    low, high = statistics.bootstrap_interval([0.0] * 99 + [1.0])
    assert 0.0 <= low <= 0.01 <= high
    assert all(math.isnan(end) for end in statistics.bootstrap_interval([1.0]))


def test_bootstrap_band_agrees_with_the_interval_at_each_point():
    rng = np.random.default_rng(1)
    curves = rng.normal([0, 5, 10], size=(60, 3))
    low, high = statistics.bootstrap_band(curves)
    standard_error = curves.std(axis=0, ddof=1) / np.sqrt(60)
    np.testing.assert_allclose(low, curves.mean(axis=0) - 1.96 * standard_error, atol=0.06)
    np.testing.assert_allclose(high, curves.mean(axis=0) + 1.96 * standard_error, atol=0.06)


def test_relative_improvement_is_that_of_the_paper():
    # Yang et al.: 100 (a - r) / r.
    assert statistics.relative_improvement(97.0, 96.0) == pytest.approx(100 / 96)
    with pytest.raises(InputError, match="positive"):
        statistics.relative_improvement(97.0, 0.0)


def test_relative_improvement_gives_the_published_figures(shared_data):
    """Yang et al. 2020, figure 2, CIFAR-10, from the runs they published."""
    published = {"DARTS": 0.32, "ENAS": 0.01, "NAO": 0.44, "NSGANET": -0.48, "CNAS": 0.74}
    runs: dict[tuple[str, bool], list[float]] = {}
    with shared_data("darts/nas_benchmark_performance.csv").open() as file:
        for row in csv.DictReader(file):
            if row["dataset"] == "CIFAR10":
                key = row["method"], row["kind"] == "random"
                runs.setdefault(key, []).append(float(row["test_acc"]))
    for method, expected in published.items():
        found, random = np.mean(runs[method, False]), np.mean(runs[method, True])
        assert statistics.relative_improvement(found, random) == pytest.approx(expected, abs=0.006)


@pytest.mark.parametrize(
    "difference",
    [
        [0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, -0.3, -0.4],
        [1.0, -1.0, 2.0, 2.0, 0.0, 0.0, 3.0, -2.0, 4.0],  # ties and zeros
        [3.0],
        [1.0, 2.0, 3.0, 4.0, 5.0],
        [0.0, 0.0, -1.0],
    ],
)
def test_wilcoxon_is_exact(difference):
    """By all signs of the ranks, those of zeros left out after ranking (Pratt 1959)."""
    values = np.array(difference)
    ranks = stats.rankdata(np.abs(values))[values != 0]
    center = ranks.sum() / 2
    signs = np.array(list(itertools.product([0, 1], repeat=len(ranks))))
    observed = abs(ranks[values[values != 0] > 0].sum() - center)
    exact = (np.abs(signs @ ranks - center) >= observed).mean()
    assert statistics.wilcoxon(values, np.zeros(len(values))) == pytest.approx(exact, rel=1e-12)


def test_wilcoxon_of_few_and_of_many_pairs():
    assert statistics.wilcoxon([1.0, 2.0], [1.0, 2.0]) == 1.0
    assert statistics.wilcoxon([3.0], [1.0]) == 1.0  # one pair tells nothing
    drawn = np.random.default_rng(0).normal(0.15, 1, 201)
    nearly = [statistics.wilcoxon(drawn[:n], np.zeros(n)) for n in (200, 201)]
    assert nearly[0] == pytest.approx(nearly[1], abs=0.02)  # exact, then approximated


def test_holm_is_the_step_down_procedure():
    raw = [0.01, 0.04, 0.03, 0.005]
    # Smallest times 4, next times 3, next times 2, last times 1, made monotone.
    np.testing.assert_allclose(statistics.holm(raw), [0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_between_raw_and_bonferroni(raw):
    adjusted = statistics.holm(raw)
    assert (adjusted >= np.array(raw) - 1e-12).all()
    assert (adjusted <= np.minimum(np.array(raw) * len(raw), 1) + 1e-12).all()


def test_critical_difference_is_that_of_demsar():
    """Demsar 2006, table 5: q(0.05) = 2.343, 2.569, 2.728 for 3, 4, 5 methods."""
    for k, quantile in ((2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)):
        result = statistics.compare_ranks(np.tile(np.arange(k), (14, 1)))
        expected = quantile * math.sqrt(k * (k + 1) / (6 * 14))
        assert result.critical_difference == pytest.approx(expected, rel=1e-3)


def test_ranks_are_averaged_over_data_sets_with_ties():
    result = statistics.compare_ranks([[1.0, 2.0, 3.0], [2.0, 2.0, 1.0]])
    assert result.ranks == (1.75, 2.25, 2.0)
    assert 0 < result.p_value <= 1
    assert math.isnan(statistics.compare_ranks([[1.0, 2.0]]).p_value)


def test_kendall_tau_counts_pairs():
    rng = np.random.default_rng(2)
    true, guess = rng.permutation(12), rng.permutation(12)
    pairs = list(itertools.combinations(range(12), 2))
    agreement = [np.sign((true[i] - true[j]) * (guess[i] - guess[j])) for i, j in pairs]
    assert statistics.kendall_tau(true, guess) == pytest.approx(np.mean(agreement))
    assert statistics.kendall_tau(true, np.zeros(12)) == 0.0


def test_top_precision_counts_the_overlap():
    true, guess = [9.0, 8.0, 7.0, 1.0], [5.0, 1.0, 9.0, 8.0]
    assert statistics.top_precision(true, guess, 2) == 0.0
    assert statistics.top_precision(true, guess, 3) == pytest.approx(2 / 3)
    assert statistics.top_precision([1.0, 1.0, 0.0], [0.0, 1.0, 0.5], 1) == 1.0
    with pytest.raises(InputError, match="k must be at most 4, not 5"):
        statistics.top_precision(true, guess, 5)


def test_wilcoxon_counts_runs_without_a_score_as_the_worst():
    worst = statistics.wilcoxon([1.0, 2.0, 9.0], [1.0, 1.0, 1.0])
    assert statistics.wilcoxon([1.0, 2.0, np.inf], [1.0, 1.0, 1.0]) == worst
    assert statistics.wilcoxon([np.inf, np.inf], [np.inf, np.inf]) == 1.0
