"""What every space inherits: identity, checks of input, drawing and moving."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaknas.errors import InputError
from weaknas.spaces import (
    Architecture,
    ChoiceSpace,
    SearchSpace,
    SubsetSpace,
    distinct,
    distinct_with_fingerprints,
)
from weaknas.spaces.mobilenetv3 import MobileNetV3
from weaknas.spaces.nasbench201 import NASBench201


class Product(SearchSpace):
    """The smallest space there can be: nothing but a product."""

    name = "product"

    def __init__(self, cardinalities):
        self.cardinalities = np.array(cardinalities)
        self.variables = tuple(f"x{i}" for i in range(len(cardinalities)))
        self.ordered = np.zeros(len(cardinalities), dtype=bool)

    def format(self, genotype):
        return "-".join(map(str, genotype))

    def parse(self, text):
        try:
            return np.array([int(part) for part in text.split("-")])
        except ValueError as error:
            raise InputError(f"malformed {text!r}") from error


SMALL = Product([3, 1, 12])
HUGE = Product([10] * 30)


# -- identity -------------------------------------------------------------------------------


def test_fingerprints_of_a_small_space_are_its_indices():
    np.testing.assert_array_equal(SMALL.fingerprint(SMALL.enumerate()), np.arange(36))
    assert SMALL.canonical_ids(np.array([[2, 0, 11]])) == ["2.0.11"]
    assert HUGE.canonical_ids(np.arange(30)[None] % 10) == ["0123456789" * 3]


def test_fingerprints_stay_exact_up_to_two_to_the_63():
    space = Product([2**9] * 7)  # just below: 2^63 genotypes need the hash, so one value less
    space.cardinalities[0] -= 1
    largest = np.array([space.cardinalities - 1])
    assert space.fingerprint(largest)[0] == (2**9 - 1) * 2**54 - 1
    close = np.repeat(largest, 2, axis=0)
    close[1, -1] -= 1
    assert np.diff(space.fingerprint(close)) == [-1]


def test_hashed_fingerprints_tell_architectures_apart():
    rows = np.unique(HUGE.sample(200_000, np.random.default_rng(0)), axis=0)
    near = HUGE.neighbors(rows[0])
    codes = HUGE.fingerprint(np.vstack([rows, near]))
    assert len(np.unique(codes)) == len(np.unique(np.vstack([rows, near]), axis=0))
    np.testing.assert_array_equal(codes[:5], HUGE.fingerprint(rows[:5]))
    # zeros in front must count too
    zeros = np.zeros((30, 30), dtype=np.int16)
    np.fill_diagonal(zeros, 1)
    assert len(np.unique(HUGE.fingerprint(zeros))) == 30


# -- size -----------------------------------------------------------------------------------


def test_a_space_that_is_too_large_is_not_listed():
    assert HUGE.size == 10**30
    assert not HUGE.is_listable
    for listing in (HUGE.enumerate, lambda: HUGE.architecture_fingerprints):
        with pytest.raises(InputError, match="sample it instead"):
            listing()


def test_enumeration():
    rows = SMALL.enumerate()
    assert rows.shape == (36, 3)
    assert [tuple(row) for row in rows.tolist()] == sorted(
        (a, 0, c) for a in range(3) for c in range(12)
    )


# -- input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        [0, 0],
        [0, 0, 0, 0],
        [0, 0, 12],
        [0, 0, -1],
        [0, 0, 65536],  # 0 as int16
        [0, 0, 2**40],
        [0.0, 0.0, 0.5],
        [0, 0, float("nan")],
        [0, 0, None],
        ["0", "0", "0"],
        [[0], [0], [0]],
        [0, [0, 1], 0],
        5,
        None,
        np.array([0, 0, 12], dtype=np.int8),
        "0-0",
        "0-0-99",
        "a-b-c",
    ],
    ids=repr,
)
def test_values_that_are_no_architecture(value):
    with pytest.raises(InputError) as caught:
        SMALL.genotypes([value])
    assert "\n" not in str(caught.value)


def test_values_that_are():
    architecture = SMALL.architecture([1, 0, 7])
    rows = SMALL.genotypes([architecture, "1-0-7", [1, 0, 7], (1, 0, 7), np.uint8([1, 0, 7])])
    assert rows.dtype == np.int16
    np.testing.assert_array_equal(rows, [[1, 0, 7]] * 5)
    assert SMALL.genotypes([]).shape == (0, 3)
    np.testing.assert_array_equal(SMALL.genotypes(SMALL.enumerate()), SMALL.enumerate())


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.int64, np.uint64])
def test_batches_of_integers(kind):
    batch = SMALL.enumerate().astype(kind)
    rows = SMALL.genotypes(batch)
    assert rows.dtype == np.int16
    np.testing.assert_array_equal(rows, SMALL.enumerate())
    assert not np.shares_memory(rows, batch)  # what is done to one leaves the other alone


@pytest.mark.parametrize(
    "batch",
    [
        np.array([[0, 0, 0], [0, 0, 65536]]),  # 0 as int16
        np.array([[0, 0, 0], [0, 0, 2**64 - 1]], dtype=np.uint64),  # -1 as int64
        np.array([[0, 0, 0], [0, -1, 0]], dtype=np.int8),
        np.zeros((2, 4), dtype=int),
        np.zeros((2, 3)),
        np.zeros((2, 3), dtype=bool),
        np.zeros((2, 3, 1), dtype=int),
        np.zeros(3, dtype=int),
    ],
    ids=lambda batch: f"{batch.dtype}-{batch.shape}",
)
def test_batches_that_are_no_architectures(batch):
    with pytest.raises(InputError):
        SMALL.genotypes(batch)


def test_architecture_of_another_space():
    with pytest.raises(InputError, match="of the space 'nasbench201', not of 'product'"):
        SMALL.genotypes([NASBench201().architecture([0] * 6)])


@pytest.mark.parametrize(
    ("space", "value"),
    [
        (ChoiceSpace({"a": [1, 2], "b": ["x", "y", "z"]}), {"a": 2, "b": "x"}),
        (MobileNetV3(), MobileNetV3().decode(np.zeros(45, dtype=int))),
    ],
    ids=["choices", "mobilenetv3"],
)
def test_all_forms_of_an_architecture_are_decoded(space, value):
    architecture = space.architecture(value)
    for form in (value, architecture, architecture.text, architecture.genotype):
        assert space.decode(form) == value
    for wrong in ([-1] * space.n_variables, NASBench201().architecture([0] * 6), "nothing"):
        with pytest.raises(InputError):
            space.decode(wrong)


def test_distinct_architectures():
    space = NASBench201()
    rows = space.sample(2000, np.random.default_rng(0))
    found, fingerprints = distinct_with_fingerprints(space, rows)
    assert len(set(fingerprints.tolist())) == len(found) < len(rows)
    assert set(fingerprints.tolist()) == set(space.fingerprint(rows).tolist())
    np.testing.assert_array_equal(space.fingerprint(found), fingerprints)
    np.testing.assert_array_equal(space.canonicalize(found), found)
    np.testing.assert_array_equal(found, distinct(space, rows))
    # In order of first appearance.
    again = distinct(space, np.vstack([found[3:4], found]))
    np.testing.assert_array_equal(again, np.vstack([found[3:4], found[:3], found[4:]]))
    np.testing.assert_array_equal(distinct(space, rows, other_than=rows[0]), found[1:])
    assert distinct(space, rows[:0]).shape == (0, 6)


def test_costs():
    assert Product((2, 3)).costs() == {}
    space = NASBench201()
    assert set(space.costs()) == {"macs", "params"}
    part = SubsetSpace(space, space.enumerate()[:4])
    assert part.costs()["macs"](part.enumerate()).tolist() == space.macs(part.enumerate()).tolist()


def test_no_graphs():
    assert not SMALL.has_graphs
    with pytest.raises(InputError, match="are not graphs"):
        SMALL.graphs(SMALL.enumerate())


# -- drawing and moving ---------------------------------------------------------------------


def test_moves_leave_single_choices_alone():
    rows = SMALL.mutate(np.zeros((1000, 3), dtype=np.int16), np.random.default_rng(0))
    assert ((rows != 0).sum(axis=1) == 1).all()
    assert (rows[:, 1] == 0).all()
    assert len(SMALL.neighbors(np.array([0, 0, 0]))) == 2 + 11
    single = Product([1, 1])
    only = np.zeros((4, 2), dtype=np.int16)
    np.testing.assert_array_equal(single.mutate(only, np.random.default_rng(0)), only)
    assert single.neighbors(only[0]).shape == (0, 2)


@given(st.integers(0, 2**32 - 1))
def test_moves_depend_on_the_generator_alone(seed):
    def moves():
        rng = np.random.default_rng(seed)
        first, second = HUGE.sample(5, rng), HUGE.sample(5, rng)
        return np.vstack([first, HUGE.mutate(first, rng), HUGE.crossover(first, second, rng)])

    state = np.random.get_state()[1].copy()  # noqa: NPY002
    np.testing.assert_array_equal(moves(), moves())
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


# -- architectures --------------------------------------------------------------------------


def test_architecture_is_a_value():
    one, other = NASBench201().architectures(np.array([[1, 2, 0, 3, 4, 1]] * 2))
    assert one == other
    assert len({one, other}) == 1
    assert str(one) == one.text
    assert pickle.loads(pickle.dumps(one)) == one  # noqa: S301
    assert json.loads(one.to_json())["genotype"] == [1, 2, 0, 3, 4, 1]
    with pytest.raises(AttributeError):
        one.id = "x"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "3",
        "{}",
        '{"space": "s", "genotype": [0], "id": "0"}',
        '{"space": "s", "genotype": 3, "id": "0", "text": "t"}',
        '{"space": "s", "genotype": ["x"], "id": "0", "text": "t"}',
    ],
)
def test_architecture_from_bad_json(line):
    with pytest.raises(InputError):
        Architecture.from_json(line)
