"""Training a supernet in two processes, as on two GPUs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
ROOT = Path(__file__).resolve().parent.parent.parent

SCRIPT = """
import os, sys
from dataclasses import replace
from pathlib import Path
import torch
sys.path.insert(0, {tests!r})
from conftest import make_dataset
from weaknas.spaces.mobilenetv3 import MobileNetV3
from weaknas.supernets.trainer import DEFAULT, SupernetTrainer
from weaknas.training.checkpoints import Checkpoint

space = MobileNetV3(0.1, 8, classes=4, channels=1, strides=(2, 2, 1, 1, 1, 1))
protocol = replace(DEFAULT, epochs=1, batch_size=32, warmup=0.0)
folder = Path(sys.argv[1])
trainer = SupernetTrainer(space, make_dataset(), protocol, threads=1, random=1,
                          checkpoint=Checkpoint(folder / "checkpoint.pt", {{}}))
training = trainer.run()
state = {{"losses": training.losses, "probes": training.probes,
          "weights": dict(training.network.named_parameters())}}
torch.save(state, folder / f"rank{{os.environ['RANK']}}.pt")
"""


@pytest.mark.slow
def test_two_processes_train_the_same_weights(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT.format(tests=str(Path(__file__).parent)))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*command, str(script), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in (0, 1))
    for name, weight in first["weights"].items():
        assert torch.equal(weight, second["weights"][name]), name
    assert first["losses"] == second["losses"]
    assert (set(first["probes"]), second["probes"]) == ({"largest", "smallest"}, {})
    assert (tmp_path / "checkpoint.pt").exists()
