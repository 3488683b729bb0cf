"""The names of the tests hold nothing that differs between processes or machines."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
COLLECT = [
    *("-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"),
    *("-o", "addopts=--import-mode=importlib"),  # slow ones too, and one name a line
    "--assert=plain",  # nothing is run, so that nothing need be rewritten
]


def collected(seed: int, folder: Path) -> list[str]:
    """Collect the whole suite in a process of its own, with its own hashes and folders."""
    folder.mkdir()
    environment = os.environ | {"PYTHONHASHSEED": str(seed), "TMPDIR": str(folder)}
    environment = {k: v for k, v in environment.items() if not k.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, *COLLECT], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return [line for line in done.stdout.splitlines() if "::" in line]


# Quick runs on several processes are compared by pytest-xdist.
@pytest.mark.slow
def test_two_processes_collect_the_same_tests_in_the_same_order(tmp_path: Path) -> None:
    # One after the other: an id that holds the time in seconds differs as well.
    first = collected(1, tmp_path / "first")
    second = collected(2, tmp_path / "second")
    assert len(first) > 1000
    assert [pair for pair in zip(first, second, strict=False) if pair[0] != pair[1]] == []
    assert len(first) == len(second) == len(set(first))
    assert [name for name in first if str(ROOT) in name] == []
