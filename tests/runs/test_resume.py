"""Killed at any moment and started again, a run ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time

import pytest

import weaknas
from weaknas.errors import InputError
from weaknas.runs.records import decode, encode
from weaknas.spaces.nasbench201 import NASBench201

CELLS = NASBench201()

SCRIPT = """
import os, sys, time
import weaknas

trained = 0

def train(architecture):
    global trained
    time.sleep(0.01)
    trained += 1
    if trained > int(os.environ.get("TRAININGS", "60")):
        time.sleep(1000)
    if architecture.id.endswith("11"):
        raise RuntimeError("did not converge")
    weights = (3.1, 2.7, 1.9, 4.2, 0.6, 1.3)
    loss = sum(w * (v - 3) ** 2 for w, v in zip(weights, architecture.genotype))
    return weaknas.Evaluation(90 - loss / 7, {"loss": loss / 7}, cost=loss)

space = weaknas.get_space("nasbench201")
options = {"n_estimators": 8} if sys.argv[2] == "random-forest" else {}
predictor = weaknas.get_predictor(sys.argv[2], **options)
search = weaknas.WeakNAS(space, predictor=predictor, encoder="one-hot", seed=4, batch_size=4)
weaknas.run(search, train, budget=60, output=sys.argv[1])
"""
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


#: Trainings of a process that is to be killed, after which it waits for that: enough to reach
#: the next moment, too few to finish however late the kill comes.
TRAININGS = {"TRAININGS": "19"}


def start(command, folder, **environment):
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=folder, env=ENVIRONMENT | environment, **pipes)


def finish(command, folder):
    running = start(command, folder)
    _, err = running.communicate(timeout=300)
    assert running.returncode == 0, err.decode()


def kill_after(command, folder, journal, lines, delay):
    """Kill a run a moment after its journal has so many lines; tell whether it was running."""
    running = start(command, folder, **TRAININGS)
    end = time.monotonic() + 300
    while running.poll() is None and time.monotonic() < end:
        if journal.exists() and journal.read_bytes().count(b"\n") >= lines:
            time.sleep(delay)
            break
        time.sleep(0.002)
    alive = running.poll() is None and time.monotonic() < end
    running.send_signal(signal.SIGKILL)
    running.wait()
    running.stderr.close()
    return alive


def without_seconds(journal):
    """The journal, byte for byte apart from the times and the checksums over them."""
    return re.sub(
        rb'"seconds":[^,}]*,"time":[^,}]*,"check":"[^"]*"', b'"seconds":0', journal.read_bytes()
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("predictor", "moments"), [("gp", (1, 18)), ("random-forest", (18,))], ids=["gp", "forest"]
)
def test_killed_again_and_again(tmp_path, predictor, moments):
    command = [sys.executable, "-c", SCRIPT, "run", predictor]
    (tmp_path / "whole").mkdir()
    (tmp_path / "broken").mkdir()
    finish(command, tmp_path / "whole")
    whole = tmp_path / "whole" / "run" / "journal.jsonl"
    assert whole.read_bytes().count(b"\n") == 61
    journal = tmp_path / "broken" / "run" / "journal.jsonl"
    chance = random.Random(predictor)
    for lines in moments:
        assert kill_after(command, tmp_path / "broken", journal, lines, chance.random() / 25)
        assert without_seconds(whole).startswith(
            without_seconds(journal)[: without_seconds(journal).rfind(b"\n") + 1]
        )
    finish(command, tmp_path / "broken")
    assert without_seconds(journal) == without_seconds(whole)
    results = [json.loads((file.parent / "result.json").read_text()) for file in (journal, whole)]
    for result in results:
        del result["seconds_strategy"], result["seconds_total"]
    assert results[0] == results[1]


def test_the_command_line_killed_and_called_again(tmp_path):
    command = [sys.executable, "-m", "weaknas", "search", "--budget", "30", "--output"]
    finish([*command, "whole"], tmp_path)
    journal = tmp_path / "broken" / "journal.jsonl"
    kill_after([*command, "broken"], tmp_path, journal, 20, 0.0)
    assert 20 <= journal.read_bytes().count(b"\n") <= 31
    finish([*command, "broken"], tmp_path)
    assert without_seconds(journal) == without_seconds(tmp_path / "whole" / "journal.jsonl")


# -- in this process ------------------------------------------------------------------------


class Trainer:
    """Counts what is paid; dies at a call, as a machine does."""

    def __init__(self, dies_at=None):
        self.dies_at, self.paid = dies_at, []

    def evaluate(self, architecture, *, seed, fidelity=None):
        if len(self.paid) == self.dies_at:
            raise KeyboardInterrupt
        self.paid.append(architecture.id)
        return weaknas.Evaluation(float(sum(architecture.genotype)) + seed % 7)

    def describe(self):
        return {"trainer": 1}


def search(**options):
    return weaknas.WeakNAS(CELLS, **{"seed": 0, "initial": 6, "batch_size": 5} | options)


@pytest.mark.parametrize("dies_at", [0, 3, 6, 8, 11, 29])
@pytest.mark.parametrize("acquisition", ["ei", "thompson", "top-n-decay"])
def test_nothing_is_paid_twice(tmp_path, dies_at, acquisition):
    whole = weaknas.run(search(acquisition=acquisition), Trainer(), budget=30)
    first, second = Trainer(dies_at), Trainer()
    with pytest.raises(KeyboardInterrupt):
        weaknas.run(search(acquisition=acquisition), first, budget=30, output=tmp_path)
    result = weaknas.run(search(acquisition=acquisition), second, budget=30, output=tmp_path)
    assert first.paid + second.paid == [t.architecture.id for t in whole.trials]
    assert result.trials.scores.tolist() == whole.trials.scores.tolist()
    third = Trainer()  # finished: nothing is left to pay
    again = weaknas.run(search(acquisition=acquisition), third, budget=30, output=tmp_path)
    assert third.paid == []
    assert again.to_dict()["best"] == result.to_dict()["best"]


def test_records_of_a_batch_may_be_in_any_order(tmp_path):
    weaknas.run(search(), Trainer(), budget=16, output=tmp_path)
    journal = tmp_path / "journal.jsonl"
    header, *records = journal.read_bytes().splitlines(keepends=True)
    # of the second round (trials 6 to 10) only 10 and 7 came back before the crash
    journal.write_bytes(b"".join([header, *records[:6], records[10], records[7]]))
    trainer = Trainer()
    result = weaknas.run(search(), trainer, budget=16, output=tmp_path)
    assert len(trainer.paid) == 8
    assert [t.number for t in result.trials] == list(range(16))
    numbers = [json.loads(line)["number"] for line in journal.read_bytes().splitlines()[1:]]
    assert sorted(numbers) == list(range(16))


def test_a_hole_in_the_journal_is_refused(tmp_path):
    weaknas.run(search(), Trainer(), budget=16, output=tmp_path)
    journal = tmp_path / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    content = b"".join(lines[:4] + lines[5:])
    journal.write_bytes(content)
    with pytest.raises(InputError, match="lacks the trial 3; nothing was changed"):
        weaknas.run(search(), Trainer(), budget=16, output=tmp_path)
    assert journal.read_bytes() == content


def test_trials_of_another_search_are_refused(tmp_path):
    weaknas.run(search(), Trainer(), budget=16, output=tmp_path)
    journal = tmp_path / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    first, second = (decode(line.strip())[0] for line in lines[1:3])
    other = encode(first | {"architecture": second["architecture"]})
    content = b"".join([lines[0], other, *lines[2:]])
    journal.write_bytes(content)
    with pytest.raises(InputError, match="trial 0 of the journal is"):
        weaknas.run(search(), Trainer(), budget=16, output=tmp_path)
    assert journal.read_bytes() == content


def test_a_function_as_encoder_does_not_stand_in_the_way(tmp_path):
    code = (
        "import sys, weaknas; from sklearn.preprocessing import FunctionTransformer\n"
        "def encode(rows): return rows * 1.0\n"
        "space, encoder = weaknas.get_space('nasbench201'), FunctionTransformer(encode)\n"
        "search = weaknas.WeakNAS(space, encoder=encoder)\n"
        "weaknas.run(search, lambda a: float(sum(a.genotype)), budget=8, output=sys.argv[1])"
    )
    for _ in range(2):  # another process, another address of the function
        finish([sys.executable, "-c", code, "run"], tmp_path)
