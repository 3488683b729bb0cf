"""What killed processes leave of files half written and of temporary folders goes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from weaknas.files import lock, remove_leftovers, temporary_folder, write_atomically

pytestmark = pytest.mark.skipif(os.name != "posix", reason="locks of the system")


@pytest.fixture(params=["folder", "file"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path if request.param == "folder" else tmp_path / "made.json"


WRITE = """
import sys
from pathlib import Path
from weaknas.files import temporary_folder, write_atomically

def write(path):
    path.write_bytes(b"half")
    print(path.name, flush=True)
    sys.stdin.read()

with temporary_folder("weaknas-tests-") as folder:
    print(folder, flush=True)
    write_atomically(Path(sys.argv[1]), write)
"""


@pytest.fixture
def writing(target: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path, Path]]:
    """A process in the midst of writing a file, the file, and its temporary folder."""
    path = tmp_path / "made.json"
    with subprocess.Popen(
        [sys.executable, "-c", WRITE, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        half = tmp_path / process.stdout.readline().strip()
        assert half.read_bytes() == b"half"
        assert folder.is_dir()
        yield process, half, folder
        process.kill()


def test_what_a_killed_process_left_goes_with_the_next_lock(
    target: Path, writing: tuple[subprocess.Popen[str], Path, Path], tmp_path: Path
) -> None:
    process, half, folder = writing
    others = [tmp_path / name for name in (".made.json.lock", ".mine", "made.json.0123456789ab")]
    with temporary_folder("weaknas-tests-") as ours:
        assert folder.is_dir()  # of a process that lives
        process.kill()
        process.wait()
    assert not ours.exists()
    assert half.exists()
    for path in others[1:]:
        path.touch()
    with lock(target):
        assert not half.exists()
    assert all(path.exists() for path in others[1:])
    with temporary_folder("weaknas-tests-"):
        assert not folder.exists()


def test_young_leftovers_stay_where_others_may_be_writing(tmp_path: Path) -> None:
    half = tmp_path / ".table.parquet.0123456789ab"
    half.touch()
    remove_leftovers(tmp_path, "table.parquet", age=3600)
    assert half.exists()
    os.utime(half, (0, 0))
    remove_leftovers(tmp_path, "other.parquet")
    assert half.exists()
    remove_leftovers(tmp_path, "table.parquet", age=3600)
    assert not half.exists()


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def write(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        write_atomically(tmp_path / "a", write)
    assert not list(tmp_path.iterdir())
