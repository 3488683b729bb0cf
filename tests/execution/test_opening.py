"""Which executor the options of the command line ask for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from weaknas.errors import InputError
from weaknas.execution import ProcessPool
from weaknas.execution.opening import open_executor

ROOT = Path(__file__).resolve().parent.parent.parent
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def opened(*arguments: Any, **options: Any) -> tuple[type[Executor | None], int]:
    with open_executor(*arguments, **options) as executor:
        return type(executor), getattr(executor, "workers", 1)


def test_by_default_there_is_none() -> None:
    assert opened() == (type(None), 1)
    assert opened(jobs=1) == (type(None), 1)


def test_processes_where_an_option_needs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert opened(jobs=2) == (ProcessPool, 2)
    assert opened(time_limit=9.0) == (ProcessPool, 1)
    assert opened("process") == (ProcessPool, 1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert opened(workers_per_gpu=2) == (ProcessPool, 2)
    assert opened("process") == (ProcessPool, 1)
    assert opened(jobs=1) == (type(None), 1)


def test_threads() -> None:
    kind, workers = opened("thread", 3)
    assert issubclass(kind, ThreadPoolExecutor)
    assert workers == 3


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("proces",), {}, "unknown executor 'proces'; did you mean 'process'"),
        ((None, 0), {}, "jobs must be at least 1, not 0"),
        (("thread", -2), {}, "jobs must be at least 1, not -2"),
        (("process",), {"scheduler": "x:1"}, "scheduler x:1 goes with the executor 'dask'"),
        ((None,), {"scheduler": "x:1"}, "scheduler x:1 goes with the executor 'dask'"),
        (("thread",), {"workers_per_gpu": 1}, "workers_per_gpu goes with the executor 'process'"),
        (("thread",), {"time_limit": 1.0}, "a thread cannot be ended"),
        (("process",), {"worker_timeout": 9.0}, "worker_timeout goes with the executor 'dask'"),
        ((None,), {"time_limit": 0.0}, "time_limit must be a number above 0"),
        ((None,), {"workers_per_gpu": 2}, "no GPU is visible"),
    ],
)
def test_what_does_not_go_together(
    arguments: tuple[Any, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message), open_executor(*arguments, **options):
        pass


def _fail(executor: Executor | None) -> None:
    raise OSError("the disk is full")


def test_threads_left_by_an_error_take_no_more() -> None:
    with pytest.raises(OSError, match="disk"), open_executor("thread", 1) as executor:
        _fail(executor)
    assert executor is not None
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(int)


@pytest.mark.slow
def test_the_script_of_the_overhead_prints_the_share(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "execution_overhead.py"), "--quick"]
    environment = ENVIRONMENT | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["mode"] for row in rows] == ["rounds", "asynchronous"]
    for row in rows:
        assert row["evaluations"] == 20
        inside = row["seconds_each"] * row["evaluations"] / (2 * row["seconds_wall"])
        assert row["share_inside"] == pytest.approx(inside, rel=0.02)
        assert 0 < row["share_inside"] <= 1
