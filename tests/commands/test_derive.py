"""``weaknas train-supernet --method darts`` and ``weaknas derive``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from weaknas.cli import main
from weaknas.spaces.nasbench201 import NASBench201

pytest.importorskip("torch")

SPACE = NASBench201()
TINY = ["--network", "channels=2:cells=1", "--epochs", "1", "--protocol", "batch-size=200"]


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    printed = capsys.readouterr()
    return int(stopped.value.code or 0), printed.out, printed.err


@pytest.mark.slow
def test_train_and_derive(capsys, tmp_path: Path) -> None:
    train = ["train-supernet", "nasbench201", "--method", "darts", *TINY]
    code, out, err = run(capsys, *train, "--output", str(tmp_path), "--json")
    assert code == 0, err
    facts = json.loads(out.splitlines()[-1])
    assert len(facts["derived"]) == len(facts["probes"]["the mixture"]) == 1
    checkpoint = str(tmp_path / "supernet.pt")
    code, out, _ = run(capsys, "derive", checkpoint, "--by", "magnitude")
    assert (code, out.strip()) == (0, facts["derived"][0])
    code, out, err = run(capsys, "derive", checkpoint, "--tuning", "0", "--uniform", "--json")
    assert code == 0, err
    answer = json.loads(out.splitlines()[-1])
    assert SPACE.format(SPACE.parse(answer["architecture"])) == answer["architecture"]
    assert [len(decision["accuracies"]) for decision in answer["decisions"]] == [5] * 6
    assert "score without none" in err


@pytest.mark.slow
def test_search_with_its_weights(capsys, tmp_path: Path) -> None:
    train = ["train-supernet", "nasbench201", "--method", "darts", *TINY]
    assert run(capsys, *train, "--output", str(tmp_path))[0] == 0
    weaknas = [
        "derive",
        str(tmp_path / "supernet.pt"),
        "--by",
        "weaknas",
        "--evaluations",
        "3",
        "--json",
    ]
    code, out, err = run(capsys, *weaknas, "--output", str(tmp_path / "search"))
    assert code == 0, err
    answer = json.loads(out.splitlines()[-1])
    assert answer["evaluations"] == 3
    assert 0 <= answer["accuracy"] <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.pt"], "missing.pt"),
        (["missing.pt", "--by", "magnitud"], "did you mean 'magnitude'"),
        (["missing.pt", "--by", "weaknas", "--uniform"], "--uniform is for --by perturbation"),
        (["missing.pt", "--by", "weaknas", "--tuning", "1"], "--tuning is for --by magnitude"),
        (["missing.pt", "--evaluations", "0"], "--evaluations: it must be at least 1, not 0"),
    ],
)
def test_bad_input(capsys, arguments: list[str], message: str) -> None:
    code, _, err = run(capsys, "derive", *arguments)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_other_supernets_are_refused(capsys, tmp_path: Path) -> None:
    train = ["train-supernet", "nasbench201", *TINY, "--output", str(tmp_path)]
    assert run(capsys, *train)[0] == 0
    code, _, err = run(capsys, "derive", str(tmp_path / "supernet.pt"))
    assert code == 2
    assert "is no mixed supernet; weaknas train-supernet --method darts makes one" in err
    code, _, err = run(capsys, "train-supernet", "nasbench201", "--method", "dart", "--output", "x")
    assert code == 2
    assert "did you mean 'darts'" in err
