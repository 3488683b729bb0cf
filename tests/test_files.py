"""Files that people give are read within limits; outputs have one writer and stay in one place."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import weaknas
from weaknas.errors import InputError
from weaknas.evaluators import TabularBenchmark
from weaknas.files import (
    MOST_DEEP,
    lock,
    plain,
    prepare_file,
    prepare_folder,
    read_bytes,
    read_csv,
    read_json,
    read_toml,
)
from weaknas.laboratory.contestants import Contestant
from weaknas.laboratory.experiment import Experiment
from weaknas.laboratory.ranking import Ranking, rank
from weaknas.laboratory.results import compare
from weaknas.spaces import ChoiceSpace
from weaknas.strategies import RandomSearch

pytestmark = pytest.mark.skipif(os.name != "posix", reason="locks of the system")

HOLD = (
    "import sys; from pathlib import Path; from weaknas.files import lock\n"
    "with lock(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
)


@pytest.fixture(params=["folder", "file"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path if request.param == "folder" else tmp_path / "made.json"


# -- reading ----------------------------------------------------------------------------------


def nested(depth: int, form: str = "json") -> bytes:
    text = "[" * depth + "1" + "]" * depth
    return (text if form == "json" else f"a = {text}").encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is damaged: Expecting property name"),
        (b"\xff", "is damaged: 'utf-8' codec can't decode"),
        (nested(MOST_DEEP + 1), "is damaged: it is nested more than 100 deep"),
        (b'{"a": ' * 101 + b"1" + b"}" * 101, "is damaged: it is nested more than 100 deep"),
        (nested(10**6), "is damaged: it is nested too deeply"),
        (b"1" * 5000, "is damaged: Exceeds the limit"),
        (b"", "is damaged: Expecting value"),
    ],
    ids=range(7),
)
def test_json_that_is_none_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_json(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a = [", "cannot be read: "),
        (b"\xff", "cannot be read: 'utf-8' codec can't decode"),
        (nested(MOST_DEEP, "toml"), "cannot be read: it is nested more than 100 deep"),
        (nested(10**5, "toml"), "cannot be read: it is nested too deeply"),
        (b"a = " + b"1" * 5000, "cannot be read: Exceeds the limit"),
        (b"a = 1\na = 2", "cannot be read: Cannot overwrite"),
    ],
    ids=range(6),
)
def test_toml_that_is_none_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_toml(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1\n", "row 2 has 1 cells where the first has 2"),
        (b"a,a\n1,2\n", "a column name is there twice: a"),
        (b"a,b\n1,\xff\n", "codec can't decode"),
        (b'a,b\n1,"2\n', "unexpected end of data"),
        (b"a,b\n1," + b"2" * 200_000, "field larger than field limit"),
    ],
    ids=range(5),
)
def test_csv_that_is_none_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_csv(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_csv_by_hand(mark: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    text = '\ufeff\na, b ,"c,;|x"\r\n\r\n1,"2,;|\n3", \r\n'
    path.write_text(text.replace(",", mark).replace(f"{mark};|", ",;|"), encoding="utf-8")
    assert read_csv(path) == {"a": ["1"], "b": ["2,;|\n3"], "c,;|x": [""]}
    path.write_text("a,b\n", encoding="utf-8")
    assert read_csv(path) == {"a": [], "b": []}
    path.write_text("", encoding="utf-8")
    assert read_csv(path) == {}


def test_the_deepest_that_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(nested(MOST_DEEP))
    value = read_json(path)
    for _ in range(MOST_DEEP):
        (value,) = value
    assert value == 1


@pytest.mark.parametrize("read", [read_bytes, read_csv, read_json, read_toml])
def test_what_is_no_file_that_ends_is_refused(
    read: Callable[[Path], object], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place, message in (
        ("/dev/zero", "it is no regular file"),
        (tmp_path / "pipe", "it is no regular file"),  # nobody writes to it: it would wait
        (tmp_path, "it is a folder"),
        (tmp_path / "none", "no such file"),
        (tmp_path / "pipe" / "none", "no such file"),
        (tmp_path / ("n" * 300), "File name too long"),
        ("a\0b", "null byte"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            read(Path(place))
        assert "\n" not in str(caught.value)


def test_files_that_are_too_large_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(10**12)  # takes no room
    with pytest.raises(InputError, match=r"it has 1,000,000,000,000 bytes; at most 67,108,864"):
        read_json(path)
    with pytest.raises(InputError, match="at most 10 are read"):
        read_bytes(path, most=10)


# -- locks ------------------------------------------------------------------------------------


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


# -- places of outputs ------------------------------------------------------------------


def test_what_is_prepared_stays_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert prepare_folder("a/b") == tmp_path / "a" / "b"
    assert prepare_file("c/d.json") == tmp_path / "c" / "d.json"
    assert prepare_file(Path("e.json")) == tmp_path / "e.json"
    with pytest.raises(InputError, match="cannot write a: it is a folder"):
        prepare_file("a")


def _table() -> TabularBenchmark:
    space = ChoiceSpace({"a": list(range(6)), "b": list(range(5))})
    return TabularBenchmark(space, {"genotype": space.enumerate(), "score": np.arange(30.0)})


def _search(output: str, wander: Callable[..., None]) -> None:
    benchmark = _table()
    result = weaknas.run(
        RandomSearch(benchmark.space), benchmark, 4, output=output, progress=wander
    )
    assert result.output == Path(output)


def _compare(output: str, wander: Callable[..., None]) -> None:
    experiment = Experiment("mine", {"table": _table}, {"random": RandomSearch}, 2, 6)
    compare(experiment, output, progress=wander)


def _rank(output: str, wander: Callable[..., None]) -> None:
    ranking = Ranking("mine", _table, {"linear": Contestant("linear")}, (5,), 2)
    rank(ranking, output, progress=wander)


@pytest.mark.usefixtures("quick_processes")
@pytest.mark.parametrize("work", [_search, _compare, _rank])
def test_a_relative_output_is_one_folder_wherever_the_work_goes(
    work: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    work("output", lambda *_: os.chdir(elsewhere))
    assert Path.cwd() == elsewhere
    assert list(elsewhere.iterdir()) == []
    assert len(list((tmp_path / "output").iterdir())) >= 2


def test_what_json_lacks_is_made_plain() -> None:
    made = plain({"n": np.int64(3), "x": [np.float32(0.5), math.nan], "flags": np.array([True])})
    assert made == {"n": 3, "x": [0.5, "NaN"], "flags": [True]}
    with pytest.raises(InputError, match="is no plain JSON type"):
        plain({"space": object()})


def test_tables_with_very_many_columns_are_read(tmp_path):
    path = tmp_path / "wide.csv"
    names = [f"column{number}" for number in range(40_000)]
    path.write_text(",".join(names) + "\n" + ",".join("1" * 40_000) + "\n")
    assert list(read_csv(path)) == names


def test_integers_beyond_64_bits_are_no_toml(tmp_path):
    path = tmp_path / "space.toml"
    path.write_text(f"name = 0x{'f' * 5000}")
    with pytest.raises(InputError, match="an integer has more than 64 bits"):
        read_toml(path)
    path.write_text(f"a = {2**63 - 1}\nb = {-(2**63)}")
    assert read_toml(path) == {"a": 2**63 - 1, "b": -(2**63)}
