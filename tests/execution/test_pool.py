"""Worker processes that are replaced when they are lost."""

from __future__ import annotations

import errno
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import pytest
from execution_judges import all_gone, is_alive

from weaknas.errors import InputError
from weaknas.execution import ProcessPool, WorkerLost
from weaknas.execution.slot import Slot, oom_kills
from weaknas.execution.worker import BEGUN, answer


@pytest.fixture(name="pool", scope="module")
def _pool() -> Iterator[ProcessPool]:
    with ProcessPool(2, time_limit=60) as pool:
        yield pool


def test_results_and_exceptions_come_back(pool: ProcessPool) -> None:
    futures = [pool.submit(pow, 2, n) for n in range(20)]
    assert [future.result() for future in futures] == [2**n for n in range(20)]
    assert pool.submit(int, "ff", base=16).result() == 255
    with pytest.raises(ValueError, match="invalid literal"):
        pool.submit(int, "ff").result()
    assert list(pool.map(abs, [-1, -2])) == [1, 2]


def test_large_values_come_through(pool: ProcessPool) -> None:
    data = os.urandom(3_000_000)
    assert pool.submit(bytes.upper, data).result() == data.upper()


def test_both_work_at_the_same_time(pool: ProcessPool) -> None:
    processes: set[int] = set()
    end = time.monotonic() + 60  # one of them may just be starting
    while len(processes) < 2 and time.monotonic() < end:
        first = pool.submit(os.getpid)
        pool.submit(time.sleep, 0.02)
        processes |= {first.result(), pool.submit(os.getpid).result()}
    assert len(processes) == 2
    assert os.getpid() not in processes


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("os.kill(os.getpid(), 9)", "worker-died", "killed by SIGKILL"),
        ("os.abort()", "worker-died", "killed by SIGABRT"),
        ("os._exit(7)", "worker-died", "ended by itself with exit code 7"),
        ("sys.exit('enough')", "failed", "SystemExit: enough"),
    ],
)
def test_a_lost_worker_fails_its_own_call_alone(
    pool: ProcessPool, code: str, status: str, reason: str
) -> None:
    beside = pool.submit(time.sleep, 0.2)
    lost = pool.submit(exec, f"import os, sys\n{code}")
    later = [pool.submit(pow, 2, n) for n in range(4)]
    with pytest.raises(WorkerLost, match=reason) as caught:
        lost.result()
    assert caught.value.status == status
    assert beside.result() is None
    assert [future.result() for future in later] == [1, 2, 4, 8]


def test_a_worker_killed_from_outside(pool: ProcessPool) -> None:
    process = pool.submit(os.getpid).result()
    os.kill(process, signal.SIGKILL)  # while it waits: nobody notices
    assert all_gone({process})
    assert [pool.submit(pow, 2, n).result() for n in range(4)] == [1, 2, 4, 8]


def test_a_call_given_to_a_dying_worker_is_made_by_another_one(pool: ProcessPool) -> None:
    process = pool.submit(os.getpid).result()
    os.kill(process, signal.SIGSTOP)  # looks alive, and takes nothing
    given = [pool.submit(pow, 2, n) for n in (3, 4)]
    wait(given, return_when=FIRST_COMPLETED)
    os.kill(process, signal.SIGKILL)
    assert [future.result() for future in given] == [8, 16]


@pytest.mark.parametrize("has_begun", [True, False])
def test_calls_fail_when_the_system_starts_no_more_processes(
    has_begun: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: SpawnProcess) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    take = Slot._take

    def take_all_but_begun(slot: Slot, message: bytes) -> None:
        if message != BEGUN:
            take(slot, message)

    with ProcessPool(2) as pool:
        pool.submit(abs, 1).result(timeout=300)
        monkeypatch.setattr(SpawnProcess, "start", refuse)
        if not has_begun:  # as if the worker died before it has read the call
            monkeypatch.setattr(Slot, "_take", take_all_but_begun)
        asleep, lost = pool.submit(time.sleep, 600), pool.submit(os.kill, 0, signal.SIGKILL)
        for future in (asleep, lost):
            with pytest.raises(BrokenExecutor, match="temporarily unavailable"):
                future.result(timeout=300)


def test_interrupts_of_the_terminal_are_not_theirs(pool: ProcessPool) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        code = f"import os, time\nos.kill(os.getpid(), {int(number)}); time.sleep(0.05)"
        assert pool.submit(exec, code).result() is None
    assert pool.submit(os.getpgrp).result() != os.getpgrp()


