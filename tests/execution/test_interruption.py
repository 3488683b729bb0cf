"""Ctrl-C once: finish what runs. Twice: leave now."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from execution_judges import all_gone, marks

from weaknas.execution import Interruption

SCRIPT = Path(__file__).with_name("interrupted_search.py")
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
STOPPING = "stopping: what is running is finished and kept; interrupt again to leave now\n"
EXECUTORS = {
    "here": ["--jobs", "1"],
    "process": ["--jobs", "2"],
    "asynchronous": ["--jobs", "2", "--asynchronous"],
    "thread": ["--jobs", "2", "--executor", "thread"],
}


def start(folder: Path, options: list[str]) -> subprocess.Popen[str]:
    """Start a search in a process group, as a terminal does, and wait for its first work."""
    running = subprocess.Popen(
        [sys.executable, SCRIPT, folder, *options],
        env=ENVIRONMENT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    end = time.monotonic() + 300
    while not marks(folder) and running.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    return running


def interrupt(running: subprocess.Popen[str], number: signal.Signals) -> None:
    """Send a signal and wait for the answer to it: two that wait together count once."""
    os.killpg(running.pid, number)
    assert running.stderr is not None
    lines = iter(running.stderr.readline, "")
    assert any(line == STOPPING for line in lines), running.poll()


def trials(folder: Path) -> list[str]:
    records = (folder / "run" / "journal.jsonl").read_text().splitlines()[1:]
    return sorted("".join(map(str, json.loads(r)["architecture"]["genotype"])) for r in records)


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("here", signal.SIGINT),
        pytest.param("process", signal.SIGINT, marks=pytest.mark.slow),
        pytest.param("process", signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param("asynchronous", signal.SIGINT, marks=pytest.mark.slow),
        ("thread", signal.SIGINT),
    ],
)
def test_once_it_finishes_what_runs(tmp_path: Path, kind: str, number: signal.Signals) -> None:
    running = start(tmp_path, EXECUTORS[kind])
    interrupt(running, number)
    (tmp_path / "go").touch()
    out, err = running.communicate(timeout=300)
    assert running.returncode == 130, err
    assert out == ""
    assert "interrupted; what was written is kept" in err
    assert "Traceback" not in err
    seen = marks(tmp_path)
    begun = sorted(key for event, key, _ in seen if event == "begin")
    assert begun == sorted(key for event, key, _ in seen if event == "end") == trials(tmp_path)
    assert 1 <= len(begun) <= (1 if kind == "here" else 2)
    if kind == "process":  # and goes on where it stopped
        again = start(tmp_path, EXECUTORS[kind])
        out, err = again.communicate(timeout=300)
        assert again.returncode == 0, err
        assert json.loads(out)["queries"] == 12
        paid = [key for event, key, _ in marks(tmp_path) if event == "begin"]
        assert len(paid) == len(set(paid)) == 12


@pytest.mark.parametrize("kind", ["here", "process", "thread"])
def test_twice_it_leaves_now(tmp_path: Path, kind: str) -> None:
    running = start(tmp_path, EXECUTORS[kind])
    interrupt(running, signal.SIGINT)
    assert running.poll() is None
    os.killpg(running.pid, signal.SIGINT)
    _, err = running.communicate(timeout=300)  # what runs would not end by itself
    assert running.returncode == 130, err
    assert err.count("interrupted; what was written is kept") == 1
    assert "Traceback" not in err
    assert all_gone({process for _, _, process in marks(tmp_path)})
    assert trials(tmp_path) == []


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Interruption() as interruption:
        assert not interruption()
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_another_thread_changes_no_handlers() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def inside() -> None:
        with Interruption() as interruption:
            seen.append((signal.getsignal(signal.SIGINT), interruption()))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [(before, False)]
