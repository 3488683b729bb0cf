"""The scripts of what is returned run with --quick and say what their runs say."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("matplotlib")
ROOT = Path(__file__).resolve().parents[2]


def run(script, folder, *options):
    command = [sys.executable, str(ROOT / "scripts" / f"{script}.py"), "--quick", "--jobs", "1"]
    command += ["--work", str(folder / "work"), "--results", str(folder / "results"), *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(
        (folder / "results" / f"{script}.json".replace("_", "-")).read_text()
    )


@pytest.mark.slow
def test_answer(tmp_path):
    out, result = run("answer", tmp_path, "--studies", "one-seed")
    rows = result["answers"]["one-seed"]
    assert list(rows) == ["cifar10", "cifar100", "imagenet16-120"]
    labels = ["weaknas", "local-search", "local-search:confirm=auto", "local-search:confirm=5"]
    for items in rows.values():
        assert [item["strategy"] for item in items] == labels
        for item in items:
            assert set(item["regret_at"]) == set(item["optimum_returned_at"]) == {"10", "20"}
            assert all(regret["mean"] >= 0 for regret in item["regret_at"].values())
    first = rows["cifar10"][0]["regret_at"]["20"]["mean"]
    assert f"{first:7.3f}" in out
    for bins in result["calibration"]["one-seed"].values():
        assert all(0 <= b["ci95"][0] <= b["true"] <= b["ci95"][1] <= 1 for b in bins)
        assert sum(b["trainings"] for b in bins) <= 3 * 2 * 20
    assert (tmp_path / "results" / "answer-calibration.png").exists()


@pytest.mark.slow
def test_told_the_best(tmp_path):
    out, result = run("told_the_best", tmp_path)
    five, ten = result["rows"]
    for row in (five, ten):
        assert set(row["regret_at"]) == set(row["optimum_returned_at"]) == {"20", "40"}
        assert all(regret["mean"] >= 0 for regret in row["regret_at"].values())
    # It is harder to tell more apart, and easier after more trainings.
    assert five["regret_at"]["40"]["mean"] < ten["regret_at"]["20"]["mean"] < 0.2
    assert five["optimum_returned_at"]["40"] > ten["optimum_returned_at"]["20"] > 0
    assert f"{five['regret_at']['40']['mean']:.3f}" in out


def test_what_was_said_is_compared_with_what_was_true(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    path = ROOT / "scripts" / "answer.py"
    spec = importlib.util.spec_from_file_location("answer_script", path)
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "answer_script", script)
    spec.loader.exec_module(script)
    runs, length = 40, 50
    rng = np.random.default_rng(0)
    said = rng.uniform(0, 1, size=(runs, length))
    true = rng.uniform(0, 1, size=(runs, length)) < said
    mean = np.tile(np.r_[1.0, np.zeros(length - 1)], runs)  # the first of each run is the best
    table = pa.table(
        {
            "strategy": ["one"] * (runs * length),
            "query": np.tile(np.arange(1, length + 1), runs),
            "returned": np.ones(runs * length, dtype=np.int32),
            "mean_score": mean,
            "returned_score": np.where(true, 1.0, 0.5).ravel(),
            "probability_best": said.ravel(),
        }
    )
    bins = script.calibrate(table)["one"]
    assert len(bins) == 10
    assert all(abs(b["said"] - b["true"]) < 0.1 for b in bins)
    assert sum(b["trainings"] for b in bins) == runs * length
    assert sum(b["ci95"][0] <= b["said"] <= b["ci95"][1] for b in bins) >= 8


@pytest.mark.slow
def test_answer_digits(tmp_path):
    pytest.importorskip("torch")
    out, result = run("answer_digits", tmp_path)
    (row,) = result["runs"]
    plain = row["methods"]["weaknas:repeats=never"]
    assert plain["queries"] == result["budget"] == 6
    assert plain["trainings"] == 1
    for label, found in row["methods"].items():
        assert len(found["tests"]) == 2
        mean = result["summary"]["test"][label]["mean"]
        assert mean == pytest.approx(np.mean(found["tests"]), abs=1e-4)
        assert f"{mean:.4f}" in out
