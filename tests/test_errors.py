"""Numbers out of bounds are refused in one line, whatever their size or kind."""

from __future__ import annotations

import numpy as np
import pytest

from weaknas.errors import InputError, check_list, check_number, check_seed, check_whole, unknown


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0, "x must be at least 1, not 0"),
        (-(10**20), "x must be at least 1, not -100000000000000000000"),
        (101, "x must be at most 100, not 101"),
        pytest.param(10**5000, "x must be at most 100, not a int", id="huge"),
        (1.0, "x must be a whole number of at least 1, not 1.0"),
        (True, "x must be a whole number of at least 1, not True"),
        ("3", "x must be a whole number of at least 1, not '3'"),
        (float("nan"), "x must be a whole number of at least 1, not nan"),
    ],
)
def test_whole_numbers(value: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        check_whole("x", value, 1, 100)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "value",
    [0, -1.5, 101, float("nan"), float("inf"), False, "1", pytest.param(10**5000, id="huge")],
)
def test_numbers(value: object) -> None:
    with pytest.raises(
        InputError, match="x must be a number above 0 and at most 100, not "
    ) as caught:
        check_number("x", value, above=0, most=100)
    assert len(str(caught.value)) < 100


def test_numbers_of_numpy_are_numbers() -> None:
    assert type(check_whole("x", np.int64(3))) is int
    assert type(check_number("x", np.float32(0.5))) is float
    check_seed(np.uint8(0))


def test_seeds_are_those_that_numpy_and_torch_take() -> None:
    check_seed(2**63 - 1)
    for seed in (-1, 2**63, None, 1.5):
        with pytest.raises(InputError):
            check_seed(seed)


def test_lists_are_no_texts_and_no_single_values() -> None:
    check_list("x", (1, 2))
    check_list("x", np.arange(3))
    for value in (3, "abc", None):
        with pytest.raises(InputError, match="x must be a list of values"):
            check_list("x", value)


def test_of_a_long_name_the_beginning_is_shown() -> None:
    assert len(str(unknown("space", "x" * 100_000, ["y"]))) < 600
