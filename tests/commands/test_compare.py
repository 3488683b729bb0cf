"""``weaknas compare`` and ``weaknas report`` as they are called."""

from __future__ import annotations

import json
import multiprocessing

import numpy as np
import pyarrow.parquet as pq
import pytest

from weaknas import cli
from weaknas.commands.compare import parse_runs_of
from weaknas.errors import InputError
from weaknas.laboratory.experiment import parse_strategy
from weaknas.registry import get_space
from weaknas.spaces import ChoiceSpace

pytestmark = pytest.mark.usefixtures("quick_processes")


def call(*arguments):
    with pytest.raises(SystemExit) as end:
        cli.main(list(arguments))
    return end.value.code


def test_strategies_carry_options():
    space = ChoiceSpace({"a": [0, 1, 2], "b": [0, 1, 2]}, name="toy")
    factory = parse_strategy("weaknas:preset=paper:predictor=xgboost:batch-size=7")
    strategy = factory(space, seed=5)
    assert strategy.batch_size == 7
    assert strategy.seed == 5
    assert type(strategy.predictor).__name__ == "XGBoost"
    assert (
        strategy.describe()["acquisition"]
        == (parse_strategy("weaknas:preset=paper")(space, seed=0).describe()["acquisition"])
    )


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("randon", "did you mean 'random'"),
        ("random:batchsize=3", "did you mean 'batch_size'"),
        ("random:batch_size", "key=value"),
    ],
)
def test_wrong_labels_are_explained(label, message):
    with pytest.raises(InputError, match=message):
        parse_strategy(label)


def test_numbers_of_runs_follow_the_last_equals_sign():
    assert parse_runs_of("random=3, weaknas:preset=paper=5") == {
        "random": 3,
        "weaknas:preset=paper": 5,
    }
    with pytest.raises(InputError, match="--runs-of random must be a whole number, not 'x'"):
        parse_runs_of("random=x")


def test_compare_and_report_on_nasbench201(tmp_path, capsys):
    folder = tmp_path / "out"
    arguments = ["compare", "nasbench201", "--dataset", "cifar100", "--strategies"]
    arguments += [
        "random,random:batch_size=20",
        "--runs",
        "3",
        "--runs-of",
        "random:batch_size=20=2",
    ]
    arguments += ["--budget", "20", "--output", str(folder)]
    assert call(*arguments, "--json") == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (summary["space"], summary["dataset"]) == ("nasbench201", "cifar100")
    assert (summary["runs"], summary["budget"]) == (3, 20)
    assert [item["runs"] for item in summary["strategies"]] == [3, 2]
    assert {"mean", "median", "p90", "ci95"} == set(summary["strategies"][0]["queries_to_optimum"])
    assert pq.read_table(folder / "queries.parquet").num_rows == 5 * 20
    config = json.loads((folder / "config.json").read_text())
    assert config["command"].startswith("weaknas")
    assert config["experiment"]["versions"]["numpy"] == np.__version__
    assert len(config["experiment"]["seeds"]) == 3

    assert call(*arguments) == 0  # finished: only shown
    shown = capsys.readouterr().out
    assert "nasbench201/cifar100" in shown
    assert "queries" in shown

    assert call(*arguments, "--seed", "1") == 2
    assert "seed = 0, not 1" in capsys.readouterr().err

    pytest.importorskip("matplotlib")
    assert call("report", str(folder)) == 0
    assert capsys.readouterr().out.strip() == str(folder / "report.html")


