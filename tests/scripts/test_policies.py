"""The study of policies runs with --quick, and says what its runs say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_policies(tmp_path):
    command = [sys.executable, str(ROOT / "scripts" / "policies.py"), "--quick"]
    command += ["--work", str(tmp_path / "work"), "--results", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "policies.json").read_text())
    assert result["command"] == "python scripts/policies.py --quick"
    for part, names in {
        "policies": {"none", "RandAugment", "policy"},
        "activations": {"ReLU", "SiLU", "found"},
        "together": {"separate", "joint"},
    }.items():
        runs, summary = result[part]["runs"], result[part]["summary"]
        assert summary.keys() == names
        for name in names:
            values = [100 * run["test"][name] for run in runs]
            assert summary[name]["mean"] == pytest.approx(np.mean(values), abs=0.006)
    # The cell that was found first is that of what was found then.
    (run,) = result["together"]["runs"]
    assert run["separate"].partition(" & ")[0].startswith("|")
