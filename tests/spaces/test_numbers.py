"""Numbers between bounds, decided beside choices."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weaknas
from weaknas import ChoiceSpace, InputError
from weaknas.encoders import OneHotEncoder, VariablesEncoder
from weaknas.spaces.choices.numbers import STEPS
from weaknas.testing.spaces import space_checks

SPACE = ChoiceSpace(
    {
        "op": ["skip", "conv3", "conv5"],
        "rate": weaknas.number(1e-4, 1e-1, log=True),
        "dropout": weaknas.number(0, 0.5),
    },
    conditions={"dropout": {"op": ["conv3", "conv5"]}},
)


@pytest.mark.parametrize("check", space_checks(SPACE), ids=str)
def test_promises(check: Any) -> None:
    check()


def test_grids_are_even_from_bound_to_bound() -> None:
    rates, dropouts = map(np.array, SPACE.choices[1:])
    assert len(rates) == len(dropouts) == STEPS + 1 == 65
    assert (rates[0], rates[-1], dropouts[0], dropouts[-1]) == (1e-4, 1e-1, 0, 0.5)
    np.testing.assert_allclose(np.diff(np.log(rates)), math.log(1000) / STEPS, rtol=0.02)
    np.testing.assert_allclose(np.diff(dropouts), 0.5 / STEPS, rtol=0.02)
    assert SPACE.size == 65 * (1 + 2 * 65)
    assert SPACE.ordered.tolist() == [False, True, True]
    # short to read, and the same when read again
    assert max(len(text) for text in SPACE.texts[1]) <= 9
    assert weaknas.number(-3, 1e9).values[0] == -3.0


def test_encoders_see_a_position_or_where_it_is_not_65_columns() -> None:
    rows = SPACE.genotypes(["op=conv3,rate=0.0001,dropout=0.0", "op=conv3,rate=0.1,dropout=0.25"])
    assert VariablesEncoder(SPACE).transform(rows)[:, 3:].tolist() == [[0, 0], [1, 0.5]]
    columns = OneHotEncoder(SPACE).transform(rows)[:, 3:].reshape(2, 2, 9)
    assert columns.argmax(axis=2).tolist() == [[0, 0], [8, 4]]
    assert columns.sum() == 4


def test_few_decisions_that_are_too_many_to_list_are_proposed_two_at_a_time() -> None:
    numbers = {f"x{i}": weaknas.number(0, 1) for i in range(4)}
    assert weaknas.WeakNAS(ChoiceSpace(numbers)).batch_size == 2
    assert weaknas.WeakNAS(ChoiceSpace({f"x{i}": [1, 2, 3] for i in range(30)})).batch_size == 5


def test_a_search_decides_numbers_and_choices_together() -> None:
    """An optimum that no choice and no number has alone."""

    def score(architecture: Any) -> float:
        values = SPACE.decode(architecture)
        best = {"skip": -3.5, "conv3": -2.0, "conv5": -2.5}[values["op"]]
        distance = abs(math.log10(values["rate"]) - best) + abs(values.get("dropout", 0.5) - 0.2)
        return -distance

    result = weaknas.run(weaknas.WeakNAS(SPACE, seed=0), score, budget=40)
    assert result.best.score > -0.1
    assert SPACE.decode(result.best.architecture)["op"] != "skip"


def test_numbers_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    head = '[choices]\nop = ["a", "b"]\n'
    path.write_text(head + "rate = { low = 1e-4, high = 1e-1, log = true }\n")
    assert weaknas.get_space(str(path)).choices[1] == weaknas.number(1e-4, 1e-1, True).values
    for line, message in [
        (
            "rate = { low = 1e-4 }",
            "'rate' needs values, or as a number low and high.* given are low",
        ),
        ("rate = { low = 1, high = 2, step = 1 }", "unknown key of 'rate' 'step'"),
        ("rate = { low = 2, high = 1 }", "two finite bounds, the lower first, not 2 and 1"),
        ("rate = 3", "or a number: { low"),
    ]:
        path.write_text(head + line)
        with pytest.raises(InputError, match=message):
            weaknas.get_space(str(path))


def test_values_between_the_steps_are_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"0.0003 of 'rate' is not on its grid .* is 0.0002943$"):
        SPACE.architecture("op=skip,rate=0.0003")
    with pytest.raises(InputError, match="unknown value of 'rate' 'high'"):
        SPACE.architecture("op=skip,rate=high")


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ((1, 1), "the lower first"),
        ((0, math.inf), "two finite bounds"),
        ((True, 2), "two finite bounds"),
        (("a", 2), "two finite bounds"),
        ((0, 1, True), "is above 0; its lower bound is 0"),
        ((0, 1, "yes"), "log of a number is True or False"),
        ((1.0, 1.0 + 1e-15), "no 64 steps"),
    ],
)
def test_bounds_that_are_none_are_refused(bounds: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ChoiceSpace({"a": weaknas.number(*bounds)})
