"""The script of "protocol or search?" runs with --quick, and its statistics are right."""

from __future__ import annotations

import importlib.util
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


def run(folder):
    command = [sys.executable, str(ROOT / "scripts" / "protocol.py"), "--quick", "--jobs", "1"]
    command += ["--work", str(folder / "work"), "--results", str(folder / "results")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads((folder / "results" / "protocol-digits.json").read_text())


@pytest.fixture(name="script", scope="module")
def _script():
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        path = ROOT / "scripts" / "protocol.py"
        spec = importlib.util.spec_from_file_location("scripts_protocol", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules["scripts_protocol"] = module  # where its tuples are pickled from
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module


@pytest.mark.slow
def test_protocol(tmp_path):
    printed, result = run(tmp_path)
    assert (tmp_path / "results" / "protocol-digits.png").exists()
    assert list(result["accuracies"]) == ["base", "cutout", "all together"]
    assert np.shape(list(result["accuracies"].values())) == (3, 2, 1)
    means = {name: np.mean(rows) for name, rows in result["accuracies"].items()}
    for name, mean in means.items():
        assert result["means"][name]["mean"] == pytest.approx(mean, abs=1e-3)
        assert f"{name:18} {mean:6.2f} %" in printed
    deviation = np.std(list(means.values()), ddof=1)
    assert result["spread"]["protocols"]["deviation"] == pytest.approx(deviation, abs=2e-3)
    assert result["protocols"]["all together"]["auxiliary"] > 0
    # Once more: nothing is trained again.
    trained = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("*.json")}
    assert len(trained) >= 6
    assert run(tmp_path)[1] == result
    assert {path: path.stat().st_mtime_ns for path in trained} == trained


def test_spreads_are_those_of_means_and_rows(script):
    # Protocols 1 and 5 points above the first; architectures 2 points apart in each.
    cells = np.array([0.0, 1.0, 5.0])[:, None] + np.array([-2.0, 0.0, 2.0, 0.0])
    noisy = cells[:, :, None] + np.array([-0.5, 0.5])
    spread = script.spreads(noisy, seed=0)
    assert spread["protocols"]["deviation"] == pytest.approx(np.std([0, 1, 5], ddof=1), abs=1e-3)
    assert spread["protocols"]["range"] == 5.0
    assert spread["protocols"]["ci95"] == [spread["protocols"]["deviation"]] * 2
    expected = np.std([-2, 0, 2, 0], ddof=1)
    for name in ("architectures", "architectures by the base"):
        assert spread[name]["deviation"] == pytest.approx(expected, abs=1e-3)
        assert spread[name]["range"] == 4.0
        low, high = spread[name]["ci95"]
        assert low < expected <= high
    assert spread["seeds"]["deviation"] == pytest.approx(np.sqrt(0.5), abs=1e-3)


def test_every_switch_is_in_the_protocol_of_all(script):
    chosen = script.protocols("digits")
    together = chosen.pop("all together")
    for options in chosen.values():
        changed = {key: value for key, value in options.items() if script.BASE.get(key) != value}
        assert changed.items() <= together.items()
    assert script.protocols("fashion-mnist")["cutout"]["cutout"] == 10
