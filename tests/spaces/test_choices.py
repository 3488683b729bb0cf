"""Spaces of choices, and choices that exist only where others have certain values."""

from __future__ import annotations

import dataclasses
import decimal
import functools
import itertools
import os
import subprocess
import sys
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import weaknas
from weaknas.errors import InputError
from weaknas.evaluators import TabularBenchmark
from weaknas.search.presets import default_encoder
from weaknas.spaces import ChoiceSpace, ConstrainedSpace, PerArchitecture, SubsetSpace, SumOfChoices
from weaknas.testing import space_checks

CHAIN = ChoiceSpace(
    {
        "width1": [8, 16, 32],
        "layer1": ["skip", "conv3", "conv5"],
        "layer2": ["skip", "conv3", "conv5"],
        "groups1": [1, 2, 4],
        "shuffle": ["no", "yes"],
    },
    name="chain",
    conditions={
        "width1": {"layer1": ["conv3", "conv5"]},
        "groups1": {"layer1": "conv3"},
        "shuffle": {"groups1": [2, 4], "layer2": ["conv3", "conv5"]},
    },
)


def active_values(space: ChoiceSpace, choice: dict[str, str]) -> frozenset[tuple[str, str]]:
    """The values that exist, by following the conditions from the definition."""
    conditions = space.describe().get("conditions", {})

    def exists(name: str) -> bool:
        needed = conditions.get(name, {})
        return all(exists(other) and choice[other] in allowed for other, allowed in needed.items())

    return frozenset((name, value) for name, value in choice.items() if exists(name))


def distinct(space: ChoiceSpace) -> set[frozenset[tuple[str, str]]]:
    choices = space.describe()["choices"]
    products = itertools.product(*choices.values())
    return {active_values(space, dict(zip(choices, row, strict=True))) for row in products}


def reference(row: np.ndarray) -> frozenset[tuple[str, str]]:
    values = zip(CHAIN.variables, CHAIN.choices, row, strict=True)
    return active_values(CHAIN, {name: str(choices[index]) for name, choices, index in values})


@pytest.mark.parametrize("check", space_checks(CHAIN, reference=reference), ids=str)
def test_promises_with_conditions(check: Any) -> None:
    check()


@pytest.mark.parametrize(("count", "kind"), [(2**15, np.int16), (2**15 + 1, np.int32)])
def test_genotypes_are_as_wide_as_needed(count: int, kind: type) -> None:
    space = ChoiceSpace({"rate": range(count), "b": [1, 2]}, conditions={"b": {"rate": count - 1}})
    last = space.parse(f"rate={count - 1},b=2")
    assert last.dtype == space.genotype_dtype == kind
    assert space.decode(last) == {"rate": count - 1, "b": 2}
    rng = np.random.default_rng(0)
    rows = space.sample(2000, rng)
    assert rows[:, 0].min() >= 0
    assert rows[:, 0].max() > 0.99 * count
    members = SubsetSpace(space, rows)
    assert ConstrainedSpace(space, "rate>=100", {"rate": lambda r: r[:, 0]}).size == count - 99
    for moved in (
        space.mutate(rows, rng),
        space.crossover(rows, rows[::-1], rng),
        space.enumerate(),
        space.neighbors(last),
        members.enumerate(),
        space.genotypes(space.architectures(rows[:5])),
    ):
        assert moved.dtype == kind
        assert space.contains(moved).all()


@pytest.mark.parametrize(
    "name", ["weaknas", "local-search", "regularized-evolution", "optuna-tpe", "reinforce"]
)
def test_strategies_search_wide_spaces(name: str) -> None:
    space = ChoiceSpace({"rate": range(40_000), "b": [1, 2]})
    strategy = weaknas.get_strategy(name, space, seed=1)
    result = weaknas.run(strategy, lambda architecture: float(architecture.genotype[0]), 12)
    assert {trial.score for trial in result.trials} == {
        float(space.decode(trial.architecture)["rate"]) for trial in result.trials
    }
    assert max(result.trials.genotypes[:, 0]) >= 2**15


def test_messages_do_not_list_thousands_of_values() -> None:
    space = ChoiceSpace({"rate": range(40_000)})
    with pytest.raises(
        InputError, match=r"'40001'; did you mean .*39 and 39,960 others\)"
    ) as caught:
        space.parse("rate=40001")
    assert len(str(caught.value)) < 400


