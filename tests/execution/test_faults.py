"""Whatever happens to a worker is a trial with status and reason, and stops nothing."""

from __future__ import annotations

import json
import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest
from execution_judges import SPACE, Judge, marks, score

import weaknas
from weaknas.errors import DeviceLost, InputError
from weaknas.evaluators import Evaluation
from weaknas.execution import ProcessPool
from weaknas.execution.evaluations import _Shared
from weaknas.spaces import Architecture
from weaknas.strategies import RandomSearch

LIMIT = 5  # seconds
STATUS = {
    "killed": ("worker-died", "the worker process was killed by SIGKILL"),
    "exit": ("worker-died", "the worker process ended by itself with exit code 3"),
    "hang": ("timeout", f"not done after {LIMIT} s, the time limit"),
    "memory": ("out-of-memory", "out of memory"),
    "nan": ("invalid", "the score is nan"),
    "raise": ("failed", "RuntimeError: diverged"),
    "sys.exit": ("failed", "SystemExit: 3"),
}
ALWAYS = 99


def proposals(n: int, batch: int | None = None) -> list[Architecture]:
    """What random search proposes, so many at a time."""
    strategy, size = RandomSearch(SPACE), batch or n
    return [architecture for _ in range(n // size) for architecture in strategy.ask(size)]


def count(folder: Path, architecture: Architecture) -> int:
    return sum(line[:2] == ("begin", architecture.id) for line in marks(folder))


@pytest.mark.slow
@pytest.mark.parametrize("asynchronous", [False, True])
def test_every_fault_is_a_trial_and_every_other_result_is_kept(
    tmp_path: Path, asynchronous: bool
) -> None:
    batch = proposals(15, 1 if asynchronous else 15)
    faults = {batch[2 * i + 1].id: (kind, ALWAYS) for i, kind in enumerate(STATUS)}
    with ProcessPool(2, time_limit=LIMIT) as pool:
        result = weaknas.run(
            RandomSearch(SPACE, batch_size=15),
            Judge(tmp_path, faults=faults),
            15,
            executor=pool,
            retries=0,
            asynchronous=asynchronous,
            output=tmp_path / "run",
        )
    assert [trial.architecture for trial in result.trials] == batch
    for trial in result.trials:
        if trial.architecture.id not in faults:
            assert trial.score == score(trial.architecture)
            continue
        kind, _ = faults[trial.architecture.id]
        assert (trial.evaluation.status, trial.evaluation.message) == STATUS[kind]
        assert (trial.evaluation.cost >= LIMIT) == (kind == "hang")
    assert all(count(tmp_path, architecture) == 1 for architecture in batch)
    lines = (tmp_path / "run" / "journal.jsonl").read_text().splitlines()[1:]
    assert sorted(json.loads(line)["status"] for line in lines) == sorted(
        ["ok"] * 8 + [status for status, _ in STATUS.values()]
    )


@pytest.mark.slow
def test_only_what_may_go_well_another_time_is_tried_again(tmp_path: Path) -> None:
    batch = proposals(7)
    faults = {architecture.id: (kind, 1) for architecture, kind in zip(batch, STATUS, strict=True)}
    with ProcessPool(2, time_limit=LIMIT) as pool:
        result = weaknas.run(
            RandomSearch(SPACE, batch_size=7), Judge(tmp_path, faults=faults), 7, executor=pool
        )
    for trial, kind in zip(result.trials, STATUS, strict=True):
        again = kind in {"killed", "exit", "hang", "memory"}
        assert trial.evaluation.status == ("ok" if again else STATUS[kind][0])
        assert count(tmp_path, trial.architecture) == (2 if again else 1)


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_how_often_it_is_tried_again(tmp_path: Path, retries: int) -> None:
    (architecture,) = proposals(1)
    judge = Judge(tmp_path, faults={architecture.id: ("memory", ALWAYS)})
    result = weaknas.run(RandomSearch(SPACE), judge, 3, retries=retries)
    assert [trial.is_ok for trial in result.trials] == [False, True, True]
    assert count(tmp_path, architecture) == 1 + retries


def test_negative_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="retries must be at least 0, not -1"):
        weaknas.run(RandomSearch(SPACE), Judge(tmp_path), 3, retries=-1)
    with ProcessPool(1) as pool, pytest.raises(InputError, match="workers must be at least 1"):
        weaknas.run(RandomSearch(SPACE), Judge(tmp_path), 3, executor=pool, workers=0)


def test_an_evaluator_that_cannot_be_sent_is_refused() -> None:
    with ProcessPool(1) as pool, pytest.raises(InputError, match="cannot be sent to a worker"):
        weaknas.run(RandomSearch(SPACE), lambda a: 1.0, 3, executor=pool)


def test_a_broken_executor_ends_the_run_and_harms_no_trial(tmp_path: Path) -> None:
    """The standard library's pool fails everything when one process dies."""
    batch = proposals(6, 2)
    judge = Judge(tmp_path, faults={batch[3].id: ("killed", 1)})
    strategy = RandomSearch(SPACE, batch_size=2)
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(1, mp_context=context) as executor,
        pytest.raises(
            ChildProcessError, match=r"executor is broken: .*; what was measured is kept"
        ),
    ):
        weaknas.run(strategy, judge, 6, executor=executor, output=tmp_path / "run")
    result = weaknas.run(RandomSearch(SPACE, batch_size=2), judge, 6, output=tmp_path / "run")
    assert [trial.score for trial in result.trials] == [score(a) for a in batch]


