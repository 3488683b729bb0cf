"""The studies of controllers, and of seed and depth, run with --quick."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
ROOT = Path(__file__).resolve().parents[2]


def run(script: str, folder: Path):
    command = [sys.executable, str(ROOT / "scripts" / f"{script}.py"), "--quick", "--jobs", "1"]
    command += ["--work", str(folder / "work"), "--results", str(folder)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / f"{script.replace('_', '-')}.json").read_text())


@pytest.mark.slow
def test_controllers(tmp_path: Path) -> None:
    result = run("controllers", tmp_path)
    (row,) = result["runs"]
    for method in ("enas", "memory"):
        for part in (row[method]["trained"], row[method]["untrained"]):
            assert 0 < part["diversity"] <= 6
            assert part["dependence"] >= 0
            for weights in ("weights_own", "weights_uniform"):
                assert 0 <= part[weights]["mean"] <= part[weights]["best"] <= 1
    trained, untrained = (row["enas"][name]["mean_in_table"] for name in ("trained", "untrained"))
    difference = result["summary"]["trained_less_untrained_in_table"]["enas"]["mean"]
    assert difference == pytest.approx(trained - untrained, abs=1e-5)


@pytest.mark.slow
def test_depth_and_seed(tmp_path: Path) -> None:
    result = run("depth_and_seed", tmp_path)
    assert len(result["cells"]) == 2
    assert all(len(row) == 2 for row in result["accuracies"].values())
    for name in ("seed", "depth", "conv_3x3_to_1x1"):
        low, high = result["agreement"][name]["ci95"]
        assert -1 <= low <= result["agreement"][name]["kendall_tau"] <= high <= 1
    assert result["published"]["seed"]["text"] == 0.48


@pytest.mark.slow
def test_compare_controllers(tmp_path: Path) -> None:
    result = run("compare_controllers", tmp_path)
    names = [item["strategy"] for item in result["summary"]["strategies"]]
    lstm = ["lstm-controller", "lstm-controller:reward=raw"]
    assert names == [*lstm, "reinforce", "progressive", "random"]