@pytest.mark.slow
def test_conditions_in_a_long_chain() -> None:
    """Each level of a ladder depends on both choices of the one before."""
    names = [f"{side}{level}" for level in range(250) for side in "ab"]
    conditions = {
        f"{side}{level}": {f"a{level - 1}": ["x"], f"b{level - 1}": ["x"]}
        for level in range(1, 250)
        for side in "ab"
    }
    space = ChoiceSpace(
        {name: ["x"] for name in names} | {"last": ["y", "z"]},
        conditions=conditions | {"last": {"a249": ["x"]}},
    )
    assert space.size == 2
    assert len(space.decode(space.enumerate()[1])) == 501


# -- values -------------------------------------------------------------------------------------


class Block:
    """An object with a text of its own."""

    def __init__(self, width: int) -> None:
        self.width = width

    def __repr__(self) -> str:
        return f"Block(width={self.width},\n  bias=True)"


def relu(x: float) -> float:
    return max(x, 0.0)


OBJECTS: dict[str, Any] = {
    "kernel": [(1, 1), (3, 3), (3, (5, 1))],
    "stages": [[2, 2], [3, 4, 6]],
    "block": [Block(8), Block(16)],
    "act": {"relu": relu, "twice": lambda x: 2 * x, "none": None},
    "size": {"small": 16, "large": 64, "huge": 256},
    "kind": [float, int],
    "text": ["a,b", "lr=3", "()"],
    "flag": [True, False, None],
    "rate": [0.1, 1e-4, np.float64(2.5)],
}


def test_choices_may_be_objects() -> None:
    space = ChoiceSpace(OBJECTS)
    for row in space.sample(200, np.random.default_rng(0)):
        text, decoded = space.format(row), space.decode(row)
        np.testing.assert_array_equal(space.parse(text), row)
        np.testing.assert_array_equal(space.encode(decoded), row)
        for name, value in decoded.items():
            allowed = OBJECTS[name]
            allowed = allowed.values() if isinstance(allowed, dict) else allowed
            assert any(value is own for own in allowed)
    assert space.ordered.tolist() == [name == "size" for name in OBJECTS]
    assert space.texts[2] == ("Block(width=8, bias=True)", "Block(width=16, bias=True)")


@pytest.mark.parametrize("check", space_checks(ChoiceSpace({**OBJECTS, "act": [1, 2]})), ids=str)
def test_promises_of_objects(check: Any) -> None:
    check()


def test_objects_are_the_same_in_another_process() -> None:
    """As a search that is continued needs them: text, order and description."""
    code = (
        "import json, torch, weaknas;"
        "from torch import nn;"
        "space = weaknas.ChoiceSpace({'k': [(1, 1), ('a', 3)], 'm': [nn.ReLU(), nn.Linear(2, 3)],"
        " 'f': {'relu': torch.relu, 'other': lambda x: x}});"
        "print(json.dumps(space.describe()), [space.format(row) for row in space.enumerate()])"
    )
    pytest.importorskip("torch")
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1
    assert "m=Linear(in_features=2, out_features=3, bias=True),f=relu" in seen.pop()


