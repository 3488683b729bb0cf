"""The script that trains on digits runs with --quick and says what its runs say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("torch")
ROOT = Path(__file__).resolve().parents[2]


def run(folder, *options):
    command = [sys.executable, str(ROOT / "scripts" / "train_digits.py"), "--quick", "--jobs", "1"]
    command += ["--work", str(folder / "work"), "--results", str(folder / "results"), *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads((folder / "results" / "train-digits.json").read_text())


def check(result):
    (row,) = result["runs"]
    assert len(row["random"]) == result["budget"] == 2
    random = np.mean([cell["test"] for cell in row["random"]])
    assert result["summary"]["random"]["mean"] == pytest.approx(random, abs=1e-4)
    for name, found in row["methods"].items():
        summary = result["summary"][name]
        improvement = 100 * (found["test"] - random) / random
        assert summary["relative_improvement"]["mean"] == pytest.approx(improvement, abs=1e-4)
        assert summary["relative_improvement"]["ci95"] == [None, None]  # of one seed
        assert found["seconds"] > 0
    # Two brackets of halving where trainings are continued: the same number of epochs.
    counts = {name: found["queries"] for name, found in row["methods"].items()}
    assert counts == {"weaknas": 2, "halving-stop": 7, "halving-compress": 5}
    assert row["methods"]["halving-stop"]["architectures"] == 4


@pytest.mark.slow
def test_train_digits(tmp_path):
    out, result = run(tmp_path)
    check(result)
    assert result["command"].startswith("python scripts/train_digits.py --quick")
    assert result["evaluator"]["protocol"]["epochs"] == 4
    assert "halving-compress" in out
    # What was trained is not trained again.
    _, again = run(tmp_path)
    assert again["runs"] == result["runs"]
