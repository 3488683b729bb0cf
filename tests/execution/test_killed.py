"""Workers and coordinator killed at random moments, again and again: nothing is lost."""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from execution_judges import SPACE, Judge, all_gone, marks
from killed_search import judge, strategy

import weaknas
from weaknas.evaluators import evaluation_seed

SCRIPT = Path(__file__).with_name("killed_search.py")
#: Evaluations of a worker that is to be killed, after which it hangs: however late the kills
#: come, the budget is not used up by them.
MOST = 4
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class Killed:
    """A run in a folder that is started and killed."""

    def __init__(self, folder: Path, mode: str, budget: int) -> None:
        self.folder, self.journal = folder, folder / "run" / "journal.jsonl"
        self.judge = judge(mode)(folder)
        self.command = [sys.executable, str(SCRIPT), str(folder), mode, str(budget)]
        self.chance = random.Random(mode)

    def start(self, most: float = math.inf) -> subprocess.Popen[bytes]:
        command = [*self.command, str(most)]
        return subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE)

    def finish(self) -> None:
        running = self.start()
        _, err = running.communicate(timeout=300)
        assert running.returncode == 0, err.decode()

    def kill(self) -> None:
        """Start, let some evaluations begin, kill a worker and a moment later all of it."""
        running, before = self.start(MOST), len(self.begun())
        wanted = before + self.chance.randint(1, 5)
        end = time.monotonic() + 300
        while len(self.begun()) < wanted and running.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        self.pause()
        worker = self.chance.choice(self.begun()[-2:])[1]
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
        self.pause()
        assert running.poll() is None, "the budget is too small for so many kills"
        running.kill()
        running.communicate()
        assert all_gone({process for _, process in self.begun()[before:]})

    def pause(self) -> None:
        time.sleep(self.chance.choice([0, 0, 0.02, 0.1, 0.4]) * self.chance.random())

    def begun(self) -> list[tuple[str, int]]:
        return [(key, process) for event, key, process in marks(self.folder) if event == "begin"]

    def key(self, record: dict[str, Any]) -> str:
        """What the evaluation of a record was marked with."""
        architecture = SPACE.architecture(record["architecture"]["text"])
        return self.judge.key(architecture, evaluation_seed(3, architecture, record["repeat"]))

    def records(self) -> list[dict[str, Any]]:
        """The whole lines of the journal."""
        content = self.journal.read_bytes() if self.journal.exists() else b""
        return [json.loads(line) for line in content.split(b"\n")[1:-1]]


def facts(record: dict[str, Any]) -> tuple[Any, ...]:
    text = record["architecture"]["text"]
    return record["number"], text, record["repeat"], record["score"], record["status"]


def kill_and_check(run: Killed, times: int) -> None:
    kept: list[dict[str, Any]] = []
    for _ in range(times):
        begun = len(run.begun())
        run.kill()
        records = run.records()
        assert records[: len(kept)] == kept, "a result was lost"
        done = {run.key(record) for record in kept}
        assert not done & {key for key, _ in run.begun()[begun:]}, "a result was paid twice"
        kept = records
    begun = len(run.begun())
    run.finish()
    assert run.records()[: len(kept)] == kept
    assert not {run.key(record) for record in kept} & {key for key, _ in run.begun()[begun:]}


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "times", "budget"), [("repeats", 3, 45), ("rounds", 4, 60)])
def test_killed_again_and_again_it_ends_with_the_same_trials(
    tmp_path: Path, mode: str, times: int, budget: int
) -> None:
    run = Killed(tmp_path, mode, budget)
    kill_and_check(run, times)
    (tmp_path / "whole").mkdir()
    whole = weaknas.run(strategy(mode), judge(mode)(tmp_path / "whole"), budget)
    expected = [facts(trial.to_dict()) for trial in whole.trials]
    assert sorted(map(facts, run.records())) == expected
    # the journal says all: no evaluation is left to pay
    before = len(run.begun())
    run.finish()
    assert len(run.begun()) == before


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["random-asynchronous", "evolution-asynchronous"])
def test_asynchronously_too(tmp_path: Path, mode: str) -> None:
    budget = 45
    run = Killed(tmp_path, mode, budget)
    kill_and_check(run, 3)
    records = sorted(map(facts, run.records()))
    assert [number for number, *_ in records] == list(range(budget))
    assert len({text for _, text, *_ in records}) == budget
    assert {status for *_, status in records} == {"ok"}
    if mode == "random-asynchronous":  # proposals do not depend on the order of results
        whole = weaknas.run(strategy(mode), Judge(tmp_path), budget)
        assert records == [facts(trial.to_dict()) for trial in whole.trials]
    before = len(run.begun())
    run.finish()  # the same proposals again, or it would complain of its journal
    assert len(run.begun()) == before
