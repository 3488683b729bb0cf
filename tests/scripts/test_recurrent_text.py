"""The script of recurrent cells runs with --quick."""

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
def test_recurrent_text(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "recurrent_text.py"), "--quick"]
    command += ["--work", str(tmp_path / "work"), "--results", str(tmp_path / "results")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "results" / "recurrent-text.json").read_text())
    cells = result["cells"]
    assert {name: len(part["cells"]) for name, part in cells.items()} == dict.fromkeys(
        ("weaknas", "enas", "uniform draws", "darts", "random"), 2
    )
    for part in cells.values():
        assert part["mean"] == pytest.approx(np.mean(part["perplexities"]))
        gap = part["mean"] - cells["random"]["mean"]
        assert part["minus_random"]["mean"] == pytest.approx(gap)
    assert result["text"]["about"]["python"] == "{}.{}".format(*sys.version_info[:2])
    means = [
        weights["mean"]
        for kind in result["controller"].values()
        for name, weights in kind.items()
        if name != "different"
    ]
    assert len(means) == 4
    assert all(1 < mean < 1e5 for mean in means)


@pytest.mark.slow
def test_supernet_and_search_of_recurrent_cells(tmp_path: Path, capsys) -> None:
    from weaknas.cli import main

    file, folder = tmp_path / "text.txt", tmp_path / "run"
    file.write_text("the cat sat on the mat and the dog sat on the cat . " * 60)
    data = ["--dataset", "text", "--data", str(file)]
    common = ["--network", "width=6", "--epochs", "1", "--output", str(tmp_path / "shared")]

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as stopped:
            main(list(arguments))
        assert stopped.value.code == 0
        return capsys.readouterr().out

    assert "validation perplexity of" in run(
        "train-supernet", "recurrent:nodes=3", *data, *common, "--method", "enas"
    )
    judge = (
        f"supernet:checkpoint={tmp_path / 'shared' / 'supernet.pt'}:path={tmp_path / 'text.txt'}"
    )
    space = ["search", "recurrent:nodes=3", "--budget", "6", "--initial", "3"]
    assert "perplexity  " in run(*space, "--evaluator", judge, "--dataset", "text")
    train = f"train:epochs=1:skeleton.width=6:path={tmp_path / 'text.txt'}"
    told = run(
        *space[:3],
        "3",
        "--evaluator",
        train,
        "--dataset",
        "text",
        "--output",
        str(tmp_path / "run"),
    )
    assert "test perplexity" in told
    card = (folder / "winner" / "README.md").read_text()
    assert "A language model whose architecture was chosen" in card
    import torch

    from weaknas.spaces.recurrent import Recurrent
    from weaknas.training.export import load_network

    network = load_network(folder / "winner", Recurrent(nodes=3))
    assert network(torch.zeros(2, 35, dtype=torch.int64)).shape[0] == 2