def test_compare_with_an_evaluator_and_limits(tmp_path, capsys, monkeypatch, shared_data):
    monkeypatch.setenv("WEAKNAS_DATA", str(shared_data("mobilenet").parent))
    # The quick processes may have begun before, in another environment.
    fresh = multiprocessing.context._default_context.get_context
    monkeypatch.setattr(multiprocessing, "get_context", fresh)
    folder = tmp_path / "out"
    arguments = ["compare", "mobilenetv3:width=1.2:resolution=236"]
    arguments += ["--evaluator", "ofa-predictor:resolution=224", "--constraint", "macs<=600e6"]
    arguments += ["--constraint", "params<=9e6", "--strategies", "random,regularized-evolution"]
    arguments += ["--runs", "2", "--budget", "12", "--output", str(folder)]
    assert call(*arguments, "--json") == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["dataset"] == "ofa-predictor"
    assert summary["optimum_score"] is None
    for item in summary["strategies"]:
        assert item["regret_at"] is None
        assert 0.79 < item["best_at"]["10"]["mean"] <= item["best_at"]["12"]["mean"] < 0.86
    space = get_space("mobilenetv3", width=1.2, resolution=236)
    queried = pq.read_table(folder / "queries.parquet")["architecture"].to_pylist()
    rows = space.genotypes(queried)
    assert len(rows) == 48
    assert (space.macs(rows) <= 600e6).all()
    assert (space.parameters(rows) <= 9e6).all()
    assert call(*arguments) == 0
    assert "best@12" in capsys.readouterr().out
    assert call(*arguments, "--constraint", "macs>=500e6") == 2
    assert "choose another output folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nasbench201", "--constraint", "macs<=1e6"], "macs goes from"),
        (["nasbench21"], "did you mean 'nasbench201'"),
        (["nasbench201", "--dataset", "cifar11"], "did you mean 'cifar10'"),
        (["nasbench201", "--strategies", "random,random"], "'random' is given 2 times"),
        (["nasbench201", "--strategies", ""], "at least one"),
        (["nasbench201", "--labels", "two"], "unknown labels 'two'"),
        (["nasbench201", "--labels", "one-seed", "--noise", "1"], "labels 'resampled'; 'one-seed'"),
        (["nasbench201", "--evaluator", "train", "--noise", "1"], "is for tables, not 1.0 for the"),
        (["nasbench201", "--evaluator", "train", "--labels", "mean"], "for tables, not 'mean'"),
        (["nasbench201", "--runs-of", "tpe=3"], "unknown strategy of the comparison 'tpe'"),
        (["nasbench201", "--budget", "0"], "at least 1, not 0"),
        (["nasbench201", "--jobs", "0", "--budget", "5"], "at least 1, not 0"),
        (["nasbench201", "--strategies", "weaknas:batch_size=ten"], "whole number of at least 1"),
        (["nasbench201", "--strategies", "weaknas:initial=1.5"], "initial must be a whole number"),
        (["nasbench201", "--strategies", "regularized-evolution:population=1.5"], "not 1.5"),
        (["nasbench201", "--strategies", "simulated-annealing:cooling=x"], "below 1, not 'x'"),
        (["nasbench201", "--strategies", "simulated-annealing:temperature=x"], "above 0, not 'x'"),
        (["nasbench201", "--strategies", "reinforce:learning_rate=x"], "above 0, not 'x'"),
        (
            ["nasbench201", "--strategies", "reinforce:momentum=x"],
            "at least 0 and below 1, not 'x'",
        ),
    ],
)
def test_bad_input_is_named(arguments, message, capsys):
    assert call("compare", *arguments) == 2
    assert message in capsys.readouterr().err


def test_when_every_run_fails_the_exit_code_tells(capsys, tmp_path):
    fidelities = ["--strategies", "hyperband", "--runs", "1", "--budget", "20"]
    datasets = ["--dataset", "cifar10,cifar100"]
    assert call("compare", "nasbench201", *datasets, *fidelities, "--output", str(tmp_path)) == 2
    assert "error: every run failed, the first by InputError: Hyperb" in capsys.readouterr().err
    assert (tmp_path / "summary.json").exists()
    # Nor is its folder one for a search, whose results no report would show.
    assert call("search", "--budget", "3", "--output", str(tmp_path)) == 2
    assert f"{tmp_path} holds other results" in capsys.readouterr().err
    assert not (tmp_path / "journal.jsonl").exists()


def test_interruption_says_what_is_kept(monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("weaknas.commands.compare.run_comparison", interrupted)
    assert call("compare", "nasbench201", "--strategies", "random") == 130
    assert "what was written is kept" in capsys.readouterr().err


def test_report_of_nothing(tmp_path, capsys):
    assert call("report", str(tmp_path)) == 2
    assert "neither a comparison" in capsys.readouterr().err
