"""``weaknas train-supernet``, and a search with what it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from weaknas.cli import main

pytest.importorskip("torch")

SPACE = "nasbench201"
TINY = ["--network", "channels=4:cells=1", "--epochs", "1", "--protocol", "batch-size=300"]


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    printed = capsys.readouterr()
    return int(stopped.value.code or 0), printed.out, printed.err


def test_train_and_search(capsys, tmp_path: Path) -> None:
    train = ["train-supernet", SPACE, *TINY, "--output", str(tmp_path), "--json"]
    code, out, err = run(capsys, *train)
    assert code == 0, err
    facts = json.loads(out.splitlines()[-1])
    assert (facts["status"], facts["epochs"], len(facts["probes"])) == ("ok", 1, 4)
    assert facts["output"] == str(tmp_path / "supernet.pt")
    assert "epoch 1/1: loss" in err
    # Trained already: nothing is done again.
    again = json.loads(run(capsys, *train)[1].splitlines()[-1])
    assert again == facts
    code, out, err = run(
        capsys,
        *["search", SPACE, "--evaluator", f"supernet:checkpoint={tmp_path / 'supernet.pt'}"],
        *["--strategy", "random", "--budget", "3", "--json"],
    )
    assert code == 0, err
    found = json.loads(out.splitlines()[-1])
    assert found["queries"] == 3
    assert 0 <= found["best"]["score"] <= 1


def test_a_sampler_names_its_favorites(capsys, tmp_path: Path) -> None:
    train = ["train-supernet", SPACE, *TINY, "--method", "manas-ls", "--sampler", "rate=0.5"]
    code, out, err = run(capsys, *train, "--output", str(tmp_path), "--json")
    assert code == 0, err
    facts = json.loads(out.splitlines()[-1])
    assert len(facts["rewards"]) == 1
    accuracies = [favorite["accuracy"] for favorite in facts["favorites"]]
    assert 0 < len(accuracies) <= 10
    assert accuracies == sorted(accuracies, reverse=True)
    training = json.loads((tmp_path / "training.json").read_text())["training"]
    assert training["sampler"] == {"rate": 0.5, "window": 500}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nasbench202"], "did you mean 'nasbench201'"),
        ([SPACE, "--method", "sandwich"], "use single-path"),
        ([SPACE, "--protocol", "learningrate=1"], "did you mean 'learning_rate'"),
        ([SPACE, "--network", "chanels=4"], "did you mean 'channels'"),
        ([SPACE, "--seed", "-1"], "--seed: it must be at least 0, not -1"),
        (["mobilenetv3"], "mobilenetv3:classes=10"),
        ([SPACE, "--method", "enas", "--sampler", "lesson=3"], "did you mean 'lessons'"),
        ([SPACE, "--method", "enas", "--sampler", "draws=x"], "draws must be a whole number"),
        ([SPACE, "--sampler", "draws=3"], "--sampler is for the methods enas, memory"),
    ],
)
def test_bad_input(capsys, tmp_path: Path, arguments: list[str], message: str) -> None:
    code, _, err = run(capsys, "train-supernet", *arguments, "--output", str(tmp_path))
    assert code == 2
    assert message in err


def test_a_file_is_no_folder(capsys) -> None:
    code, _, err = run(capsys, "train-supernet", SPACE, "--epochs", "1", "--output", __file__)
    assert code == 2
    assert f"cannot write to {__file__}: File exists" in err
