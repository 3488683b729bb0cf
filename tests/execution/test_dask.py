"""The same search on a Dask cluster of two worker processes."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from execution_judges import SPACE, Judge, Noisy, all_gone, marks, score

import weaknas
from weaknas.cli import main
from weaknas.errors import InputError, MissingDependencyError
from weaknas.execution import ProcessPool
from weaknas.execution.opening import open_executor
from weaknas.strategies import RandomSearch, RegularizedEvolution, Repeating

pytest.importorskip("distributed")

from weaknas.execution.dask import DaskExecutor, open_dask


@pytest.fixture(name="shared_cluster", scope="module")
def _shared_cluster() -> Iterator[DaskExecutor]:
    with open_dask(workers=2) as executor:
        yield executor


@pytest.fixture(name="cluster")
def _cluster(shared_cluster: DaskExecutor) -> DaskExecutor:
    shared_cluster.client.wait_for_workers(2)  # one may just be starting again
    return shared_cluster


def address(executor: DaskExecutor) -> str:
    return str(executor.client.scheduler.address)


def evolution() -> RegularizedEvolution:
    return RegularizedEvolution(SPACE, seed=2, population=8, batch_size=5)


@pytest.mark.slow
def test_the_same_trials_as_by_the_process_pool(tmp_path: Path, cluster: DaskExecutor) -> None:
    found = []
    for name, executor in {"pool": ProcessPool(2), "dask": cluster}.items():
        (tmp_path / name).mkdir()
        result = weaknas.run(
            evolution(), Judge(tmp_path / name), 40, executor=executor,
            output=tmp_path / name / "run",
        )  # fmt: skip
        found.append([t.to_dict() | {"seconds": 0} for t in result.trials])
        assert len({process for _, _, process in marks(tmp_path / name)}) == 2
        if isinstance(executor, ProcessPool):
            executor.shutdown()
    assert found[0] == found[1]


def test_asynchronously(tmp_path: Path, cluster: DaskExecutor) -> None:
    assert cluster.workers == 2
    result = weaknas.run(
        Repeating(evolution(), repeats=2, confirm=3),
        Noisy(tmp_path, 0.01),
        30,
        executor=cluster,
        asynchronous=True,
    )
    assert [trial.number for trial in result.trials] == list(range(30))
    begun = [key for event, key, _ in marks(tmp_path) if event == "begin"]
    assert len(begun) == len(set(begun)) == 30  # no repeat is paid twice
    assert {trial.repeat for trial in result.trials} >= {0, 1, 2}
    assert {trial.evaluation.status for trial in result.trials} == {"ok"}


@pytest.mark.slow
def test_a_lost_worker_is_a_trial_with_status(tmp_path: Path, cluster: DaskExecutor) -> None:
    batch = RandomSearch(SPACE).ask(6)
    judge = Judge(tmp_path, faults={batch[1].id: ("killed", 99), batch[4].id: ("killed", 1)})
    result = weaknas.run(RandomSearch(SPACE, batch_size=6), judge, 6, executor=cluster)
    assert result.trials[1].evaluation.status == "worker-died"
    assert "the Dask worker died" in result.trials[1].evaluation.message
    others = [trial for trial in result.trials if trial.number != 1]
    assert [trial.score for trial in others] == [score(t.architecture) for t in others]


@pytest.mark.slow
def test_more_time_than_it_may_take_ends_with_the_process(
    tmp_path: Path, cluster: DaskExecutor
) -> None:
    batch = RandomSearch(SPACE).ask(4)
    judge = Judge(tmp_path, faults={batch[0].id: ("hang", 99), batch[2].id: ("raise", 99)})
    executor = DaskExecutor(cluster.client, 2, time_limit=6)
    result = weaknas.run(RandomSearch(SPACE, batch_size=4), judge, 4, executor=executor, retries=0)
    assert [t.evaluation.status for t in result.trials] == ["timeout", "ok", "failed", "ok"]
    assert result.trials[0].evaluation.message == "not done after 6 s, the time limit"
    (process,) = {p for _, key, p in marks(tmp_path) if key == batch[0].id}
    assert all_gone({process})


def test_own_errors_of_a_call_come_back(cluster: DaskExecutor) -> None:
    executor = DaskExecutor(cluster.client, time_limit=30)
    assert executor.workers == 2
    assert executor.submit(pow, 2, 5).result() == 32
    with pytest.raises(ValueError, match="invalid literal"):
        executor.submit(int, "ff").result()


def test_by_address_and_by_scheduler_file(tmp_path: Path, cluster: DaskExecutor) -> None:
    with open_executor("dask", scheduler=address(cluster)) as executor:
        assert isinstance(executor, DaskExecutor)
        assert executor.submit(pow, 2, 5).result() == 32
    file = {"type": "Scheduler", "address": address(cluster), "workers": {}}
    (tmp_path / "scheduler.json").write_text(json.dumps(file))
    with open_executor("dask", 7, scheduler=str(tmp_path / "scheduler.json")) as executor:
        assert isinstance(executor, DaskExecutor)
        assert executor.workers == 7
        assert executor.submit(pow, 2, 5).result() == 32


def test_the_command_line(cluster: DaskExecutor, capsys: pytest.CaptureFixture[str]) -> None:
    how = ["search", "--budget", "6", "--strategy", "random", "--batch-size", "3", "--json"]
    best = []
    for more in (["--executor", "dask", "--scheduler", address(cluster)], []):
        with pytest.raises(SystemExit) as end:
            main([*how, *more])
        assert end.value.code == 0
        best.append(json.loads(capsys.readouterr().out.splitlines()[-1])["best"])
    assert best[0] == best[1]


def test_nobody_at_the_address() -> None:
    config = pytest.importorskip("dask.config")
    begin = time.monotonic()
    with (
        config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(InputError, match=r"no Dask scheduler at 'tcp://127.0.0.1:1'"),
        open_dask("tcp://127.0.0.1:1"),
    ):
        pass
    assert time.monotonic() - begin < 30
    with (
        pytest.raises(InputError, match="no Dask scheduler at 'nonsense://x'"),
        open_dask("nonsense://x"),
    ):
        pass


def test_a_scheduler_without_workers(cluster: DaskExecutor, monkeypatch: Any) -> None:
    monkeypatch.setattr(cluster.client, "nthreads", dict)
    with pytest.raises(InputError, match="no worker yet"):
        DaskExecutor(cluster.client)


@pytest.fixture(name="lonely")
def _lonely(cluster: DaskExecutor, monkeypatch: pytest.MonkeyPatch) -> DaskExecutor:
    """An executor whose scheduler has no worker, and waits no time for one."""
    executor = DaskExecutor(cluster.client, 2, worker_timeout=0)
    monkeypatch.setattr(executor, "_threads", lambda: 0)
    return executor


def test_without_a_worker_the_run_ends_with_one_line(tmp_path: Path, lonely: DaskExecutor) -> None:
    address = re.escape(str(lonely.client.scheduler.address))
    message = f"the Dask scheduler at {address} had no worker for 0 s, the time that is waited"
    with pytest.raises(ChildProcessError, match=f"{message}; what was measured is kept"):
        weaknas.run(evolution(), Judge(tmp_path), 9, executor=lonely, output=tmp_path / "run")
    assert len((tmp_path / "run" / "journal.jsonl").read_bytes().splitlines()) == 1


def test_a_stop_ends_the_waiting_for_a_worker(tmp_path: Path, lonely: DaskExecutor) -> None:
    lonely.worker_timeout, asked = 1e9, 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 3

    result = weaknas.run(evolution(), Judge(tmp_path), 9, executor=lonely, stop=stop)
    assert len(result.trials) == 0


def test_what_a_worker_cannot_import_ends_the_run_with_one_line(
    tmp_path: Path, cluster: DaskExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As does a worker without weaknas, in the slow test."""
    module = ModuleType("only_here")
    exec("def judge(architecture):\n    return 1.0\n", vars(module))
    monkeypatch.setitem(sys.modules, "only_here", module)
    with pytest.raises(InputError, match=r"worker cannot load what .* 'only_here'"):
        weaknas.run(evolution(), module.judge, 9, executor=cluster)


