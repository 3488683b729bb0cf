"""A journal that cannot be written stops the run, torn nowhere, to be continued."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from execution_judges import SPACE, Judge, marks

import weaknas
from weaknas.execution import ProcessPool
from weaknas.strategies import RandomSearch

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
SEARCH = [sys.executable, "-m", "weaknas", "search", "--budget", "10", "--strategy", "random"]


def command(folder: Path, *options: str, room: int | None = None) -> tuple[int, str]:
    """Search with files that may not grow beyond so many bytes."""

    def limit() -> None:
        if room is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    done = subprocess.run(
        [*SEARCH, "--output", "run", *options],
        cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, preexec_fn=limit,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "options",
    [(), pytest.param(("--jobs", "2"), marks=pytest.mark.slow)],
    ids=["here", "processes"],
)
def test_the_command_stops_with_one_line(tmp_path: Path, options: tuple[str, ...]) -> None:
    journal = tmp_path / "run" / "journal.jsonl"
    code, err = command(tmp_path, *options, room=3500)
    errors = [line for line in err.splitlines() if line.startswith("error:")]
    assert code == 1, err
    assert len(errors) == 1
    assert "cannot write" in errors[0]
    assert "journal.jsonl" in errors[0]
    assert "what was measured before is kept" in errors[0]
    assert "Traceback" not in err
    content = journal.read_bytes()
    assert len(content) <= 3500
    assert content.endswith(b"\n")
    kept = [json.loads(line) for line in content.splitlines()]
    assert 1 <= len(kept) - 1 < 10
    code, err = command(tmp_path, *options)
    assert code == 0, err
    assert journal.read_bytes().startswith(content)
    assert len(journal.read_bytes().splitlines()) == 11


def test_a_full_disk_under_running_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaving the pool by the error ends the workers; what they were at is paid again."""
    written = 0
    fsync = os.fsync

    def full(handle: int) -> None:
        nonlocal written
        written += 1
        if written == 6:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    def strategy() -> RandomSearch:
        return RandomSearch(SPACE, batch_size=10)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left") as caught, ProcessPool(2) as pool:
            weaknas.run(strategy(), Judge(tmp_path), 10, executor=pool, output=tmp_path / "run")
        assert caught.value.errno == errno.ENOSPC
    content = (tmp_path / "run" / "journal.jsonl").read_bytes()
    assert content.count(b"\n") == len(content.splitlines()) < 6
    kept = [json.loads(line)["architecture"]["text"] for line in content.splitlines()[1:]]
    before = len(marks(tmp_path))
    result = weaknas.run(strategy(), Judge(tmp_path), 10, output=tmp_path / "run")
    paid = {key for event, key, _ in marks(tmp_path)[before:]}
    assert not paid & {SPACE.architecture(text).id for text in kept}
    assert len(result.trials) == 10


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--jobs", "1", "--executor", "process")])
def test_a_disk_too_full_for_checkpoints_fails_no_architecture(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    pytest.importorskip("torch")
    train = ("--dataset", "digits", "--evaluator", "train:epochs=1", *options)
    code, err = command(tmp_path, *train, room=20_000)
    assert code == 1, err
    assert "cannot write the checkpoint" in err
    assert "Traceback" not in err
    assert len((tmp_path / "run" / "journal.jsonl").read_bytes().splitlines()) == 1
