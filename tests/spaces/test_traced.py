"""Choices marked in code: what is found, what is built, and what is refused."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import numpy as np
import pytest

import weaknas
from weaknas import InputError, choose, number, repeat
from weaknas.spaces import ConstrainedSpace
from weaknas.testing.spaces import space_checks


def network() -> list[Any]:
    """Two stages of layers, of which one kind has a kernel; an activation for all."""
    layers: list[Any] = [choose("act", [max, min], share=True)]
    for _ in range(2):
        for _ in repeat("depth", 1, 3):
            layers.append(choose("op", {"conv": 1, "pool": 2, "skip": 3}))
            if layers[-1] == 1:
                layers.append(choose("kernel", [3, 5, 7]))
            choose("act", [max, min], share=True)
    return [*layers, number("dropout", 0, 0.5)]


SPACE = weaknas.trace(network, name="mine")


@pytest.mark.parametrize(
    "check", [one for one in space_checks(SPACE) if not one.name.startswith("networks")], ids=str
)
def test_promises(check: Any) -> None:
    check()


def test_names_conditions_and_size() -> None:
    stage = ["depth", "op", "kernel", "op_2", "kernel_2", "op_3", "kernel_3"]
    second = ["depth_2", "op_4", "kernel_4", "op_5", "kernel_5", "op_6", "kernel_6"]
    assert list(SPACE.variables) == ["act", *stage, *second, "dropout"]
    layer = 3 + 1 + 1
    assert SPACE.size == 2 * (layer + layer**2 + layer**3) ** 2 * 65
    described = SPACE.describe()
    assert described["name"] == "mine"
    assert described["choices"]["act"] == ["max", "min"]
    conditions = described["conditions"]
    assert conditions["op_2"] == {"depth": ["2", "3"]}
    assert conditions["op_6"] == {"depth_2": ["3"]}
    assert conditions["kernel_6"] == {"op_6": ["conv"]}
    assert "op_4" not in conditions


def test_every_architecture_builds_what_it_says() -> None:
    text = "act=min,depth=1,op=skip,depth_2=2,op_4=conv,kernel_4=7,op_5=pool,dropout=0.0"
    assert SPACE.build(text) == [min, 3, 1, 7, 2, 0.0]
    for row in SPACE.sample(100, np.random.default_rng(0)):
        values = SPACE.decode(row)
        built = SPACE.build(row)
        assert built[0].__name__ == values["act"]
        assert len(built) == len([name for name in values if "depth" not in name])
        assert built[-1] == values["dropout"]


def test_plain_code_takes_the_first_options() -> None:
    assert network() == [max, 1, 3, 1, 3, 0.0]
    layers = repeat("depth", 2, 6)
    assert (layers, list(layers), list(range(layers))) == (2, [0, 1], [0, 1])


def test_builds_are_counted_by_options_not_by_combinations() -> None:
    runs = count()

    def optional() -> None:
        next(runs)
        for _ in range(12):
            if choose("use", [True, False]):
                choose("op", ["a", "b"])

    space = weaknas.trace(optional)
    assert space.size == 3**12
    assert next(runs) <= 2 + 24 + 32
    space.build(space.sample(1, np.random.default_rng(0))[0])


def test_decisions_of_several_together() -> None:
    """Neither is in a branch of the other."""

    def both() -> None:
        a, b = choose("a", [0, 1]), choose("b", [0, 1, 2])
        if a == 1 and b >= 1:
            choose("x", [1, 2])

    def either() -> None:
        a, b = choose("a", [0, 1]), choose("b", [0, 1, 2])
        if a == 1 or b >= 1:
            choose("x", [1, 2])

    space = weaknas.trace(both)
    assert space.describe()["conditions"] == {"x": {"a": ["1"], "b": ["1", "2"]}}
    assert weaknas.trace(either).size == 1 + 5 * 2


def test_branches_with_a_name_in_common() -> None:
    def block() -> None:
        if choose("kind", ["conv", "mbconv"]) == "conv":
            choose("groups", [1, 2]), choose("act", ["relu", "gelu"]), choose("kernel", [3, 5])
        else:
            choose("ratio", [3, 6]), choose("act", ["relu", "gelu"]), choose("squeeze", [0, 1])

    space = weaknas.trace(block)
    assert set(space.variables) == {"kind", "groups", "act", "kernel", "ratio", "squeeze"}
    assert "act" not in space.describe()["conditions"]
    assert space.size == 2 * 2**3


def test_threads_do_not_see_each_other() -> None:
    rows = SPACE.sample(64, np.random.default_rng(1))
    with ThreadPoolExecutor(8) as pool:
        built = list(pool.map(SPACE.build, rows))
    assert built == [SPACE.build(row) for row in rows]


def test_a_space_travels() -> None:
    again = pickle.loads(pickle.dumps(SPACE))  # noqa: S301
    assert again.describe() == SPACE.describe()
    row = SPACE.sample(1, np.random.default_rng(2))[0]
    assert again.build(row) == SPACE.build(row)


def _other_options_in_a_branch() -> None:
    choose("w", [1, 2] if choose("a", [0, 1]) else [3, 4])


_RUNS = count()


def _changing() -> None:
    choose("w", [-1, next(_RUNS)])


def _random() -> None:
    choose("w", [1, 2])
    if random.random() < 0.5:
        choose("v", [1, 2])


def _nothing() -> None:
    pass


def _failing() -> None:
    if choose("width", [64, 65]) % choose("heads", [2, 4]):
        raise ValueError("no such heads")


def _mixed() -> None:
    choose("a", [1, 2], share=True)
    choose("a", [1, 2])


def _by_number() -> None:
    if number("p", 0, 1) > 0.5:
        choose("x", [1, 2])


@pytest.mark.parametrize(
    ("builder", "message"),
    [
        (_other_options_in_a_branch, "'w' has the options 3, 4 in one place and 1, 2 in another"),
        (_changing, "'w' has the options -1, "),
        (_random, "_random is not deterministic: with the same options it meets w"),
        (_nothing, "_nothing meets no weaknas.choose"),
        (_failing, "_failing failed with width=65, heads=2: ValueError: no such heads"),
        (_mixed, "'a' is met with share=True and without"),
        (_by_number, "whether 'x' is met depends on the number 'p'"),
        (3, "takes a function that builds, not 3"),
        (lambda: choose("w", []), "'w' are empty"),
        (lambda: choose("w", [lambda: 1, lambda: 2]), "two options are called alike"),
        (lambda: choose(1, [1, 2]), "the name of a decision is a text"),  # type: ignore[arg-type]
        (lambda: choose("a,b", [1, 2]), "has no ','"),
        (lambda: repeat("d", 3, 2), "the most repeats of 'd' must be at least 3, not 2"),
        (lambda: number("lr", 0, 1, log=True), "is above 0"),
        (lambda: number(0), r"number\(low, high\)"),  # type: ignore[call-overload]
    ],
)
def test_faults_are_told_in_one_line(builder: Callable[[], Any], message: str) -> None:
    random.seed(0)
    with pytest.raises(InputError, match=message) as caught:
        weaknas.trace(builder)
    assert "\n" not in str(caught.value)


def test_a_builder_that_meets_something_else_later() -> None:
    def layers(more: int = 0) -> None:
        for _ in range(2 + more):
            choose("op", [1, 2])

    space = weaknas.trace(layers)
    with pytest.raises(InputError, match="meets 'op' once more than it did when it was traced"):
        space.build("op=1,op_2=1", more=1)
    with pytest.raises(InputError, match="does not meet op when it was traced"):
        space.build("op=1,op_2=1", more=-1)


# -- modules ------------------------------------------------------------------------------------


def _convolutions(classes: int = 10, shape: tuple[int, int, int] = (1, 8, 8)) -> Any:
    from torch import nn

    channels, layers = shape[0], []
    for _ in repeat("depth", 1, 2):
        width = choose("width", [4, 8])
        layers += [nn.Conv2d(channels, width, 3, padding=1), choose("act", [nn.ReLU, nn.GELU])()]
        channels = width
    head = nn.Linear(channels, classes)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)


def test_networks_and_their_costs() -> None:
    torch = pytest.importorskip("torch")
    space = weaknas.trace(_convolutions, example=(1, 8, 8))
    text = "depth=2,width=8,act=GELU,width_2=4,act_2=ReLU"
    drawn = torch.random.get_rng_state()
    costs = {name: cost(space.genotypes([text]))[0] for name, cost in space.costs().items()}
    assert torch.equal(torch.random.get_rng_state(), drawn)
    weights = 8 * 9 + 8 + 4 * 8 * 9 + 4 + 10 * 4 + 10
    assert costs == {"params": weights, "macs": 64 * (8 * 9 + 4 * 8 * 9) + 40}
    network = space.network(text, classes=3, shape=(2, 8, 8))
    assert network(torch.zeros(5, 2, 8, 8)).shape == (5, 3)
    small = ConstrainedSpace(space, ["params<=300", "macs<=15e3"])
    assert 0 < small.size < space.size
    assert not small.has_quick_costs
    with pytest.raises(InputError, match="unknown argument of _convolutions 'stem'"):
        space.network(text, stem=3)
    with pytest.raises(InputError, match="returns a list, where a module"):
        SPACE.network(SPACE.sample(1, np.random.default_rng(0))[0])


def test_a_builder_that_needs_values_of_tensors() -> None:
    """It cannot be built without weights."""
    torch = pytest.importorskip("torch")

    def rates() -> list[float]:
        return [float(rate) for rate in torch.linspace(0, 1, repeat("depth", 2, 4))]

    drawn = torch.random.get_rng_state()
    space = weaknas.trace(rates)
    assert torch.equal(torch.random.get_rng_state(), drawn)
    assert space.build("depth=3") == [0, 0.5, 1]


def test_a_search_trains_what_was_marked() -> None:
    pytest.importorskip("torch")
    space = weaknas.trace(_convolutions)
    evaluator = weaknas.get_evaluator("train", space, dataset="digits", epochs=1, fraction=0.1)
    result = weaknas.run(weaknas.WeakNAS(space, seed=0), evaluator, budget=2)
    assert {"accuracy@1", "params", "macs"} <= set(result.trials[0].evaluation.metrics)


def test_of_very_many_options_those_that_decide_are_found() -> None:
    def build() -> list[Any]:
        width = choose("width", range(100))
        deep = [choose("depth", [1, 2])] if 37 <= width < 41 else []
        return [width, *deep, choose("last", ["x", "y"])]

    space = weaknas.trace(build)
    assert space.variables == ("width", "depth", "last")
    assert space.size == 2 * (96 + 4 * 2)
    rows = space.enumerate()
    for row in rows[:: len(rows) // 40]:
        choice = space.decode(row)
        assert space.build(space.architectures(row[None])[0])[0] == choice["width"]


def test_many_repeats_are_so_many_decisions() -> None:
    space = weaknas.trace(lambda: [choose("op", ["x", "y"]) for _ in repeat("layers", 1, 80)])
    assert len(space.variables) == 81
    assert space.size == sum(2**layers for layers in range(1, 81))


def test_a_name_that_numbering_would_give_twice_is_refused() -> None:
    def build() -> list[str]:
        return [choose("act", ["x", "y"]), choose("act_2", ["p", "q"]), choose("act", ["x", "y"])]

    with pytest.raises(InputError, match="'act_2' is the name of one decision, and"):
        weaknas.trace(build)
