"""The scripts of supernets and MobileNets run with --quick."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
ROOT = Path(__file__).resolve().parents[2]


def run(script: str, folder: Path, *arguments: str):
    command = [sys.executable, str(ROOT / "scripts" / f"{script}.py"), "--quick", *arguments]
    command += ["--work", str(folder / "work"), "--results", str(folder / "results")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)


@pytest.mark.slow
def test_supernet_rules(tmp_path: Path) -> None:
    done = run("supernet_rules", tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "results" / "supernet-rules.json").read_text())
    assert set(result["methods"]) == {"sandwich", "alphanet", "attentive"}
    for facts in result["methods"].values():
        assert 0 <= facts["mean"]["mean"] <= facts["best"]["mean"] <= 1
        assert -1 <= facts["kendall_tau"]["mean"] <= 1
        assert facts["processor_seconds"][0] > 0
    assert "gain" not in result["methods"]["sandwich"]["best"]
    assert len(result["alone"]) == result["subnets"] == 3


@pytest.mark.slow
def test_supernet_digits(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    done = run("supernet_digits", tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "results" / "supernet-digits.json").read_text())
    part = result["mobilenetv3"]
    assert all(5.4e5 <= macs <= 6e5 for macs in part["winners"]["macs"])
    assert len(part["winners"]["accuracies"]) == 2
    assert len(part["random_of_the_same_macs"]["accuracies"]) == 3
    assert len(list((tmp_path / "work" / "supernet-digits-quick" / "alone").iterdir())) == 8
    mean = part["winners"]["mean"] - part["random_of_the_same_macs"]["mean"]
    assert part["winners_minus_random"]["mean"] == pytest.approx(mean)
    assert -1 <= result["nasbench201"]["cifar10"]["kendall_tau"] <= 1
    assert (tmp_path / "results" / "supernet-digits.png").exists()


@pytest.mark.slow
def test_train_mobilenet(tmp_path: Path) -> None:
    text = "k33-33-33-33-33_e33-33-33-33-33"
    done = run("train_mobilenet", tmp_path, text, "--width", "0.25", "--resolution", "32")
    assert done.returncode == 0, done.stderr
    card = json.loads((tmp_path / "work" / "mobilenet" / "card.json").read_text())
    assert card["protocol"]["optimizer"] == "rmsprop"
    assert len(card["curve"]) == 2
    assert "test accuracy" in done.stdout


@pytest.mark.slow
def test_mobilenet_imagenet(tmp_path: Path) -> None:
    done = run("mobilenet_imagenet", tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "results" / "mobilenet-imagenet.json").read_text())
    assert result["queries"] == 12
    assert result["costs"]["macs"] <= 15e6
    assert {"weights", "program", "timm", "timm_weights"} <= set(result["files"])


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "mobilenet_imagenet.py")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert done.stderr.startswith("error: --supernet is needed")
