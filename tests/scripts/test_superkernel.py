"""The study of superkernels runs with --quick, and says what its runs say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from weaknas.spaces.mobilenetv3 import LatencyTable
from weaknas.spaces.mobilenetv3.costs import count_macs
from weaknas.spaces.mobilenetv3.latency import required_parts
from weaknas.spaces.mobilenetv3.skeleton import Skeleton

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_superkernel(tmp_path):
    parts = required_parts(Skeleton(1.0, 224))
    table = LatencyTable({None: {key: count_macs(part) / 1e6 for key, part in parts.items()}})
    table.write(tmp_path / "macs.json")
    command = [sys.executable, str(ROOT / "scripts" / "superkernel.py"), "--quick"]
    command += ["--table", str(tmp_path / "macs.json"), "--table-width", "1.0"]
    command += ["--work", str(tmp_path / "work"), "--results", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "superkernel.json").read_text())
    low, high = result["bounds"]
    assert low < result["target"] < high
    assert low <= result["met"][-1]["latency"] <= high
    assert result["random"]["mean"] == pytest.approx(np.mean(result["random"]["tests"]))
    assert result["table"] == "macs.json"