def test_more_workers_take_more(tmp_path: Path) -> None:
    """No call waits behind another one, and workers that come are used."""

    class Elastic(Executor):
        workers, under_way, most = 4, 0, 0

        def capacity(self) -> int:
            return 1 if self.most < 1 else 3

        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            assert self.under_way <= 3
            future: Future[Any] = Future()
            threading.Timer(0.01, self.end, (future, fn, args)).start()
            return future

        def end(self, future: Future[Any], fn: Any, args: Any) -> None:
            self.under_way -= 1
            future.set_result(fn(*args))

    executor = Elastic()
    weaknas.run(evolution(), Judge(tmp_path), 20, executor=executor)
    assert executor.most == 3


# -- as the docs have it: processes of their own, on hosts of their own -----------------------


def dask_process(*arguments: str, prefix: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    command = [*prefix, sys.executable, "-m", "dask", *arguments, "--no-dashboard"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture(name="host")
def _host() -> Iterator[tuple[str, list[str]]]:
    """A second host, a network namespace: our address as seen from there, and what runs there."""
    name, number = f"weaknas{os.getpid()}", os.getpid() % 250
    ours, theirs = f"10.213.{number}.1", f"10.213.{number}.2"
    inside = ["ip", "netns", "exec", name]
    setup = [
        ["ip", "netns", "add", name],
        ["ip", "link", "add", f"wn{os.getpid()}", "type", "veth", "peer", "wn0", "netns", name],
        ["ip", "address", "add", f"{ours}/24", "dev", f"wn{os.getpid()}"],
        ["ip", "link", "set", f"wn{os.getpid()}", "up"],
        [*inside, "ip", "address", "add", f"{theirs}/24", "dev", "wn0"],
        [*inside, "ip", "link", "set", "wn0", "up"],
        [*inside, "ip", "link", "set", "lo", "up"],
    ]
    try:
        for command in setup:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"no network namespace: {done.stderr.strip()}")
        yield ours, inside
    except FileNotFoundError:
        pytest.skip("no network namespace: the program ip is not installed")
    finally:
        if shutil.which("ip"):
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


@pytest.mark.slow
def test_workers_on_another_host(tmp_path: Path, host: tuple[str, list[str]]) -> None:
    ours, inside = host
    (tmp_path / "bare.py").write_text('import sys\nsys.modules["weaknas"] = None\n')
    bare = ["--preload", str(tmp_path / "bare.py")]
    with socket.socket() as probe:
        probe.bind((ours, 0))
        port = probe.getsockname()[1]
    address = f"tcp://{ours}:{port}"
    search = [
        sys.executable,
        "-m",
        "weaknas",
        "search",
        "--strategy",
        "random",
        "--batch-size",
        "4",
    ]
    search += ["--budget", "12", "--json"]
    there = [*search, "--executor", "dask", "--scheduler", address]

    def call(command: Sequence[str], *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *options], capture_output=True, text=True, check=False)

    processes = [dask_process("scheduler", "--host", ours, "--port", str(port), *bare)]
    try:
        # Started first: it waits for the workers, which are two.
        waiting = subprocess.Popen([*there, "--jobs", "2", "--output", str(tmp_path / "run")])
        processes.append(waiting)
        worker = ["worker", address, "--nthreads", "1"]
        workers = [dask_process(*worker, prefix=inside) for _ in range(2)]
        processes += workers
        assert waiting.wait(300) == 0
        trials = [read_trials(tmp_path / "run")]
        assert call(search, "--output", str(tmp_path / "here")).returncode == 0
        trials.append(read_trials(tmp_path / "here"))
        assert trials[0] == trials[1]

        for process in workers:
            process.terminate()
            process.wait(60)
        lost = call(there, "--jobs", "2", "--worker-timeout", "1", "--output", str(tmp_path / "no"))
        assert lost.returncode == 1
        assert "had no worker for 1 s" in lost.stderr.splitlines()[-1]

        lacking = dask_process(*worker, *bare, prefix=inside)
        processes.append(lacking)
        without = call(there, "--jobs", "1", "--output", str(tmp_path / "bare"))
        assert without.returncode == 2
        assert "a Dask worker cannot load" in without.stderr.splitlines()[-1]

        lacking.terminate()  # else the next search ends by it before the scheduler is gone
        lacking.wait(60)
        last = [*there, "--jobs", "1", "--output", str(tmp_path / "gone")]
        waiting = subprocess.Popen(last, stderr=subprocess.PIPE, text=True)
        processes.append(waiting)
        while waiting.poll() is None and not (tmp_path / "gone" / "journal.jsonl").exists():
            time.sleep(0.1)  # till it has connected
        processes[0].terminate()
        errors = waiting.communicate(timeout=300)[1]
        assert waiting.returncode == 1
        assert f"the Dask scheduler at {address} is gone" in errors
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(60)


def read_trials(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "journal.jsonl").read_text().splitlines()[1:]
    names = ("number", "repeat", "architecture", "status", "score")
    trials = [{name: json.loads(line)[name] for name in names} for line in lines]
    return sorted(trials, key=lambda trial: trial["number"])


def test_what_to_install(monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingDependencyError, match=r"weaknas\[dask\]"), open_dask():
        pass
