"""The evaluator that trains: contract, fidelities, costs, what survives a kill."""

from __future__ import annotations

import json
import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import weaknas
from weaknas.errors import InputError
from weaknas.evaluators import Evaluation, evaluate_safely
from weaknas.evaluators.inheritance import InheritingEvaluator
from weaknas.evaluators.train import TrainEvaluator, curve_of
from weaknas.reports.live import Live
from weaknas.spaces import Architecture
from weaknas.testing import check_evaluator
from weaknas.training import trainer as trainer_module

SPACE = weaknas.get_space("nasbench201")
CELL = "|nor_conv_1x1~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|avg_pool_3x3~2|"
TINY: dict[str, Any] = {"fraction": 0.2, "channels": 2, "epochs": 3, "device": "cpu"}


@pytest.fixture
def cell() -> Architecture:
    return SPACE.architectures(SPACE.genotypes([CELL]))[0]


@pytest.fixture
def epochs_trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Epochs as they are trained."""
    trained: list[int] = []
    train_epoch = trainer_module._State.train_epoch

    def count(state: Any, stop: Any) -> None:
        train_epoch(state, stop)
        trained.append(len(state.training.losses))

    monkeypatch.setattr(trainer_module._State, "train_epoch", count)
    return trained


def make(**options: Any) -> TrainEvaluator:
    return TrainEvaluator(SPACE, **{**TINY, **options})


def test_it_keeps_the_contract() -> None:
    check_evaluator(make(epochs=1), SPACE, queries=2)


def test_metrics_are_those_of_the_network(cell: Architecture) -> None:
    result = make().evaluate(cell, seed=1)
    assert result.is_ok
    assert curve_of(result)[-1] == result.score == result.metrics["accuracy@3"]
    assert len(curve_of(result)) == 3
    skeleton = {"channels": 2, "cells": 1}
    rows = SPACE.genotypes([cell])
    expected = SPACE.parameters(rows, classes=10, shape=(1, 8, 8), **skeleton)[0]
    assert result.metrics["params"] == expected
    # The formula of the tables counts adding the bias of the classifier, too.
    macs = SPACE.macs(rows, classes=10, shape=(1, 8, 8), **skeleton)[0] - 10
    assert result.metrics["macs"] == macs
    assert result.metrics["latency"] > 0
    assert result.cost > 0


def test_a_fidelity_is_the_beginning_of_the_whole(
    cell: Architecture, epochs_trained: list[int]
) -> None:
    evaluator = make()
    first = evaluator.evaluate(cell, seed=1, fidelity=1)
    whole = evaluator.evaluate(cell, seed=1)
    assert epochs_trained == [1, 2, 3]  # continued, not repeated
    assert curve_of(first) == curve_of(whole)[:1]
    fresh = make().evaluate(cell, seed=1)
    assert curve_of(fresh) == curve_of(whole)
    # Together the two have paid for the whole.
    (record,) = evaluator.folder.glob("*.json")
    seconds = json.loads(record.read_text())["seconds"]
    assert first.cost == seconds[0]
    assert whole.cost == pytest.approx(sum(seconds[1:]))
    # Asked again, both say what they said.
    assert evaluator.evaluate(cell, seed=1, fidelity=1) == first
    assert evaluator.evaluate(cell, seed=1) == whole
    assert len(epochs_trained) == 3 + 3


def test_a_compressed_fidelity_is_a_training_of_its_own(
    cell: Architecture, epochs_trained: list[int]
) -> None:
    evaluator = make(shorten="compress")
    short = evaluator.evaluate(cell, seed=1, fidelity=2)
    evaluator.evaluate(cell, seed=1)
    assert epochs_trained == [1, 2, 1, 2, 3]
    assert curve_of(short) == curve_of(make(epochs=2).evaluate(cell, seed=1))


@pytest.mark.parametrize("fidelity", [0, 1.5, 4])
def test_fidelities_are_whole_epochs(cell: Architecture, fidelity: float) -> None:
    evaluator = make()
    assert evaluator.fidelities == [1, 2]
    with pytest.raises(InputError, match="not a whole number of epochs from 1 to 3"):
        evaluator.evaluate(cell, seed=1, fidelity=fidelity)


def test_unfinished_trainings_are_continued(
    cell: Architecture, tmp_path: Path, epochs_trained: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(curve: list[float]) -> bool:
        if len(curve) == 2:
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        make(folder=tmp_path, stop=interrupt).evaluate(cell, seed=1)
    assert [path.suffix for path in tmp_path.iterdir()] == [".pt"]
    (checkpoint,) = tmp_path.glob("*.pt")
    half = tmp_path / f".{checkpoint.name}.0123456789ab"  # as a killed process leaves it
    half.touch()
    result = make(folder=tmp_path).evaluate(cell, seed=1)
    assert not half.exists()
    assert epochs_trained == [1, 2, 3]
    assert curve_of(result) == curve_of(make().evaluate(cell, seed=1))
    # Weights are not kept, numbers are: a run that dies now has not paid in vain.
    assert [path.suffix for path in tmp_path.iterdir()] == [".json"]
    assert make(folder=tmp_path).evaluate(cell, seed=1) == result
    assert len(epochs_trained) == 6


def test_weights_are_kept_when_asked(cell: Architecture, tmp_path: Path) -> None:
    make(folder=tmp_path, keep=True, epochs=1).evaluate(cell, seed=1)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".pt"]


def test_trainings_differ_by_all_that_decides_them(cell: Architecture, tmp_path: Path) -> None:
    options: list[dict[str, Any]] = [{}, {"fraction": 0.1}, {"learning_rate": 0.2}]
    for option in options:
        make(folder=tmp_path, epochs=1, **option).evaluate(cell, seed=1)
    make(folder=tmp_path, epochs=1).evaluate(cell, seed=2)
    assert len(list(tmp_path.glob("*.json"))) == 4


def test_damaged_records_are_named(cell: Architecture, tmp_path: Path) -> None:
    make(folder=tmp_path, epochs=1).evaluate(cell, seed=1)
    (record,) = tmp_path.iterdir()
    record.write_text("[]")
    with pytest.raises(InputError, match=r"json is damaged .*; remove it"):
        make(folder=tmp_path, epochs=1).evaluate(cell, seed=1)


def test_folders_belong_to_the_run(tmp_path: Path) -> None:
    evaluator = make()
    evaluator.keep_in(tmp_path)
    assert evaluator.folder == tmp_path / "trainings"
    named = make(folder=tmp_path / "named")
    named.keep_in(tmp_path)
    assert named.folder == tmp_path / "named"
    temporary = make()
    folder = temporary.folder
    assert pickle.loads(pickle.dumps(temporary)).folder == folder  # noqa: S301 our own
    assert folder.is_dir()
    del temporary
    assert not folder.exists()


def test_copies_for_other_processes_are_small() -> None:
    evaluator = make()
    assert len(evaluator.dataset.train) == 899
    assert len(pickle.dumps(evaluator)) < 20_000


def test_failures_have_a_status(cell: Architecture, monkeypatch: pytest.MonkeyPatch) -> None:
    diverged = make(learning_rate=1e30).evaluate(cell, seed=1)
    assert diverged.status == "diverged"
    assert "its loss is no number" in diverged.message
    assert np.isnan(diverged.score)
    assert diverged.cost > 0
    # What was reached before is a score, whichever was asked for first.
    rising = {"learning_rate": 1e3, "schedule": "step", "step_epochs": 1, "step_factor": 1e10}
    late = make(**rising)
    assert [late.evaluate(cell, seed=1, fidelity=f).status for f in (None, 1)] == ["diverged", "ok"]
    early = make(**rising).evaluate(cell, seed=1, fidelity=1)
    assert early.score == late.evaluate(cell, seed=1, fidelity=1).score

    def full(*_: Any) -> None:
        import torch

        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(trainer_module._State, "train_epoch", full)
    assert evaluate_safely(make(), cell, 1).status == "out-of-memory"


def test_the_curve_may_end_a_training(cell: Architecture) -> None:
    evaluator = make(stop=lambda curve: len(curve) == 2)
    result = evaluator.evaluate(cell, seed=1)
    assert result.is_ok
    assert result.message == "stopped after 2 epochs"
    assert curve_of(result) == curve_of(make().evaluate(cell, seed=1))[:2]
    assert evaluator.describe()["stop"].endswith("<lambda>")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fraction": 2}, "fraction must be a number above 0 and at most 1, not 2"),
        ({"fraction": "abc"}, "fraction must be a number above 0 and at most 1, not 'abc'"),
        ({"stop": "foo"}, "stop must be a function of the learning curve, not 'foo'"),
        ({"device": "foo"}, "unknown device 'foo'"),
        ({"shorten": "cut"}, "unknown way to shorten a training 'cut'"),
        ({"protocol": "smal"}, "did you mean 'small'"),
        ({"epoch": 3}, "did you mean 'epochs'"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TrainEvaluator(SPACE, **options)


def test_the_space_must_have_networks() -> None:
    space = weaknas.ChoiceSpace({"one": ["a", "b"]}, name="plain")
    with pytest.raises(InputError, match="has no networks to train"):
        TrainEvaluator(space)


def test_it_is_built_by_its_name() -> None:
    evaluator = weaknas.get_evaluator("train", SPACE, dataset="digits", epochs=2)
    assert evaluator.name == "nasbench201/digits"
    assert evaluator.protocol.epochs == 2
    description = evaluator.describe()
    assert description["dataset"]["train"] == 899
    assert description["protocol"]["channels"] == 6


def test_a_search_goes_on_where_it_was(tmp_path: Path, epochs_trained: list[int]) -> None:
    def search() -> list[Evaluation]:
        evaluator = make(epochs=1)
        evaluator.keep_in(tmp_path)
        strategy = weaknas.WeakNAS(SPACE, seed=0, initial=2, batch_size=1)
        result = weaknas.run(strategy, evaluator, 3, output=tmp_path)
        return [trial.evaluation for trial in result.trials]

    first = search()
    assert len(epochs_trained) == 3
    journal = tmp_path / "journal.jsonl"
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:-1]))
    again = search()
    assert again == first  # the last trial's numbers were in the folder
    assert len(epochs_trained) == 3


def test_learning_curves_of_what_is_under_way_are_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    train_epoch = trainer_module._State.train_epoch

    def look(state: Any, stop: Any) -> None:
        seen.append(Live.read(tmp_path).tables(time.time())[0])
        train_epoch(state, stop)

    monkeypatch.setattr(trainer_module._State, "train_epoch", look)
    monkeypatch.setattr("weaknas.evaluators.outcome._PAUSE", 0.0)
    weaknas.run(weaknas.get_strategy("random", SPACE, seed=0), make(), 1, output=tmp_path)
    assert seen[0][1] == ("training", "for", "architecture")  # nothing was measured yet
    heading, head, rows = seen[2]
    assert (heading, head[2:5]) == ("under way", ("epoch", "so far", "curve"))
    assert (rows[0][2], len(rows[0][4])) == ("2 of 3", 2)
    assert 0 <= float(rows[0][3]) <= 1
    assert not list((tmp_path / "trainings").glob("*.ongoing"))


def test_a_curve_that_a_killed_process_left_is_removed(tmp_path: Path, cell: Architecture) -> None:
    evaluator = make(epochs=1, folder=tmp_path)
    evaluator.evaluate(cell, seed=0)
    record = next(tmp_path.glob("*.json"))
    record.unlink()
    record.with_suffix(".ongoing").write_text("{}")
    evaluator.evaluate(cell, seed=0)
    assert [path.suffix for path in tmp_path.iterdir()] == [".json"]


def test_trainings_that_are_stopped_or_inherit_are_others(tmp_path: Path, cell) -> None:
    stopped = make(folder=tmp_path, stop=lambda curve: True).evaluate(cell, seed=1)
    inherited = InheritingEvaluator(SPACE, **TINY, folder=tmp_path).evaluate(cell, seed=1)
    whole = make(folder=tmp_path).evaluate(cell, seed=1)
    assert [len(curve_of(each)) for each in (stopped, inherited, whole)] == [1, 3, 3]
    assert make(folder=tmp_path, stop=lambda curve: True).evaluate(cell, seed=1) == whole
