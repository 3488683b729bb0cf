"""Spaces, evaluators and data sets that a user's own module has: ``module:attribute``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import weaknas
from weaknas.errors import InputError
from weaknas.runs.problem import build_problem
from weaknas.training.data import Dataset, load_dataset

MODULE = """
import numpy as np
import weaknas
from weaknas.training.data import Images, from_arrays

space = weaknas.ChoiceSpace({"width": [4, 8], "depth": [1, 2, 3]}, name="mine")


def network():
    return weaknas.choose("width", [4, 8, 12])


def load(validation=20):
    pixels, labels = np.zeros((60, 1, 8, 8)), np.arange(60) % 2
    images = Images(pixels, labels)
    return from_arrays("mine", images, images, ["even", "odd"], validation)


def arrays():
    return np.zeros((60, 1, 8, 8)), np.arange(60)


def read(folder):
    return load()


def train(architecture, space, seed, scale=1.0):
    return scale * space.decode(architecture)["width"]


class Judge:
    def __init__(self, space, scale=1.0):
        self.space, self.scale = space, scale

    def evaluate(self, architecture, *, seed, fidelity=None):
        return weaknas.Evaluation(self.scale * self.space.decode(architecture)["width"])

    def describe(self):
        return {"judge": self.scale}


number = 3
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: Any) -> Any:
    (tmp_path / "my_module_for_weaknas.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    sys.modules.pop("my_module_for_weaknas", None)


def own(name: str) -> str:
    return f"my_module_for_weaknas:{name}"


def test_spaces() -> None:
    assert weaknas.get_space(own("space")).size == 6
    traced = weaknas.get_space(own("network"))
    assert (traced.name, traced.size) == ("network", 3)
    with pytest.raises(InputError, match="unknown option of the space"):
        weaknas.get_space(own("space"), width=1)


@pytest.mark.parametrize(
    ("evaluator", "best", "described"),
    [
        ("train", 8, {"function": "train"}),
        ("train:scale=2", 16, {"function": "train", "arguments": {"scale": 2}}),
        ("Judge:scale=3", 24, {"judge": 3}),
    ],
)
def test_evaluators(evaluator: str, best: float, described: dict[str, Any]) -> None:
    problem = build_problem(own("space"), own(evaluator))
    search = weaknas.get_strategy("random", problem.space, seed=0)
    result = weaknas.run(search, problem.evaluator, budget=6)
    assert result.best_observed.score == best
    assert problem.evaluator.describe() == described


def test_data_sets() -> None:
    data = load_dataset(own("load"), validation=10)
    assert isinstance(data, Dataset)
    assert (data.classes, len(data.validation)) == (2, 10)
    assert len(load_dataset(own("load")).validation) == 20
    for name, message in [
        ("arrays", "returned a tuple, not a weaknas.training.Dataset; .*from_arrays makes one"),
        ("number", "is a int, not a function that reads data"),
        ("read", "needs 'folder', where a function that reads data is given path"),
        ("nothing", "has no attribute 'nothing'"),
    ]:
        with pytest.raises(InputError, match=message):
            load_dataset(own(name))
    with pytest.raises(InputError, match="takes no path, given 'here'"):
        load_dataset(own("load"), "here")


@pytest.mark.parametrize(
    ("space", "evaluator", "message"),
    [
        ("space", "tabular", "has no table to search; name an evaluator"),
        ("space", "my_module_for_weaknas:train:speed=1", "unknown option .*'speed'.*allowed: arch"),
        ("space", "my_module_for_weaknas:number", "3 is neither"),
        ("space", "no_module_for_weaknas:train", "failed: No module named"),
        ("spaces", "train", "has no attribute 'spaces'"),
    ],
)
def test_what_is_not_there_is_told(space: str, evaluator: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_problem(own(space), evaluator)