def test_more_time_than_it_may_take_ends_with_the_process(tmp_path: Path) -> None:
    note = tmp_path / "pids"
    code = (
        "import os, subprocess, time\n"
        "child = subprocess.Popen(['sleep', '1000'])\n"
        f"open({str(note)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        "time.sleep(1000)"
    )
    with ProcessPool(1, time_limit=4) as pool:
        begin = time.monotonic()
        with pytest.raises(WorkerLost, match=r"not done after 4 s, the time limit") as caught:
            pool.submit(exec, code).result()
        assert caught.value.status == "timeout"
        assert 4 <= caught.value.seconds <= time.monotonic() - begin
        # with what it had started; and the next call has all the time again
        assert all_gone(set(map(int, note.read_text().split())))
        assert pool.submit(time.sleep, 0.5).result() is None


class Imports:
    """What takes a second to arrive, as a call does that imports torch."""

    def __reduce__(self) -> tuple[Any, ...]:
        return time.sleep, (1.0,)


def test_what_a_call_imports_takes_nothing_of_its_time() -> None:
    with ProcessPool(1, time_limit=0.9) as pool:
        assert pool.submit(repr, Imports()).result() == "None"


def test_a_call_that_cannot_be_sent_is_refused(pool: ProcessPool) -> None:
    with pytest.raises(InputError, match="cannot be sent to a worker process"):
        pool.submit(lambda: 1)
    with pytest.raises(InputError, match="cannot be sent"):
        pool.submit(print, threading.Lock())


SESSION = """
import sys
import weaknas
from weaknas.execution import ProcessPool

def train(architecture):
    return 1.0

space = weaknas.ChoiceSpace({"a": list("xyz"), "b": [1, 2]})
with ProcessPool(1) as pool:
    weaknas.run(weaknas.WeakNAS(space), train, 6, executor=pool, output=sys.argv[1])
"""


def test_a_function_of_a_session_ends_the_run_before_anything_is_paid(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SESSION, str(tmp_path)]  # like a notebook it has no file
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    *_, last = done.stderr.strip().splitlines()
    assert last.startswith("weaknas.errors.FaultyEvaluator: cannot be found by a worker process")
    assert "define functions and classes at the top of a module, not in a notebook" in last
    assert (tmp_path / "journal.jsonl").read_bytes().count(b"\n") == 1


def test_an_answer_that_cannot_be_sent_is_an_error_of_the_call() -> None:
    value, error = pickle.loads(answer(pickle.dumps((open, (os.devnull,), {}))))  # noqa: S301
    assert value is None
    assert "cannot pickle" in str(error)


class Stubborn(Exception):
    """Cannot be rebuilt from its arguments."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}")


def _raise_stubborn() -> None:
    raise Stubborn(1, 2)


def test_an_exception_that_cannot_be_rebuilt_keeps_its_message() -> None:
    call = pickle.dumps((_raise_stubborn, (), {}))
    _, error = pickle.loads(answer(call))  # noqa: S301
    assert str(error) == "Stubborn: 1 and 2"


def test_a_lost_worker_can_be_sent() -> None:
    lost = pickle.loads(pickle.dumps(WorkerLost("timeout", "too long", 3.0)))  # noqa: S301
    assert (lost.status, str(lost), lost.seconds) == ("timeout", "too long", 3.0)


def test_closing_waits_for_all_calls() -> None:
    with ProcessPool(1) as pool:
        futures = [pool.submit(time.sleep, 0.05) for _ in range(4)]
        process = pool.submit(os.getpid)
    assert all(future.done() for future in futures)
    assert not is_alive(process.result())
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(abs, 1)
    pool.shutdown()  # again: nothing happens
    pool.kill()


def test_closing_can_drop_what_waits() -> None:
    pool = ProcessPool(1)
    running = pool.submit(time.sleep, 0.5)
    while not running.running():
        time.sleep(0.01)
    waiting = pool.submit(time.sleep, 100)
    pool.shutdown(cancel_futures=True)
    assert running.result() is None
    assert waiting.cancelled()


def test_left_by_an_exception_it_is_killed() -> None:
    begin = time.monotonic()
    pool = ProcessPool(1)
    process = pool.submit(os.getpid).result()
    futures = [pool.submit(time.sleep, 1000), pool.submit(time.sleep, 1000)]
    with pytest.raises(KeyboardInterrupt), pool:
        raise KeyboardInterrupt
    assert time.monotonic() - begin < 60
    for future in futures:
        with pytest.raises(BrokenExecutor, match="closed"):
            future.result()
    assert not is_alive(process)


def test_every_worker_sees_its_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-7")
    note = tmp_path / "gpus"
    code = (
        "import os, time\n"
        f"with open({str(note)!r}, 'a') as file:\n"
        "    file.write(os.environ['CUDA_VISIBLE_DEVICES'] + '\\n')\n"
        f"while open({str(note)!r}).read().count('\\n') < 4: time.sleep(0.01)"
    )
    with ProcessPool(workers_per_gpu=2, time_limit=60) as pool:
        assert pool.workers == 4
        wait([pool.submit(exec, code) for _ in range(4)])  # each keeps its worker busy
    assert sorted(note.read_text().split()) == ["4", "4", "GPU-7", "GPU-7"]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "4,GPU-7"


SCRIPT = """
import os, sys, time
from weaknas.execution import ProcessPool

