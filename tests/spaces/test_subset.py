"""A part of a space stays inside itself and keeps the structure of the whole."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from weaknas.errors import InputError
from weaknas.spaces import ChoiceSpace, SubsetSpace
from weaknas.spaces.nasbench201 import NASBench201

WHOLE = NASBench201()
ROWS = WHOLE.sample(2000, np.random.default_rng(0))
PART = SubsetSpace(WHOLE, ROWS)
MEMBERS = set(WHOLE.fingerprint(ROWS).tolist())


def codes(rows):
    return set(WHOLE.fingerprint(rows).tolist())


def test_members_count_once():
    assert PART.size == len(MEMBERS) < 2000
    assert PART.is_listable
    assert codes(PART.enumerate()) == MEMBERS
    np.testing.assert_array_equal(PART.architecture_fingerprints, sorted(MEMBERS))


def test_contains_members_and_what_is_isomorphic_to_them():
    everything = WHOLE.enumerate()
    expected = np.isin(WHOLE.fingerprint(everything), list(MEMBERS))
    np.testing.assert_array_equal(PART.contains(everything), expected)
    assert not PART.contains(np.array([[0, 0, 0, 0, 0, 9]])).any()
    assert PART.contains(everything[:0]).shape == (0,)
    outside = everything[~expected][0]
    with pytest.raises(InputError, match="not in the space"):
        PART.architecture(outside)


def test_draws_and_moves_stay_inside():
    rng = np.random.default_rng(1)
    rows = PART.sample(1500, rng)
    for drawn in (rows, PART.mutate(rows, rng), PART.crossover(rows, rows[::-1], rng)):
        assert drawn.shape == rows.shape
        assert PART.contains(drawn).all()
    assert codes(PART.sample(60_000, rng)) == MEMBERS


def test_mutants_are_neighbours_where_there_are_any():
    rows = PART.enumerate()[:300]
    mutants = PART.mutate(rows, np.random.default_rng(2))
    close = ((mutants != rows).sum(axis=1) == 1).mean()
    assert close > 0.7  # the rest found no member in a few tries


def test_neighbors_are_those_of_the_whole_that_are_members():
    for row in PART.enumerate()[:100]:
        assert codes(PART.neighbors(row)) == codes(WHOLE.neighbors(row)) & MEMBERS


def test_alone():
    single = SubsetSpace(WHOLE, ROWS[:1])
    rng = np.random.default_rng(0)
    assert len(single.neighbors(ROWS[0])) == 0
    assert single.contains(single.mutate(ROWS[:1], rng)).all()


def test_the_rest_is_that_of_the_whole():
    assert PART.name == "nasbench201"
    assert PART.choices == WHOLE.choices
    np.testing.assert_array_equal(PART.parameters(ROWS), WHOLE.parameters(ROWS))
    assert PART.architectures(ROWS[:3]) == WHOLE.architectures(ROWS[:3])
    np.testing.assert_array_equal(PART.graphs(ROWS).adjacency, WHOLE.graphs(ROWS).adjacency)
    with pytest.raises(AttributeError):
        _ = PART.no_such_thing
    choices = ChoiceSpace({"a": ["x", "y"], "b": [1, 2]})
    part = SubsetSpace(choices, choices.enumerate()[:2])
    assert part.decode([0, 1]) == {"a": "x", "b": 2}


def test_two_parts_of_one_size_are_told_apart():
    first, second = (SubsetSpace(WHOLE, ROWS[rows]).describe() for rows in ([0, 1], [0, 2]))
    assert first["subset"] == second["subset"] == 2
    assert first != second
    assert SubsetSpace(WHOLE, ROWS[[1, 0]]).describe() == first


def test_members_cannot_be_changed_from_outside():
    PART.enumerate()[:] = 0
    assert codes(PART.enumerate()) == MEMBERS


def test_it_travels():
    copy = pickle.loads(pickle.dumps(PART))  # noqa: S301
    np.testing.assert_array_equal(copy.enumerate(), PART.enumerate())


def test_an_empty_part_is_refused():
    with pytest.raises(InputError, match="no architecture of the space 'nasbench201'"):
        SubsetSpace(WHOLE, ROWS[:0])


@pytest.mark.parametrize("rows", [[[5, 5], [0, 1]], [[65536, 0]]])
def test_what_is_not_in_the_whole_space_is_refused(rows):
    whole = ChoiceSpace({"a": [1, 2], "b": [1, 2]})
    with pytest.raises(InputError, match="is not in the space"):
        SubsetSpace(whole, np.array(rows))


def test_members_may_be_architectures():
    whole = ChoiceSpace({"a": [1, 2], "b": [1, 2]})
    rows = whole.enumerate()[:2]
    np.testing.assert_array_equal(SubsetSpace(whole, whole.architectures(rows)).enumerate(), rows)
