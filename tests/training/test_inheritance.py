"""Weights of parents: children that have all that their parent has compute the same."""

from __future__ import annotations

import numpy as np
import pytest

import weaknas
from weaknas.spaces.mobilenetv3 import MobileNetV3

torch = pytest.importorskip("torch")

from weaknas.training.inheritance import inherit  # noqa: E402

CELLS = weaknas.get_space("nasbench201")
NETS = MobileNetV3(0.25, 16, classes=10, channels=1)
CELL = "|nor_conv_1x1~0|+|skip_connect~0|none~1|+|nor_conv_3x3~0|none~1|avg_pool_3x3~2|"


def network(space, architecture, seed):
    small = {"channels": 4, "cells": 1} if space is CELLS else {}
    torch.manual_seed(seed)
    made = space.network(architecture, shape=(1, 16, 16), **small)
    for part in made.modules():  # as after a training
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
            torch.nn.init.normal_(part.weight, 1, 0.3)
            torch.nn.init.normal_(part.bias)
    return made.eval()


def difference(space, parent, child):
    old, new = network(space, parent, 0), network(space, child, 1)
    inherit(new, old.state_dict(), space.inherited_modules(parent, child))
    images = torch.randn(3, 1, 16, 16, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        before = old(images)
        return float((new(images) - before).abs().max() / before.abs().max()), new


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("none~1|+", "nor_conv_3x3~1|+"),  # a branch more
        ("none~1|avg", "nor_conv_1x1~1|avg"),
        ("|nor_conv_1x1~0|+", "|nor_conv_3x3~0|+"),  # a larger kernel
        ("|nor_conv_1x1~0|+", "|nor_conv_1x1~0|+"),
    ],
)
def test_cells_that_have_all_of_their_parents_compute_the_same(old, new):
    child = CELL.replace(old, new)
    assert old == new or child != CELL
    found, made = difference(CELLS, CELL, child)
    assert found < 1e-6
    made.train()(torch.randn(4, 1, 16, 16)).square().sum().backward()
    for weight in made.parameters():  # what is silent learns
        assert weight.any() or weight.grad.any()


def test_cells_of_which_something_is_taken_away_do_not():
    found, _ = difference(CELLS, CELL, CELL.replace("nor_conv_3x3", "nor_conv_1x1"))
    assert found > 1e-3


@pytest.mark.parametrize(
    ("variable", "value"),
    [("kernel2.1", 2), ("expansion2.2", 2), ("expansion1.1", 1), ("depth2", 1)],
)
def test_larger_mobilenets_compute_the_same(variable, value):
    parent = np.zeros(NETS.n_variables, dtype=np.int16)  # the smallest
    child = parent.copy()
    child[NETS.variables.index(variable)] = value
    found, made = difference(NETS, parent, child)
    assert found < 1e-6
    deeper = len(made.blocks) - len(network(NETS, parent, 0).blocks)
    assert deeper == (variable == "depth2")


def test_an_evaluator_takes_the_weights_of_the_best_neighbor(tmp_path):
    options = {"epochs": 1, "channels": 2, "fraction": 0.1, "device": "cpu", "folder": tmp_path}
    evaluator = weaknas.get_evaluator("train-inherit", CELLS, **options)
    assert evaluator.describe()["inherits"] is True
    far = "|none~0|+|none~0|none~1|+|avg_pool_3x3~0|none~1|none~2|"
    near = CELL.replace("skip_connect", "avg_pool_3x3")
    cell = CELLS.architecture(CELL)
    for place, text in enumerate((far, near)):
        assert evaluator.find_parent(cell) is None
        evaluator.evaluate(CELLS.architecture(text), seed=place)
    parent, weights = evaluator.find_parent(cell)
    assert parent.text == near
    assert weights.exists()
    seen = []

    def watched(*arguments):
        seen.append(build(*arguments))
        return seen[-1]

    build, evaluator._build = evaluator._build, watched
    first = evaluator.evaluate(cell, seed=2)
    saved = torch.load(weights, weights_only=True)["network"]
    assert len(seen) == 1
    alone = weaknas.get_evaluator("train", CELLS, **options).evaluate(cell, seed=2)
    assert alone.score == first.score  # of the same folder: the training that is done
    del evaluator._build
    network = evaluator._build(cell, evaluator.dataset, evaluator.protocol)
    assert torch.equal(network.state_dict()["0.0.weight"], saved["0.0.weight"])
