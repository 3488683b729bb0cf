"""What follows a run elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import weaknas
from weaknas.errors import MissingDependencyError
from weaknas.runs.callbacks import TensorBoard, Tracker, WeightsAndBiases

SPACE = weaknas.ChoiceSpace({"a": list(range(5)), "b": list(range(4))})


def train(architecture: Any) -> weaknas.Evaluation:
    values = SPACE.decode(architecture)
    if values["a"] == 3:
        raise ValueError("three is not trained")
    return weaknas.Evaluation(float(values["a"]), {"accuracy": values["b"] / 4}, cost=2.0)


def run(budget: int, output: Path, callback: Tracker) -> weaknas.Result:
    search = weaknas.get_strategy("random", SPACE, seed=0)
    with callback:
        return weaknas.run(search, train, budget, output=output, callbacks=[callback])


def expected(result: weaknas.Result) -> dict[str, dict[int, float]]:
    numbers: dict[str, dict[int, float]] = {}
    for step, trial in enumerate(result.trials, start=1):
        earlier = result.trials[:step]
        told = {
            "cost/training": trial.evaluation.cost,
            "cost/paid": float(earlier.costs.sum()),
            "failed": sum(not one.is_ok for one in earlier),
        }
        if trial.is_ok:
            told["score/training"] = trial.score
            told["score/luckiest"] = max(one.score for one in earlier if one.is_ok)
            told["metric/accuracy"] = trial.evaluation.metrics["accuracy"]
        for name, value in told.items():
            numbers.setdefault(name, {})[step] = value
    return numbers


def test_events_of_a_run_and_its_continuation(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    for budget in (7, 12, 12):
        result = run(budget, tmp_path / "run", TensorBoard(tmp_path / "board"))
    found = EventAccumulator(str(tmp_path / "board"), size_guidance={"tensors": 0}).Reload()
    written = {
        name: [(item.step, float(make_ndarray(item.tensor_proto))) for item in found.Tensors(name)]
        for name in found.Tags()["tensors"]
    }
    assert written == {name: list(steps.items()) for name, steps in expected(result).items()}
    assert not all(trial.is_ok for trial in result.trials)


class Wandb(ModuleType):
    """What a run of wandb keeps, in memory; it refuses what the package would ignore."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.options: dict[str, Any] = {}
        self.rows: dict[int, dict[str, Any]] = {}
        self.finished = 0

    def init(self, **options: Any) -> Wandb:
        self.options = options
        return self

    @property
    def step(self) -> int:
        return max(self.rows, default=-1) + 1

    def log(self, numbers: dict[str, Any], step: int) -> None:
        assert step >= self.step
        self.rows[step] = numbers

    def finish(self) -> None:
        self.finished += 1


def test_a_run_of_weights_and_biases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = Wandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    for budget in (7, 12):
        result = run(budget, tmp_path, WeightsAndBiases("cells", mode="offline", id="one"))
    assert wandb.options == {"project": "cells", "mode": "offline", "id": "one"}
    assert wandb.finished == 2
    texts = {step: row.pop("architecture") for step, row in wandb.rows.items()}
    assert texts == {n: trial.architecture.text for n, trial in enumerate(result.trials, start=1)}
    columns = {
        name: {step: row[name] for step, row in wandb.rows.items() if name in row}
        for name in expected(result)
    }
    assert columns == expected(result)


@pytest.mark.parametrize(
    ("make", "package"), [(TensorBoard, "tensorboard"), (WeightsAndBiases, "wandb")]
)
def test_what_is_not_installed_is_named(
    make: Any, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = [package, *(name for name in sys.modules if name.startswith(f"{package}."))]
    for name in [*gone, "tensorboard.summary"]:
        monkeypatch.setitem(sys.modules, name, None)
    said = rf"{package} is not installed.*\[{package}\]"
    with pytest.raises(MissingDependencyError, match=said):
        make(str(tmp_path / "board"))
    assert not (tmp_path / "board").exists()
