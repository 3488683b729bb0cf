"""The scripts of latencies, and of paths that a GPU serves, run with --quick."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("WEAKNAS_DATA", "data")) / "nasbench201"
needs_table = pytest.mark.skipif(
    not (DATA / "latency_27_devices.npz").exists(), reason="no table of latencies in WEAKNAS_DATA"
)


def run(script: str, folder: Path, *arguments: str) -> tuple[dict, str]:
    command = [sys.executable, str(ROOT / "scripts" / f"{script}.py"), "--quick", *arguments]
    command += ["--work", str(folder / "work"), "--results", str(folder)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, env=environment, check=False, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    (result,) = folder.glob("*.json")
    return json.loads(result.read_text()), done.stdout


@pytest.mark.slow
@needs_table
def test_latency_limits(tmp_path: Path) -> None:
    result, _ = run("latency_limits", tmp_path)
    assert result["winners"] == 2
    assert result["ways"]["with confidence, measured in doubt"]["exceed"] == 0
    assert result["ways"]["true latencies"]["exceed"] == 0
    again, _ = run("latency_limits", tmp_path)  # continues, and so has the same rows
    assert again["rows"] == result["rows"]


@pytest.mark.slow
@needs_table
def test_latency_devices(tmp_path: Path) -> None:
    result, out = run("latency_devices", tmp_path)
    assert 0.8 < result["mean_spearman"] <= 1
    assert set(result["devices"]) == {"fpga", "titanx_32"}
    assert "fpga: 0.9" in out


@pytest.mark.slow
def test_latency_blocks(tmp_path: Path) -> None:
    result, _ = run("latency_blocks", tmp_path)
    assert result["networks"] == 4
    assert result["model"]["median_error"] > 0


@pytest.mark.slow
def test_on_gpu(tmp_path: Path) -> None:
    """On the CPU, for a machine without a GPU has that; a path that fails would say so."""
    paths = [word for name in ("train", "latency", "graph-predictors") for word in ("--path", name)]
    result, out = run("on_gpu", tmp_path, "--device", "cpu", *paths)
    assert set(result["paths"]) == {"train", "latency", "graph-predictors"}
    assert result["paths"]["train"]["cpu"]["images_per_second"] > 0
    assert result["paths"]["latency"]["cpu"]["peak_megabytes"] > 0
    assert json.loads(out[: out.rindex("}") + 1])["paths"] == result["paths"]
