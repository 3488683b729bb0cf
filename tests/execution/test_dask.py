"""The same search on a Dask cluster of two worker processes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from execution_judges import SPACE, Judge, all_gone, marks, score

import weaknas
from weaknas.cli import main
from weaknas.errors import InputError, MissingDependencyError
from weaknas.execution import ProcessPool
from weaknas.execution.opening import open_executor
from weaknas.strategies import RandomSearch, RegularizedEvolution

pytest.importorskip("distributed")

from weaknas.execution.dask import DaskExecutor, open_dask


@pytest.fixture(name="cluster", scope="module")
def _cluster() -> Iterator[DaskExecutor]:
    with open_dask(workers=2) as executor:
        yield executor


def address(executor: DaskExecutor) -> str:
    return str(executor.client.scheduler.address)


def evolution() -> RegularizedEvolution:
    return RegularizedEvolution(SPACE, seed=2, population=8, batch_size=5)


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
        evolution(), Judge(tmp_path, 0.01), 30, executor=cluster, asynchronous=True
    )
    assert [trial.number for trial in result.trials] == list(range(30))
    assert {trial.evaluation.status for trial in result.trials} == {"ok"}


def test_a_lost_worker_is_a_trial_with_status(tmp_path: Path, cluster: DaskExecutor) -> None:
    batch = RandomSearch(SPACE).ask(6)
    judge = Judge(tmp_path, faults={batch[1].id: ("killed", 99), batch[4].id: ("killed", 1)})
    result = weaknas.run(RandomSearch(SPACE, batch_size=6), judge, 6, executor=cluster)
    assert result.trials[1].evaluation.status == "worker-died"
    assert "the Dask worker died" in result.trials[1].evaluation.message
    others = [trial for trial in result.trials if trial.number != 1]
    assert [trial.score for trial in others] == [score(t.architecture) for t in others]


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
    assert executor.workers >= 1  # the other one may just be starting again
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


def test_what_to_install(monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingDependencyError, match=r"weaknas\[dask\]"), open_dask():
        pass
