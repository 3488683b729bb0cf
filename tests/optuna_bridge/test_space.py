"""Parameters of Optuna and genotypes: there, back, and encoded."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

import weaknas
from weaknas.optuna_bridge.space import (
    GRID,
    ParameterEncoder,
    Parameters,
    ParameterSpace,
    distributions,
    levels,
)

pytestmark = pytest.mark.filterwarnings("ignore:The distribution is specified by")

numbers = st.one_of(
    st.builds(
        lambda low, width, step: IntDistribution(low, low + width * step, step=step),
        st.integers(-1000, 1000), st.integers(0, 3000), st.integers(1, 5),
    ),
    st.builds(
        lambda low, width: IntDistribution(low, low + width, log=True),
        st.integers(1, 100), st.integers(0, 10**6),
    ),
    st.builds(
        lambda low, width: FloatDistribution(low, low + width),
        st.floats(-1e3, 1e3), st.floats(0, 1e3),
    ),
    st.builds(
        lambda low, times: FloatDistribution(low, low * times, log=True),
        st.floats(1e-9, 1e3), st.floats(1, 1e6),
    ),
    st.builds(
        lambda low, count, step: FloatDistribution(low, low + count * step, step=step),
        st.integers(-100, 100), st.integers(0, 3000), st.sampled_from([0.1, 0.25, 0.3, 1.0]),
    ),
)  # fmt: skip


@given(numbers)
@settings(deadline=None)
def test_levels_are_values_of_the_distribution_from_end_to_end(distribution):
    values = levels(distribution)
    assert len(values) <= GRID
    assert all(a < b for a, b in itertools.pairwise(values))
    assert all(distribution._contains(distribution.to_internal_repr(v)) for v in values)
    assert values[0] == distribution.low
    assert values[-1] == pytest.approx(distribution.high)
    kind = int if isinstance(distribution, IntDistribution) else float
    assert {type(value) for value in values} == {kind}


@given(numbers, st.integers(0, 2**32))
@settings(deadline=None)
def test_values_and_genotypes_convert_there_and_back(distribution, seed):
    made = {"n": distribution, "kind, of=a": CategoricalDistribution(["a,b", None, 1.5])}
    space = ParameterSpace(made)
    parameters = Parameters(space, made)
    for row in space.sample(5, np.random.default_rng(seed)):
        params = parameters.params(row)
        assert params["kind, of=a"] in ("a,b", None, 1.5)
        np.testing.assert_array_equal(parameters.genotype(params), row)
    assert parameters.genotype({"n": distribution.low}) is None


def test_mutation_moves_one_parameter_often_only_a_little():
    made = {"x": FloatDistribution(0, 1), "n": IntDistribution(1, 9)}
    space = ParameterSpace(made | {"k": CategoricalDistribution("abcd")})
    rng = np.random.default_rng(0)
    rows = space.sample(4000, rng)
    moved = space.mutate(rows, rng)
    assert space.contains(moved).all()
    assert ((moved != rows).sum(axis=1) == 1).all()
    steps = np.abs(moved - rows)[:, 0]
    steps = steps[steps > 0] / GRID
    assert 0.2 < (steps < 0.03).mean() < 0.6
    assert (steps > 0.3).mean() > 0.2


def test_every_registered_space_can_be_suggested():
    for name in weaknas.list_spaces():
        space = weaknas.get_space(name)
        made = distributions(space)
        assert tuple(made) == space.variables
        row = space.sample(1, np.random.default_rng(0))
        parameters = Parameters(space, made)
        genotype = parameters.genotype(parameters.params(row[0]))
        np.testing.assert_array_equal(genotype, space.canonicalize(row)[0])


def test_encoding_by_hand():
    space = ParameterSpace(
        {
            "a": CategoricalDistribution("xy"),
            "n": IntDistribution(1, 100, log=True),
            "b": CategoricalDistribution("xy"),
            "c": CategoricalDistribution("pqr"),
        }
    )
    encoder = ParameterEncoder(space)
    one = [1, 0, 0.5, 0, 1, 0, 0, 1]  # x, 10, y, r
    two = [0, 1, 1.0, 0, 1, 1, 0, 0]  # y, 100, y, p
    np.testing.assert_allclose(
        encoder.transform(np.array([[0, 9, 1, 2], [1, 99, 1, 0]])),
        [[*one, *one, 1, 1], [*two, *two, 0, 2]],
    )
    widths = [group.stop - group.start for group in encoder.groups]
    assert widths == [2, 1, 2, 3, 8, 2]
    assert [group.start for group in encoder.groups] == [0, 2, 3, 5, 8, 16]


def test_values_of_another_study_are_in_no_space():
    made = {"c": CategoricalDistribution([1, "x"]), "w": FloatDistribution(0.0, 1.0)}
    parameters = Parameters(ParameterSpace(made), made)
    assert parameters.genotype({"c": "z", "w": 0.5}) is None
    assert parameters.genotype({"c": 1, "w": "bad"}) is None
    # A journal knows the texts of categories alone.
    np.testing.assert_array_equal(
        parameters.genotype({"c": "1", "w": 0.5}), parameters.genotype({"c": 1, "w": 0.5})
    )


def test_a_wide_range_of_whole_numbers_is_not_written_out():
    found = levels(IntDistribution(0, 2**62))
    assert len(found) == GRID
    assert (found[0], found[-1]) == (0, 2**62)
