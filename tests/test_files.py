"""Locks of folders and files: one writer at a time, and nobody kept out for good."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from weaknas.errors import InputError
from weaknas.files import lock

pytestmark = pytest.mark.skipif(os.name != "posix", reason="locks of the system")

HOLD = (
    "import sys; from pathlib import Path; from weaknas.files import lock\n"
    "with lock(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
)


@pytest.fixture(params=["folder", "file"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path if request.param == "folder" else tmp_path / "made.json"


def test_one_at_a_time(target: Path, tmp_path: Path) -> None:
    with lock(target):
        with pytest.raises(InputError, match="in use by another process"), lock(target):
            pass
        with pytest.raises(InputError, match="in use by another process"), lock(target):
            pass  # who was refused took nothing away
    assert list(tmp_path.iterdir()) == []
    with lock(target):
        pass


def test_the_lock_of_a_killed_process_keeps_nobody_out(target: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(target)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="in use"), lock(target):
            pass
        other.kill()
    with lock(target):
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


def test_two_locks_of_one_folder_do_not_exclude_those_of_files(tmp_path: Path) -> None:
    with lock(tmp_path), lock(tmp_path / "a"), lock(tmp_path / "b"):
        assert len(list(tmp_path.iterdir())) == 3


def test_many_threads_are_never_inside_together(target: Path) -> None:
    inside, most, entered = 0, 0, 0
    count = threading.Lock()

    def work() -> None:
        nonlocal inside, most, entered
        while True:
            try:
                with lock(target):
                    with count:
                        inside += 1
                        most, entered = max(most, inside), entered + 1
                    with count:
                        inside -= 1
                return
            except InputError:
                continue

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, entered) == (1, 8)