def main():
    pool = ProcessPool(2)
    pids = [pool.submit(exec, "import os; print(os.getpid(), flush=True); {what}")]
    pids += [pool.submit(exec, "import os; print(os.getpid(), flush=True); {what}")]
    {end}

{guard}main()
"""
GUARD = "if __name__ == '__main__': "


def start(folder: Path, **parts: str) -> subprocess.Popen[str]:
    file = folder / "script.py"
    file.write_text(SCRIPT.format(**{"guard": GUARD, "what": "pass", "end": "pass"} | parts))
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, file], stdout=pipe, stderr=pipe, text=True)


@pytest.mark.parametrize("what", ["pass", "import time; time.sleep(1000)"])
def test_workers_do_not_outlive_a_killed_parent(tmp_path: Path, what: str) -> None:
    running = start(tmp_path, what=what, end="time.sleep(1000)")
    assert running.stdout is not None
    processes = {int(running.stdout.readline()) for _ in range(2)}
    running.kill()
    running.wait()
    assert all_gone(processes)


def test_a_forgotten_pool_does_not_keep_the_process(tmp_path: Path) -> None:
    out, err = start(tmp_path, end="[p.result() for p in pids]").communicate(timeout=300)
    assert err == ""
    assert all_gone(set(map(int, out.split())))


def test_a_script_without_guard_is_told_what_it_lacks(tmp_path: Path) -> None:
    running = start(tmp_path, guard="", end="pids[0].result()")
    _, err = running.communicate(timeout=300)
    assert running.returncode == 1
    assert 'needs the line: if __name__ == "__main__":' in err.splitlines()[-1]


def test_processes_are_started_when_there_are_calls_for_them() -> None:
    """Also with a limit that no clock of the system counts."""
    others = set(multiprocessing.active_children())
    with ProcessPool(1024, time_limit=1e9) as pool:
        process = pool.submit(os.getpid).result()
        assert pool.submit(os.getpid).result() == process
        assert len(set(multiprocessing.active_children()) - others) == 1


@pytest.mark.parametrize("workers", [0, -1])
def test_numbers_of_workers(workers: int) -> None:
    with pytest.raises(InputError, match=f"at least 1, not {workers}"):
        ProcessPool(workers)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_time_limits(seconds: float) -> None:
    with pytest.raises(InputError, match="time_limit must be a number above 0"):
        ProcessPool(1, time_limit=seconds)


def test_processes_killed_for_want_of_memory_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "vmstat"
    assert oom_kills(file) == 0
    file.write_text("pgfault 12\noom_kill 3\noom_kill_other 9\n")
    assert oom_kills(file) == 3
    assert oom_kills() >= 0


def test_a_kill_by_the_system_is_told_from_others(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter([0, 0, 5])  # at the start; at the death; when it is replaced
    monkeypatch.setattr("weaknas.execution.slot.oom_kills", lambda: next(counts, 5))
    with ProcessPool(1) as pool:
        for status in ("worker-died", "worker-died"):
            with pytest.raises(WorkerLost) as caught:
                pool.submit(exec, "import os; os.kill(os.getpid(), 9)").result()
            assert caught.value.status == status
    counts = iter([0, 1])
    with ProcessPool(1) as pool, pytest.raises(WorkerLost, match="want of memory") as caught:
        pool.submit(exec, "import os; os.kill(os.getpid(), 9)").result()
    assert caught.value.status == "out-of-memory"
