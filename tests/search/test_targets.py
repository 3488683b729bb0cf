"""The transforms of scores that predictors are fitted to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from weaknas.errors import InputError
from weaknas.search.targets import TRANSFORMS, Scale, compressed, get_transform

scores = st.lists(st.integers(-(10**6), 10**6).map(lambda n: n / 128), min_size=2, max_size=40).map(
    np.array
)


@given(scores)
@pytest.mark.parametrize("name", TRANSFORMS)
def test_order_and_ties_are_kept(name, scores):
    values = get_transform(name)(scores.copy())
    assert values.shape == scores.shape
    assert np.isfinite(values).all()
    order = np.argsort(scores, kind="stable")
    steps, jumps = np.diff(values[order]), np.diff(scores[order])
    assert (steps[jumps > 0] > 0).all()
    assert (np.abs(steps[jumps == 0]) < 1e-9).all()


@given(scores)
@pytest.mark.parametrize("name", ["standard", "rank-normal"])
def test_mean_zero_and_deviation_one(name, scores):
    values = get_transform(name)(scores)
    assert abs(values.mean()) < 1e-6
    if scores.max() > scores.min():
        assert values.std() == pytest.approx(1)
    else:
        assert (values == 0).all()


def test_standard_and_raw_by_hand():
    np.testing.assert_allclose(get_transform("standard")(np.array([1.0, 3.0])), [-1, 1])
    np.testing.assert_array_equal(get_transform("raw")(np.array([1.0, 3.0])), [1, 3])


def test_rank_normal_by_hand():
    values = get_transform("rank-normal")(np.array([5.0, -1e9, 5.0, 7.0]))
    quantiles = norm.ppf((np.array([2.5, 1, 2.5, 4]) - 0.5) / 4)
    np.testing.assert_allclose(values, (quantiles - quantiles.mean()) / quantiles.std())


@given(scores, st.floats(0.1, 100))
def test_rank_normal_ignores_units_and_tails(scores, scale):
    transform = get_transform("rank-normal")
    expected = transform(scores)
    np.testing.assert_allclose(transform(np.exp(scores / 1e4) * scale), expected, atol=1e-9)
    np.testing.assert_allclose(transform(-scores), -expected, atol=1e-9)


def test_unknown():
    with pytest.raises(InputError, match="unknown targets 'rank-norm'; did you mean 'rank-normal'"):
        get_transform("rank-norm")


def test_compressed_by_hand():
    values = get_transform("compressed")(np.array([1.0, 0.0, -1.0, -4.0 * np.e**2]))
    # median -0.5, so that the bound is 6 below it
    bound, depth = -6.5, (4 * np.e**2 - 0.5) / 6
    expected = np.array([1.0, 0.0, -1.0, bound - 6 * np.log(depth)])
    np.testing.assert_allclose(values, (expected - expected.mean()) / expected.std())


@given(scores)
def test_compressed_is_standard_without_a_tail(scores):
    best, middle = scores.max(), np.median(scores)
    short = np.maximum(scores, middle - 4 * (best - middle))
    np.testing.assert_allclose(
        get_transform("compressed")(short), get_transform("standard")(short), atol=1e-9
    )


def test_the_way_back_leads_through_the_labels() -> None:
    scores = np.array([10.0, 84.0, 90.0, 91.0, 91.5])
    targets = compressed(scores)
    scale = Scale.through(targets, scores)
    np.testing.assert_allclose(scale(targets), scores)
    assert scale(targets[-1:] + 1)[0] > 91.5  # on beyond the best
    assert scale(targets[:1] - 1)[0] < 10
    tied = Scale.through(np.array([0.0, 0.0, 1.0]), np.array([3.0, 3.0, 4.0]))
    np.testing.assert_allclose(tied(np.array([0.0, 0.5, 2.0])), [3.0, 3.5, 5.0])
    one = Scale.through(np.zeros(1), np.array([7.0]))
    np.testing.assert_allclose(one(np.array([-1.0, 0.0, 1.0])), [6.0, 7.0, 8.0])


@pytest.mark.parametrize("level", [-3.0, 1.5, 3.9, 4.0, 9.0])
def test_expected_excess_by_integration(level: float) -> None:
    scale = Scale(np.array([-1.0, 0.0, 2.0]), np.array([1.0, 3.0, 4.0]))
    mean, std = 0.4, 1.3
    grid = np.linspace(mean - 10 * std, mean + 10 * std, 400_001)
    density = np.exp(-0.5 * ((grid - mean) / std) ** 2) / (std * np.sqrt(2 * np.pi))
    expected = (np.maximum(scale(grid) - level, 0) * density).sum() * (grid[1] - grid[0])
    found = scale.expected_excess(np.array([mean]), np.array([std]), np.array([level, 0.0]))
    assert found[0, 0] == pytest.approx(expected, rel=1e-6)
    known = scale.expected_excess(np.array([mean]), np.zeros(1), np.array([level]))
    assert known[0, 0] == pytest.approx(max(scale(np.array([mean]))[0] - level, 0.0), abs=1e-9)