@dataclasses.dataclass(frozen=True)
class Holding:
    """A choice whose text shows what it holds."""

    parts: frozenset[str]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"a": {1, 2}}, "'a' are a set, whose order differs"),
        ({"a": frozenset("xy")}, "'a' are a set"),
        ({"a": [1, ({"x", "y"}, 2)]}, "a choice of 'a' holds a set"),
        ({"a": [Holding(frozenset("xy")), 1]}, "a choice of 'a' holds a set"),
        ({"a": [functools.partial(max, {"x", "y"}), 1]}, "a choice of 'a' holds a set"),
        ({"a": [{"k": frozenset("xy")}, 1]}, "a choice of 'a' holds a set"),
        ({"a": [relu, 1]}, "is told by its address.*name it: {'a': {'a name': the object"),
        ({"a": [lambda x: x, 1]}, "is told by its address"),
        ({"a": [object(), 1]}, "is told by its address"),
        ({"a": [(1, relu), 1]}, "is told by its address"),
        ({"a": [functools.partial(relu), 1]}, "is told by its address"),
        ({"a": {1: relu, 2: max}}, "names of the choices of 'a' must be texts"),
        ({"a": [" x", "x"]}, "begins or ends with a blank"),
        ({"a": ["x\t", "y"]}, "begins or ends with a blank"),
        ({"a": ["x\ny", "y"]}, "several lines"),
        ({" a": [1, 2]}, "no blank at its ends: ' a'"),
        ({"a,b": [1, 2]}, "has no ','"),
        ({"a=": [1, 2]}, "has no ','"),
        ({"": [1, 2]}, "has no ','"),
        ({1: [1, 2], "1": [1, 2]}, "named twice: 1, 1"),
        ({"a": ["x", "y,b =3"], "b": [1, 2]}, "'y,b =3' of 'a' reads like another choice"),
        ({"a": ["x", "x"]}, "empty or repeat: x, x"),
        ({"a": [1, "1"]}, "empty or repeat: 1, 1"),
        ({"a": []}, "empty or repeat"),
        ({"a": "conv"}, "must be a list of values, not 'conv'"),
        ({"a": 3}, "must be a list of values, not 3"),
        ({"a": range(10**9)}, "'a' has more than 1,000,000 choices"),
        ({"a": itertools.count()}, "'a' has more than 1,000,000 choices"),
        ({"a": [10**5000, 1]}, "a int that has no text"),
        ({"a": [functools.reduce(lambda x, _: (x,), range(50), 1), 1]}, "more than 20 deep"),
        ([("a", [1, 2])], "needs a mapping"),
        ({}, "needs a mapping of at least one choice"),
    ],
    ids=itertools.count(),
)
def test_choices_that_are_none_are_refused(choices: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        ChoiceSpace(choices)
    assert "\n" not in str(caught.value)


def test_dictionaries_and_their_views_are_lists_of_choices() -> None:
    names = {"b": 1, "a": 2}
    assert ChoiceSpace({"x": names.keys()}).texts == (("b", "a"),)
    assert ChoiceSpace({"x": np.array([2, 4, 8])}).ordered.all()


VALUES: list[tuple[list[Any], Any, Any]] = [
    ([1, 2], 1.0, 1),
    ([1, 2], "1.0", 1),
    ([1.0, 2.0], 1, 1.0),
    ([1.0, 2.0], "1", 1.0),
    ([1.0, 2.0], np.int8(2), 2.0),
    ([1e-4, 0.1], "0.0001", 1e-4),
    ([1e-4, 0.1], "1e-4", 1e-4),
    ([0.1, 0.2], np.float32(0.1), 0.1),
    ([0.1, 0.2], float(np.float32(0.1)), 0.1),
    ([0.1, 0.2], float(np.float16(0.1)), 0.1),
    ([0.1, 0.2], decimal.Decimal("0.1"), 0.1),
    ([True, False], "true", True),
    ([True, False], "TRUE", True),
    ([True, False], np.True_, True),
    (["true", "false"], True, "true"),
    (["1", "2"], 2.0, "2"),
    ([(1, 1), (3, 3)], [3, 3], (3, 3)),
    ([(1, 1), (3, 3)], np.array([3, 3]), (3, 3)),
    ([(1, 1), (3, 3)], "(3,3)", (3, 3)),
    ([(1, 1), (3, 3)], [3.0, "3"], (3, 3)),
    ([("conv", 3), ("pool", 3)], ["pool", 3], ("pool", 3)),
    ([[1], [2]], (2,), [2]),
    ([1, True], True, True),
    ([1, True], 1, 1),
    ([None, "x"], None, None),
]


@pytest.mark.parametrize(("values", "given", "meant"), VALUES, ids=itertools.count())
def test_values_are_told_as_tables_hold_them(values: list[Any], given: Any, meant: Any) -> None:
    space = ChoiceSpace({"a": values})
    found = space.decode(space.encode({"a": given}))["a"]
    assert (type(found), found) == (type(meant), meant)


@pytest.mark.parametrize(
    ("values", "given"),
    [
        ([1, 2], True),
        ([1, 2], 1.5),
        ([1, 2], float("nan")),
        ([1, 2], 10**400),
        ([1, 2], 10**5000),
        ([1, 2], relu),
        ([0.1, 0.10000000149011612 + 1e-12], 0.0999755859375),  # which of them?
        ([2049, 7], 2048.0),  # not the half precision of 2049
        ([(1, 1)], "(1, 1"),
        ([(1, 1)], "(" * 5000),
        (["01", "1.00"], 1),  # which of them?
        ([True], "yes"),
    ],
    ids=itertools.count(),
)
def test_values_that_are_not_meant_are_refused(values: list[Any], given: Any) -> None:
    with pytest.raises(InputError, match="unknown value of 'a'"):
        ChoiceSpace({"a": values}).encode({"a": given})


def test_conditions_name_objects() -> None:
    choices = {"act": {"relu": relu, "max": max}, "kernel": [(1, 1), (3, 3)], "pad": [0, 1]}
    for needed in ((3, 3), [(3, 3)], "(3, 3)", [[3, 3]], {(3, 3)}):
        space = ChoiceSpace(choices, conditions={"pad": {"kernel": needed, "act": relu}})
        assert space.size == 5
        assert space.describe()["conditions"] == {"pad": {"kernel": ["(3, 3)"], "act": ["relu"]}}


def test_every_architecture_is_listed_once() -> None:
    expected = distinct(CHAIN)
    listed = {
        frozenset((k, str(v)) for k, v in CHAIN.decode(row).items()) for row in CHAIN.enumerate()
    }
    assert listed == expected
    # skip: 3; conv5: 3 * 3; conv3: 3 widths * (3 * 3 groups, two of three doubled twice)
    assert CHAIN.size == len(expected) == len(CHAIN.enumerate()) == 3 + 9 + 3 * (9 + 2 * 2)


def test_what_does_not_exist_is_absent() -> None:
    row = np.array([2, 0, 1, 2, 1], dtype=np.int16)
    assert CHAIN.format(row) == "layer1=skip,layer2=conv3"
    assert CHAIN.decode(row) == {"layer1": "skip", "layer2": "conv3"}
    assert CHAIN.canonicalize(row[None]).tolist() == [[0, 0, 1, 0, 0]]
    assert CHAIN.parse("layer2=conv3,layer1=skip").tolist() == [0, 0, 1, 0, 0]
    assert CHAIN.contains(row[None]).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"layer1": "skip", "layer2": "skip", "width1": 8},
            "exists only where layer1 is conv3 or conv5",
        ),
        ({"layer1": "conv5", "layer2": "skip"}, "no value for width1"),
        ({"layer1": "conv7", "layer2": "skip"}, "did you mean 'conv"),
        ({"layer3": "skip"}, "unknown choice of the space 'chain' 'layer3'"),
    ],
)
def test_wrong_values_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        CHAIN.encode(values)


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"a": {"b": [1]}, "b": {"a": [1]}}, "in a circle: (a -> b -> a|b -> a -> b)"),
        ({"a": {"a": [1]}}, "in a circle: a -> a"),
        ({"c": {"a": [1]}}, "unknown choice with a condition 'c'"),
        ({"a": {"c": [1]}}, "unknown choice in the condition of 'a' 'c'"),
        ({"a": {"b": [3]}}, "unknown value of 'b' in the condition of 'a' '3'"),
        ({"a": {"b": []}}, "'a' never exists"),
        ({"a": ["b"]}, "maps other choices"),
    ],
)
def test_wrong_conditions_are_refused(conditions: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ChoiceSpace({"a": [1, 2], "b": [1, 2]}, conditions=conditions)


def test_large_conditional_spaces_are_counted_and_drawn_exactly() -> None:
    choices: dict[str, list[Any]] = {}
    conditions = {}
    for i in range(30):
        choices |= {f"op{i}": ["skip", "conv"], f"width{i}": [8, 16, 32]}
        conditions[f"width{i}"] = {f"op{i}": ["conv"]}
    space = ChoiceSpace(choices, conditions=conditions)
    assert space.size == 4**30  # skip, or conv of one of three widths
    rows = space.sample(20_000, np.random.default_rng(0))
    share = (rows[:, ::2] == 0).mean(axis=0)
    assert abs(share - 0.25).max() < 5 * np.sqrt(0.25 * 0.75 / 20_000)
    for check in space_checks(space):
        check()


def test_too_many_combinations_are_refused() -> None:
    choices = {f"a{i}": list(range(9)) for i in range(8)} | {"b": [1, 2]}
    with pytest.raises(InputError, match="tie 8 choices with more than 1000000 combinations"):
        ChoiceSpace(choices, conditions={"b": {f"a{i}": [0, 1] for i in range(8)}})


def test_tables_leave_cells_of_absent_choices_empty() -> None:
    space = ChoiceSpace(
        {"op": ["skip", "conv"], "width": [8, 16, 32]}, conditions={"width": {"op": "conv"}}
    )
    table = {
        "op": ["skip", "conv", "conv", "conv"],
        "width": [float("nan"), 8.0, 16.0, 32.0],
        "score": [0.1, 0.2, 0.3, 0.4],
    }
    benchmark = TabularBenchmark(space, table)
    assert benchmark.optimum().architecture.text == "op=conv,width=32"
    assert benchmark.evaluate(space.architecture("op=skip"), seed=0).score == 0.1


def test_what_a_mutation_brings_up_is_drawn() -> None:
    space = ChoiceSpace(
        {"op": ["skip", "conv"], "width": [8, 16, 32]}, conditions={"width": {"op": "conv"}}
    )
    skip = np.repeat(space.parse("op=skip")[None], 3000, axis=0)
    children = space.mutate(skip, np.random.default_rng(0))
    assert (children[:, 0] == 1).all()
    counts = np.bincount(children[:, 1], minlength=3)
    assert abs(counts - 1000).max() < 150


@st.composite
def _conditional_spaces(draw: st.DrawFn) -> ChoiceSpace:
    names = [f"c{i}" for i in range(draw(st.integers(1, 5)))]
    counts = {name: draw(st.integers(1, 3)) for name in names}
    conditions: dict[str, dict[str, list[int]]] = {}
    for index, name in enumerate(names):
        for other in names[:index]:
            if draw(st.integers(0, 3)) == 0:
                allowed = draw(st.sets(st.integers(0, counts[other] - 1), min_size=1))
                conditions.setdefault(name, {})[other] = sorted(allowed)
    order = draw(st.permutations(names))
    return ChoiceSpace({name: list(range(counts[name])) for name in order}, conditions=conditions)


@settings(max_examples=60, deadline=None)
@given(_conditional_spaces())
def test_any_conditions_follow_the_definition(space: ChoiceSpace) -> None:
    expected = distinct(space)
    rows = space.enumerate()
    assert space.size == len(rows) == len(expected)
    assert {
        frozenset((k, str(v)) for k, v in space.decode(row).items()) for row in rows
    } == expected
    assert np.array_equal(space.canonicalize(rows), rows)
    for row in rows:
        assert np.array_equal(space.parse(space.format(row)), row)


# -- costs ----------------------------------------------------------------------------------


def test_costs_are_limits_objectives_and_features_everywhere() -> None:
    calls: list[tuple[Any, ...]] = []

    def total(rows: Any) -> Any:
        return rows.sum(axis=1)

    def weight(values: dict[str, Any]) -> float:
        calls.append(tuple(values.values()))
        return 9.0 * values["width"] if values["op"] == "conv" else 0.0

    choices = {"op": ["skip", "conv"], "width": [8, 16, 32], "depth": [1, 2, 3]}
    costs = {"params": PerArchitecture(weight), "depth": lambda rows: rows[:, 2]}
    space = ChoiceSpace(choices, conditions={"width": {"op": "conv"}}, costs=costs)
    part = ConstrainedSpace(space, ["params<=144", "depth<=1"])
    assert {tuple(part.decode(row).values()) for row in part.enumerate()} == {
        *itertools.product(["skip"], [1, 2]),
        *itertools.product(["conv"], [8, 16], [1, 2]),
    }
    assert default_encoder(part) == "variables+one-hot+costs"
    search = weaknas.WeakNAS(part, objectives=["params"], seed=0)
    result = weaknas.run(search, lambda one: sum(one.genotype), budget=6)
    assert {trial.architecture.genotype for trial in result.trials} == set(
        map(tuple, part.enumerate().tolist())
    )
    assert len(calls) == len(set(calls)) == space.size  # once each, whoever asks
    other = ChoiceSpace(choices, conditions={"width": {"op": "conv"}}, costs={"params": total})
    assert space.describe()["costs"].keys() == {"params", "depth"}
    assert other.describe()["costs"]["params"] != space.describe()["costs"]["params"]


def test_a_slow_cost_is_named_and_what_is_no_number_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = itertools.count(step=0.5)
    monkeypatch.setattr("weaknas.spaces.choices.costs.time.perf_counter", lambda: next(clock))
    space = ChoiceSpace(
        {"width": range(30)},
        costs={"slow": PerArchitecture(lambda values: values["width"])},
    )
    with pytest.warns(RuntimeWarning, match="cost 'slow' takes 0.5 s an architecture") as caught:
        space.costs()["slow"](space.enumerate())
    assert len(caught) == 1
    clock = itertools.count(step=0.001)
    many = ChoiceSpace(
        {"a": range(200), "b": range(100)},
        costs={"long": PerArchitecture(lambda values: values["a"])},
    )
    with pytest.warns(
        RuntimeWarning, match=r"10 s for 10,\d+ of them.*SumOfChoices or a function of genotypes"
    ):
        many.costs()["long"](many.enumerate())
    wrong = ChoiceSpace({"width": [8, 16]}, costs={"w": PerArchitecture(lambda values: "wide")})
    for function in (len, lambda values: values["width"]):
        with pytest.raises(InputError, match=r"cost 'w' does not map .* as PerArchitecture"):
            ChoiceSpace({"width": [8, 16]}, costs={"w": function})
    with pytest.raises(InputError, match=r"cost 'w' of .'width': 8. is no number: 'wide'"):
        ConstrainedSpace(wrong, "w<=3")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda values: values["zz"], r"cost 'c' of {'a': 3} fails: KeyError: 'zz'"),
        (lambda values: 1 / (values["a"] - 4), r"of {'a': 4} fails: ZeroDivisionError: division"),
        (lambda values: 10**400, r"cost 'c' of {'a': 3} is no number: 10000"),
    ],
)
def test_a_cost_that_fails_is_named_with_the_architecture(function: Any, message: str) -> None:
    space = ChoiceSpace({"a": [3, 4]}, costs={"c": PerArchitecture(function)})
    with pytest.raises(InputError, match=message) as caught:
        ConstrainedSpace(space, "c<=3")
    assert "\n" not in str(caught.value)


