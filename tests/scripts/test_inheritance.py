"""The study of inherited weights runs with --quick, and says what its runs say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_inheritance(tmp_path):
    command = [sys.executable, str(ROOT / "scripts" / "inheritance.py"), "--quick"]
    command += ["--work", str(tmp_path / "work"), "--results", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "inheritance.json").read_text())
    (run,) = result["runs"]
    # A child that has all of its parent answers as it does.
    assert run["larger"]["at_first"] == pytest.approx(run["accuracy"], abs=1e-9)
    assert len(run["mutant"]["inherited"]) == len(run["mutant"]["scratch"]) == 1
    assert result["summary"]["larger"]["largest_change_at_first"] < 1e-9
