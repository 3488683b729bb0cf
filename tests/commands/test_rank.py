"""``weaknas rank`` as it is called."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

from weaknas import cli
from weaknas.commands.rank import parse_sizes

pytestmark = pytest.mark.usefixtures("quick_processes")


def call(*arguments):
    with pytest.raises(SystemExit) as end:
        cli.main(list(arguments))
    return end.value.code


def test_rank_on_nasbench201(tmp_path, capsys):
    arguments = ["rank", "nasbench201", "--dataset", "cifar100", "--labels", "mean"]
    arguments += ["--predictors", "gp, bayesian-ridge:encoder=one-hot", "--runs", "2"]
    arguments += ["--train-sizes", "60,20", "--output", str(tmp_path)]
    assert call(*arguments, "--json") == 0
    out, err = capsys.readouterr()
    summary = json.loads(out.splitlines()[-1])
    assert (summary["space"], summary["dataset"], summary["labels"]) == (
        "nasbench201",
        "cifar100",
        "mean",
    )
    order = [(row["train_size"], row["predictor"]) for row in summary["rows"]]
    label = "bayesian-ridge:encoder=one-hot"
    assert order == [(20, "gp"), (20, label), (60, "gp"), (60, label)]
    assert summary["rows"][1]["encoder"] == "one-hot"
    best = summary["rows"][2]
    assert {"mean", "ci95"} == set(best["kendall_tau"])
    assert best["kendall_tau"]["mean"] > 0.6
    assert 0 <= best["top_precision"] <= 1
    assert best["regret"] >= 0
    assert best["seconds_fit"] > 0
    assert best["seconds_predict"] > 0
    assert "fits" in err
    assert pq.read_table(tmp_path / "rankings.parquet").num_rows == 8
    assert json.loads((tmp_path / "config.json").read_text())["command"].startswith("weaknas")

    assert call(*arguments) == 0  # finished: only shown
    shown = capsys.readouterr().out
    assert "Kendall tau" in shown
    assert str(tmp_path) in shown
    pytest.importorskip("matplotlib")
    assert (tmp_path / "ranking.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nasbench21"], "did you mean 'nasbench201'"),
        (["nasbench201", "--predictors", "gq"], "did you mean 'gp'"),
        (["nasbench201", "--predictors", "gp,gp"], "the predictor 'gp' is given 2 times"),
        (["nasbench201", "--predictors", ""], "at least one predictor"),
        (
            ["nasbench201", "--train-sizes", "5,x"],
            "each of --train-sizes must be a whole number, not 'x'",
        ),
        (["nasbench201", "--regime", "random"], "unknown regime 'random'"),
        (["nasbench201", "--encoder", "one-hut"], "did you mean 'one-hot'"),
        (["nasbench201", "--jobs", "0"], "at least 1, not 0"),
    ],
)
def test_bad_input_is_named(arguments, message, capsys):
    assert call("rank", *arguments) == 2
    assert message in capsys.readouterr().err


def test_sizes_are_read_in_any_order():
    assert parse_sizes("100, 20") == [20, 100]


def test_when_every_fit_fails_the_exit_code_tells(capsys):
    arguments = ["nasbench201", "--predictors", "random-forest:n-estimators=0", "--runs", "1"]
    assert call("rank", *arguments, "--train-sizes", "10") == 2
    assert "every fit failed" in capsys.readouterr().err


def test_an_ensemble_has_members(capsys):
    arguments = ["nasbench201", "--predictors", "xgboost:members=0", "--runs", "1"]
    assert call("rank", *arguments, "--train-sizes", "10") == 2
    assert "members must be at least 1, not 0" in capsys.readouterr().err