def test_very_many_choices_may_depend_on_one() -> None:
    names = [f"x{i}" for i in range(400)]  # 10**400 of them: more than floats hold
    space = ChoiceSpace(
        {"switch": ["off", "on"], **dict.fromkeys(names, range(10))},
        conditions={name: {"switch": "on"} for name in names},
    )
    assert space.size == 10**400 + 1
    rows = space.sample(50, np.random.default_rng(0))
    assert (rows[:, 0] == 1).all()
    assert set(rows[:, 1:].ravel().tolist()) == set(range(10))
    assert len(set(space.canonical_ids(space.mutate(rows, np.random.default_rng(1))))) == 50


def test_prices_are_of_each_value_of_a_choice() -> None:
    choices = {"op": ["skip", "conv"], "width": [8, 16]}
    prices: Any = {"width": {"8": 1, "16": 2.5}}
    space = ChoiceSpace(
        choices, conditions={"width": {"op": "conv"}}, costs={"c": SumOfChoices(prices)}
    )
    assert space.costs()["c"](space.enumerate()).tolist() == [0, 1, 2.5]
    for prices, message in [
        ({"with": {}}, "choice in the cost 'c' 'with'; did you mean 'width'"),
        ({"width": {"8": 1}}, "'c' has a price of each value of 'width', 8, 16, not {'8': 1}"),
        ({"width": [1, 2]}, r"each value of 'width', 8, 16, not \[1, 2\]"),
        ({"width": {"8": 1, "16": "x"}}, "width 16 of the cost 'c' must be a number .* not 'x'"),
    ]:
        with pytest.raises(InputError, match=message):
            ChoiceSpace(choices, costs={"c": SumOfChoices(prices)})