class Elsewhere(Executor):
    """Does something before each call."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self.act = act

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            self.act()
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def test_an_unknown_error_of_the_executor_is_a_trial(tmp_path: Path) -> None:
    def act() -> None:
        raise ConnectionError("the host is gone")

    result = weaknas.run(RandomSearch(SPACE), Judge(tmp_path), 2, executor=Elsewhere(act))
    assert [trial.evaluation.status for trial in result.trials] == ["worker-died"] * 2
    assert result.trials[0].evaluation.message.endswith("ConnectionError: the host is gone")


def test_an_executor_that_refuses_ends_the_run(tmp_path: Path) -> None:
    class Refusing(Elsewhere):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            raise BrokenProcessPool("no more")

    with pytest.raises(ChildProcessError, match="broken: no more"):
        weaknas.run(RandomSearch(SPACE), Judge(tmp_path), 2, executor=Refusing(int))


class Gathering(Executor):
    """Answers nothing before it has so many; keeps count of how many it had."""

    def __init__(self, most: int) -> None:
        self.most, self.peak = most, 0
        self._waiting: list[tuple[Future[Any], Any]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._waiting.append((future, fn(*args, **kwargs)))
        self.peak = max(self.peak, len(self._waiting))
        while len(self._waiting) >= self.most:
            done, value = self._waiting.pop()
            done.set_result(value)
            self.most = max(1, self.most - 1) if len(self._waiting) else self.most
        return future


@pytest.mark.parametrize(("workers", "most"), [(None, 6), (1, 1), (6, 6), (9, 6)])
def test_the_executor_has_no_more_at_a_time_than_workers(
    tmp_path: Path, workers: int | None, most: int
) -> None:
    executor = Gathering(most)
    strategy = RandomSearch(SPACE, batch_size=6)
    weaknas.run(strategy, Judge(tmp_path), 6, executor=executor, workers=workers)
    assert executor.peak == most


def test_stopping_keeps_what_runs_and_begins_nothing(tmp_path: Path) -> None:
    judge = Judge(tmp_path, 0.05)
    strategy = RandomSearch(SPACE, batch_size=8)
    with ProcessPool(2) as pool:
        result = weaknas.run(
            strategy, judge, 24, executor=pool, stop=lambda: len(marks(tmp_path)) >= 5,
            output=tmp_path / "run",
        )  # fmt: skip
    seen = marks(tmp_path)
    begun = [key for event, key, _ in seen if event == "begin"]
    assert sorted(begun) == sorted(key for event, key, _ in seen if event == "end")
    assert sorted(begun) == sorted(trial.architecture.id for trial in result.trials)
    assert 2 <= len(begun) < 8  # within the first round
    rest = weaknas.run(RandomSearch(SPACE, batch_size=8), judge, 24, output=tmp_path / "run")
    assert len(rest.trials) == 24
    paid = [key for event, key, _ in marks(tmp_path) if event == "begin"]
    assert len(paid) == len(set(paid)) == 24


def test_what_is_lost_while_stopping_is_no_trial(tmp_path: Path) -> None:
    """Cluster managers end workers and coordinator together."""
    batch = proposals(2)
    judge = Judge(tmp_path, 0.0, {batch[0].id: ("killed", 1)})
    with ProcessPool(1) as pool:
        result = weaknas.run(
            RandomSearch(SPACE, batch_size=2), judge, 2, executor=pool,
            stop=lambda: bool(marks(tmp_path)), output=tmp_path / "run",
        )  # fmt: skip
    assert not result.trials
    result = weaknas.run(RandomSearch(SPACE, batch_size=2), judge, 2, output=tmp_path / "run")
    assert [trial.score for trial in result.trials] == [score(a) for a in batch]


class Loader:
    """Loads its data once a process, and says how often it did."""

    loads = 0

    def __init__(self) -> None:
        self.data: bytes | None = None

    def evaluate(
        self, architecture: Architecture, *, seed: int, fidelity: float | None = None
    ) -> Evaluation:
        if self.data is None:
            self.data = b"loaded"
            Loader.loads += 1
        return Evaluation(float(Loader.loads))

    def describe(self) -> dict[str, Any]:
        return {}


def test_a_process_keeps_what_an_evaluator_has_loaded() -> None:
    first, second = _Shared(Loader()), _Shared(Loader())
    copies = [pickle.loads(pickle.dumps(first)) for _ in range(2)]  # noqa: S301
    assert copies[0].value is copies[1].value is not first.value
    assert pickle.loads(pickle.dumps(second)).value is not copies[0].value  # noqa: S301


@pytest.mark.slow
def test_a_process_that_lost_its_gpu_is_replaced(tmp_path: Path) -> None:
    batch = proposals(8)
    with ProcessPool(1) as pool:
        result = weaknas.run(
            RandomSearch(SPACE, batch_size=8),
            Judge(tmp_path, faults={batch[2].id: ("gpu", 1), batch[5].id: ("gpu", ALWAYS)}),
            8,
            executor=pool,
            retries=1,
        )
    statuses = [trial.evaluation.status for trial in result.trials]
    assert statuses == ["ok"] * 5 + ["worker-died"] + ["ok"] * 2
    assert "(CUDA error: device-side assert triggered)" in result.trials[5].evaluation.message
    processes = [process for event, _, process in marks(tmp_path) if event == "begin"]
    assert len(set(processes)) == 4  # after each of three losses another one
    assert processes == sorted(processes, key=processes.index)  # none comes back


def test_without_processes_to_replace_a_lost_gpu_stops_the_run(tmp_path: Path) -> None:
    batch = proposals(6, 1)
    judge = Judge(tmp_path, faults={batch[3].id: ("gpu", 1)})

    def search() -> weaknas.Result:
        return weaknas.run(RandomSearch(SPACE, batch_size=1), judge, 6, output=tmp_path / "run")

    with pytest.raises(DeviceLost, match=r"no more \(CUDA error: .* triggered\); .* is kept"):
        search()
    assert len((tmp_path / "run" / "journal.jsonl").read_text().splitlines()) == 1 + 3
    assert [trial.architecture for trial in search().trials] == batch
    assert count(tmp_path, batch[0]) == 1
