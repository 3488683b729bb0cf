"""More budget continues a run as if it had had that from the beginning; less says so."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import weaknas
from weaknas.errors import InputError
from weaknas.evaluators import Evaluation
from weaknas.runs.journal import read_journal
from weaknas.runs.runner import Result, run
from weaknas.spaces import Architecture, ChoiceSpace
from weaknas.strategies import (
    Hyperband,
    LocalSearch,
    RandomSearch,
    RegularizedEvolution,
    Reinforce,
    SimulatedAnnealing,
    Strategy,
)

SPACE = ChoiceSpace({f"x{i}": ["a", "b", "c"] for i in range(5)})
STRATEGIES: dict[str, Callable[[], Strategy]] = {
    "random": lambda: RandomSearch(SPACE, seed=1, batch_size=7),
    "evolution": lambda: RegularizedEvolution(SPACE, seed=1, population=6, batch_size=4),
    "local-search": lambda: LocalSearch(SPACE, seed=1),
    "annealing": lambda: SimulatedAnnealing(SPACE, seed=1, batch_size=3),
    "reinforce": lambda: Reinforce(SPACE, seed=1, batch_size=8),
    "hyperband": lambda: Hyperband(SPACE, resources=(1.0, 3.0, 9.0), seed=1),
    "weaknas": lambda: weaknas.WeakNAS(SPACE, seed=1, batch_size=6),
    "paper": lambda: weaknas.WeakNAS(
        SPACE, seed=1, preset="paper", predictor="linear", initial=15, batch_size=10
    ),
    "thompson": lambda: weaknas.WeakNAS(SPACE, seed=1, acquisition="thompson", batch_size=6),
    "optuna": lambda: weaknas.get_strategy("optuna-tpe", SPACE, seed=1, batch_size=6),
}


class Judge:
    """Scores the choices, costs what the fidelity says, fails for some."""

    def __init__(self, fails: bool = True) -> None:
        self.fails, self.paid = fails, 0

    def evaluate(
        self, architecture: Architecture, *, seed: int, fidelity: float | None = None
    ) -> Evaluation:
        self.paid += 1
        if self.fails and sum(architecture.genotype) % 5 == 2:
            raise RuntimeError("diverged")
        score = float(sum(architecture.genotype)) + seed % 97 / 97
        return Evaluation(score, cost=9.0 if fidelity is None else fidelity)

    def describe(self) -> dict[str, Any]:
        return {"judge": 1}


def facts(result: Result) -> list[tuple[Any, ...]]:
    return [
        (t.number, t.round, t.architecture, str(t.evaluation), t.evaluation.fidelity)
        for t in result.trials
    ]


@pytest.mark.parametrize("name", STRATEGIES)
def test_it_ends_with_the_trials_of_a_fresh_run(name: str, tmp_path: Path) -> None:
    make = STRATEGIES[name]
    whole = run(make(), Judge(), 40)
    done = 0
    for budget in (1, 13, 20, 20, 21, 40):
        judge = Judge()
        result = run(make(), judge, budget, output=tmp_path)
        assert facts(result) == facts(whole)[:budget]
        assert judge.paid == result.evaluated == budget - done
        done = budget
    assert read_journal(tmp_path / "journal.jsonl")[0]["budget"] == 40
    assert json.loads((tmp_path / "result.json").read_text())["queries"] == 40


def test_side_by_side_too(tmp_path: Path) -> None:
    make = STRATEGIES["weaknas"]
    whole = run(make(), Judge(), 40)
    with ThreadPoolExecutor(3) as executor:
        for budget in (20, 40):
            result = run(make(), Judge(), budget, executor=executor, workers=3, output=tmp_path)
            assert facts(result) == facts(whole)[:budget]


@pytest.mark.parametrize("name", ["hyperband", "weaknas"])
def test_more_seconds(name: str, tmp_path: Path) -> None:
    make = STRATEGIES[name]
    run(make(), Judge(), 7, budget_cost=900.0, output=tmp_path)  # cuts a round
    for seconds in (90.0, 200.0, 200.0, 250.0):
        result = run(make(), Judge(), budget_cost=seconds, output=tmp_path)
        assert facts(result) == facts(run(make(), Judge(), budget_cost=seconds))


def test_the_strategy_knows_all_trials_in_the_end() -> None:
    search = weaknas.WeakNAS(SPACE, initial=10)
    run(search, Judge(fails=False), 7)
    assert len(search.history) == 7


def test_less_budget_says_so(tmp_path: Path) -> None:
    make = STRATEGIES["weaknas"]
    run(make(), Judge(), 20, output=tmp_path)
    before = (tmp_path / "journal.jsonl").read_bytes()
    for less in (
        {"budget": 19},
        {"budget": 1},
        {"budget_cost": 50.0},
        {"budget": 20, "budget_cost": 50.0},
        {"budget": 19, "budget_cost": 1000.0},
    ):
        judge = Judge()
        with pytest.raises(InputError, match=r"more trials than the budget of .* allows"):
            run(make(), judge, **less, output=tmp_path)  # type: ignore[arg-type]
        assert judge.paid == 0
    assert (tmp_path / "journal.jsonl").read_bytes() == before


def test_asynchronously_it_goes_on_from_the_order_of_the_results(tmp_path: Path) -> None:
    """Random search ignores the order: its trials are those of a fresh run."""

    def search(name: str, budget: int, folder: Path | None) -> Result:
        with ThreadPoolExecutor(3) as executor:
            options: dict[str, Any] = {"executor": executor, "workers": 3, "asynchronous": True}
            return run(STRATEGIES[name](), Judge(), budget, output=folder, **options)

    whole = search("random", 40, None)
    architectures = [trial.architecture for trial in whole.trials]
    for name, budget in itertools.product(("random", "weaknas"), (11, 20, 40)):
        result = search(name, budget, tmp_path / name)
        assert [trial.number for trial in result.trials] == list(range(budget))
        if name == "random":
            assert [t.architecture for t in result.trials] == architectures[:budget]
    with pytest.raises(InputError, match="more trials than the budget of 39 queries allows"):
        search("weaknas", 39, tmp_path / "weaknas")
