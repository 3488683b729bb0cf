"""Propose one whenever one is done; continue from the order in the journal."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from execution_judges import SPACE, score

import weaknas
from weaknas.errors import InputError
from weaknas.evaluators import Evaluation, evaluation_seed
from weaknas.runs.runner import Result
from weaknas.runs.trials import Trial
from weaknas.spaces import Architecture
from weaknas.strategies import (
    Hyperband,
    LocalSearch,
    RandomSearch,
    RegularizedEvolution,
    Reinforce,
    Repeating,
    SimulatedAnnealing,
    Strategy,
)

STRATEGIES: dict[str, Callable[[], Strategy]] = {
    "random": lambda: RandomSearch(SPACE, seed=1),
    "evolution": lambda: RegularizedEvolution(SPACE, seed=1, population=6, tournament=3),
    "local-search": lambda: LocalSearch(SPACE, seed=1),
    "annealing": lambda: SimulatedAnnealing(SPACE, seed=1),
    "reinforce": lambda: Reinforce(SPACE, seed=1),
    "hyperband": lambda: Hyperband(SPACE, resources=(1.0, 3.0, 9.0), seed=1),
    "weaknas": lambda: weaknas.WeakNAS(SPACE, encoder="one-hot", seed=1, initial=6),
}
WORKERS, BUDGET = 3, 30


class Sleeper:
    """Takes a time drawn at random, so that evaluations end in any order.

    None ends before so many were under way together.
    """

    def __init__(self, seed: int = 0, together: int = 1) -> None:
        self.chance, self.paid = random.Random(seed), []  # type: ignore[var-annotated]
        self.under_way, self.most, self.together = 0, 0, together
        self.changed = threading.Condition()

    def evaluate(
        self, architecture: Architecture, *, seed: int, fidelity: float | None = None
    ) -> Evaluation:
        with self.changed:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            self.paid.append((architecture.id, fidelity))
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.most >= self.together, timeout=60)
        time.sleep(self.chance.random() / 200)
        with self.changed:
            self.under_way -= 1
        if architecture.genotype[0] == 2 and architecture.genotype[1] == 2:
            raise RuntimeError("diverged")
        return Evaluation(score(architecture) + (fidelity or 0), cost=1.0)

    def describe(self) -> dict[str, Any]:
        return {"sleeper": 1}


def search(
    strategy: Strategy, judge: Any, folder: Path | None = None, workers: int = WORKERS, **more: Any
) -> Result:
    with ThreadPoolExecutor(workers) as executor:
        return weaknas.run(
            strategy,
            judge,
            BUDGET,
            executor=executor,
            workers=workers,
            asynchronous=True,
            output=folder,
            **more,
        )


@pytest.mark.parametrize("name", STRATEGIES)
def test_as_many_are_pending_as_there_are_workers(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    strategy, judge = STRATEGIES[name](), Sleeper(together=WORKERS)
    pending: list[int] = []
    asked: Callable[[int | None], list[Architecture]] = strategy.ask

    def ask(n: int | None = None) -> list[Architecture]:
        pending.append(len(strategy.pending))
        return asked(n)

    monkeypatch.setattr(strategy, "ask", ask)
    result = search(strategy, judge)
    assert judge.most == WORKERS
    assert len(result.trials) == BUDGET == len(set(judge.paid))
    assert [trial.number for trial in result.trials] == list(range(BUDGET))
    assert pending[:WORKERS] == [0, 1, 2]
    if name != "hyperband":  # whose rungs end with fewer
        assert set(pending[WORKERS:]) == {WORKERS - 1}
        rounds = [trial.round for trial in result.trials]
        assert rounds == [0] * WORKERS + list(range(1, BUDGET - WORKERS + 1))


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("ends", [(1,), (4, 17, 18)], ids=str)
def test_a_run_that_is_continued_pays_nothing_twice(
    tmp_path: Path, name: str, ends: tuple[int, ...]
) -> None:
    journal = tmp_path / "journal.jsonl"
    before = b""
    for attempt, end in enumerate(ends):
        done: list[Trial] = []

        def dies(trial: Trial, done: list[Trial] = done, end: int = end) -> None:
            done.append(trial)
            if len(done) == end:
                raise KeyboardInterrupt

        judge = Sleeper(attempt)
        with pytest.raises(KeyboardInterrupt):
            search(STRATEGIES[name](), judge, tmp_path, progress=dies)
        assert not known(before) & set(judge.paid)
        assert journal.read_bytes().startswith(before)
        before = journal.read_bytes()
        assert len(known(before)) == end
    judge = Sleeper(99)
    result = search(STRATEGIES[name](), judge, tmp_path)
    assert not known(before) & set(judge.paid)
    assert len(judge.paid) == BUDGET - ends[-1]
    assert len(result.trials) == BUDGET == len(known(journal.read_bytes()))
    # finished: the journal alone brings the same again
    again = Sleeper()
    replayed = search(STRATEGIES[name](), again, tmp_path)
    assert not again.paid
    assert [t.to_dict() for t in replayed.trials] == [t.to_dict() for t in result.trials]


def known(journal: bytes) -> set[tuple[str, float | None]]:
    records = [json.loads(line) for line in journal.splitlines()[1:]]
    pairs = {(SPACE.architecture(r["architecture"]["genotype"]).id, r["fidelity"]) for r in records}
    assert len(pairs) == len(records)
    return pairs


class Noisy(Sleeper):
    """Of an architecture there are three trainings, told apart by their seeds."""

    def trainings(self, architecture: Architecture) -> float:
        return 3

    def evaluate(
        self, architecture: Architecture, *, seed: int, fidelity: float | None = None
    ) -> Evaluation:
        found = super().evaluate(architecture, seed=seed, fidelity=float(seed % 3))
        return replace(found, fidelity=fidelity)


REPEATING: dict[str, Callable[[], Strategy]] = {
    "auto": lambda: Repeating(STRATEGIES["evolution"](), confirm="auto"),
    "end": lambda: Repeating(STRATEGIES["evolution"](), repeats=2, confirm=3),
    "weaknas": STRATEGIES["weaknas"],
}


@pytest.mark.parametrize("name", REPEATING)
def test_no_repeat_is_paid_twice(tmp_path: Path, name: str) -> None:
    paid: list[tuple[str, float | None]] = []
    for attempt, end in enumerate((7, 22, BUDGET)):  # the last repeats come after the 24th
        done: list[Trial] = []

        def dies(trial: Trial, done: list[Trial] = done, end: int = end) -> None:
            done.append(trial)
            if len(done) == end < BUDGET:
                raise KeyboardInterrupt

        judge = Noisy(attempt)
        with suppress(KeyboardInterrupt):
            result = search(REPEATING[name](), judge, tmp_path, progress=dies)
        kept = {(trial.architecture.id, trial.repeat) for trial in done}
        assert len(kept) == len(done) == end
        assert len(set(judge.paid)) == len(judge.paid)
        assert not set(paid) & set(judge.paid)
        paid = [
            (t.architecture.id, float(evaluation_seed(1, t.architecture, t.repeat) % 3))
            for t in done
        ]
    if name != "weaknas":  # which repeats where it promises more, so by the order of what ended
        assert {trial.repeat for trial in result.trials} >= {0, 1}
    assert len(set(paid)) == BUDGET
    again = Noisy()
    replayed = search(REPEATING[name](), again, tmp_path)
    assert not again.paid
    assert replayed.contenders == result.contenders


def test_the_proposals_of_random_search_do_not_depend_on_the_order() -> None:
    whole = weaknas.run(STRATEGIES["random"](), Sleeper(), BUDGET)
    mixed = search(STRATEGIES["random"](), Sleeper())
    assert [t.architecture for t in whole.trials] == [t.architecture for t in mixed.trials]


@pytest.mark.parametrize("name", ["evolution", "weaknas"])
def test_alone_it_is_a_search_of_one_at_a_time(name: str) -> None:
    one = STRATEGIES[name]()
    here = weaknas.run(one, Sleeper(), BUDGET, asynchronous=True)
    there = search(STRATEGIES[name](), Sleeper(), workers=1)
    assert [t.architecture for t in here.trials] == [t.architecture for t in there.trials]
    assert [t.round for t in here.trials] == list(range(BUDGET))


def test_the_cost_ends_it_with_what_is_under_way() -> None:
    with ThreadPoolExecutor(WORKERS) as executor:
        result = weaknas.run(
            STRATEGIES["random"](), Sleeper(), budget_cost=10.0, executor=executor,
            workers=WORKERS, asynchronous=True,
        )  # fmt: skip
    assert 10.0 <= result.cost <= 10.0 + WORKERS - 1


def test_a_run_of_rounds_or_of_more_workers_is_another_run(tmp_path: Path) -> None:
    search(STRATEGIES["random"](), Sleeper(), tmp_path)
    with pytest.raises(InputError, match="asynchronous = 3, not 2"):
        search(STRATEGIES["random"](), Sleeper(), tmp_path, workers=2)
    with pytest.raises(InputError, match="asynchronous = 3, not null"):
        weaknas.run(STRATEGIES["random"](), Sleeper(), BUDGET, output=tmp_path)


def test_the_number_of_workers_must_be_known() -> None:
    with ThreadPoolExecutor(2) as executor, pytest.raises(InputError, match="pass workers"):
        weaknas.run(STRATEGIES["random"](), Sleeper(), BUDGET, executor=executor, asynchronous=True)