@pytest.mark.parametrize("name", [None, 3, "", " ", "a\nb"])
def test_the_name_of_a_space_is_one_line(name):
    with pytest.raises(InputError, match="name of a space must be a text of one line"):
        ChoiceSpace({"a": [1, 2]}, name=name)


def test_a_long_chain_of_conditions_has_few_combinations():
    chain = {f"a{i}": {f"a{i - 1}": 1} for i in range(1, 40)}
    space = ChoiceSpace({f"a{i}": [0, 1] for i in range(40)}, conditions=chain)
    assert space.size == 41
    choices = {f"a{i}": [0, 1] for i in range(25)} | {"b": [0, 1]}
    with pytest.raises(InputError, match="more than 1000000 combinations"):
        ChoiceSpace(choices, conditions={"b": {f"a{i}": 1 for i in range(25)}})


@pytest.mark.parametrize(("low", "high"), [(1, 10**400), (0, 1e-321), (-1.7e308, 1.7e308)])
def test_bounds_that_floats_cannot_tell_apart_are_refused(low, high):
    with pytest.raises(InputError, match=r"no 64 steps|two finite bounds"):
        ChoiceSpace({"w": weaknas.number(low, high)})


def test_large_numbers_are_read_from_single_precision():
    space = ChoiceSpace({"x": weaknas.number(1, 1e10, log=True)})
    for value in space.choices[0]:
        assert space.decode(space.encode({"x": float(np.float32(value))}))["x"] == value
