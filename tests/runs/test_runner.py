"""Fidelities and budgets of training seconds in the loop."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.impute import SimpleImputer
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline

from weaknas.errors import InputError
from weaknas.evaluators import Evaluation, TabularBenchmark
from weaknas.reports.live import Live
from weaknas.reports.search_report import search_page
from weaknas.runs.records import decode, encode
from weaknas.runs.runner import Result, run
from weaknas.runs.status import Status
from weaknas.runs.trials import Trial, Trials
from weaknas.search.strategy import WeakNAS
from weaknas.spaces import Architecture, ChoiceSpace
from weaknas.strategies import Hyperband, RandomSearch, SuccessiveHalving

SPACE = ChoiceSpace({f"x{i}": ["a", "b", "c"] for i in range(5)})
RESOURCES = (1.0, 3.0, 9.0)  # first bracket: 9 x 1, 3 x 3, 1 x 9


class Timed:
    """Costs as many seconds as the fidelity has epochs."""

    fidelities = RESOURCES[:-1]

    def __init__(self, cost: float = 1.0, dies_at: int = -1) -> None:
        self.cost, self.dies_at, self.calls = cost, dies_at, 0

    def evaluate(
        self, architecture: Architecture, *, seed: int, fidelity: float | None = None
    ) -> Evaluation:
        if self.calls == self.dies_at:
            raise KeyboardInterrupt
        self.calls += 1
        level = RESOURCES[-1] if fidelity is None else fidelity
        # Short trainings look better than they are.
        return Evaluation(sum(architecture.genotype) + 100 / level, cost=self.cost * level)

    def describe(self) -> dict[str, Any]:
        return {"cost": self.cost}


def hyperband(seed: int = 0) -> Hyperband:
    return Hyperband(SPACE, resources=RESOURCES, seed=seed)


def test_every_trial_is_marked_with_the_fidelity_that_was_asked_for() -> None:
    trials = run(hyperband(), Timed(), 13).trials
    assert [t.evaluation.fidelity for t in trials] == [1.0] * 9 + [3.0] * 3 + [None]
    assert [t.round for t in trials] == [0] * 9 + [1] * 3 + [2]
    assert {t.evaluation.fidelity for t in run(RandomSearch(SPACE), Timed(), 5).trials} == {None}


def test_a_failure_keeps_its_fidelity(tmp_path: Path) -> None:
    class Broken(Timed):
        def evaluate(self, *arguments: Any, **options: Any) -> Evaluation:
            raise RuntimeError("no")

    for _ in range(2):  # measured, then recalled
        result = run(hyperband(), Broken(), 20, output=tmp_path)
        assert {trial.evaluation.fidelity for trial in result.trials} <= {1.0, 3.0, 9.0, None}
        assert result.trials[0].evaluation.fidelity == 1.0


def test_the_incumbent_is_the_best_of_the_highest_fidelity() -> None:
    result = run(hyperband(), Timed(), 9 + 3)
    assert result.best_observed.evaluation.fidelity == 3.0
    assert result.best.score == max(t.score for t in result.trials[9:])
    result = run(hyperband(), Timed(), 40)
    full = [trial for trial in result.trials if trial.evaluation.fidelity is None]
    assert result.best.score == max(t.score for t in full) < max(result.trials.scores)


def test_failed_full_trainings_do_not_hide_the_shorter_ones() -> None:
    (architecture,) = SPACE.architectures(SPACE.enumerate()[:1])
    short = Trial(0, 0, architecture, Evaluation(1.0, fidelity=3.0))
    failed = Trial(1, 1, architecture, Evaluation.failure("failed", "no"))
    assert Trials((short, failed)).best_observed is short
    assert Trials((failed,)).best_observed is None


@pytest.mark.parametrize("seconds", [0.5, 9.0, 9.1, 18.0, 27.0, 100.0])
def test_no_round_begins_once_the_cost_is_reached(seconds: float) -> None:
    result = run(hyperband(), Timed(), budget_cost=seconds)
    rounds: dict[int, float] = {}
    for trial in result.trials:
        rounds[trial.round] = rounds.get(trial.round, 0) + trial.evaluation.cost
    assert result.cost == sum(rounds.values()) >= seconds
    assert result.cost - rounds[result.rounds - 1] < seconds


def test_single_queries_stop_at_the_one_that_reaches_the_cost() -> None:
    assert len(run(RandomSearch(SPACE), Timed(), budget_cost=27.0).trials) == 3
    assert len(run(RandomSearch(SPACE), Timed(), budget_cost=27.1).trials) == 4


def test_whichever_budget_comes_first_ends_the_run() -> None:
    assert len(run(RandomSearch(SPACE), Timed(), 2, budget_cost=27.0).trials) == 2
    assert len(run(RandomSearch(SPACE), Timed(), 9, budget_cost=27.0).trials) == 3


def test_the_cost_budget_is_the_same_with_an_executor() -> None:
    alone = run(hyperband(), Timed(), budget_cost=70.0)
    with ThreadPoolExecutor(3) as executor:
        together = run(hyperband(), Timed(), budget_cost=70.0, executor=executor)
    assert [t.architecture for t in alone.trials] == [t.architecture for t in together.trials]


@pytest.mark.parametrize("dies_at", [0, 5, 9, 12, 13, 20])
def test_resume_within_and_between_rungs(dies_at: int, tmp_path: Path) -> None:
    whole = run(hyperband(7), Timed(), budget_cost=70.0)
    with pytest.raises(KeyboardInterrupt):
        run(hyperband(7), Timed(dies_at=dies_at), budget_cost=70.0, output=tmp_path)
    again = Timed()
    rest = run(hyperband(7), again, budget_cost=70.0, output=tmp_path)
    assert again.calls == len(whole.trials) - dies_at
    pairs = zip(rest.trials, whole.trials, strict=True)
    assert all(a.architecture == b.architecture and a.evaluation == b.evaluation for a, b in pairs)


def test_a_journal_with_other_fidelities_is_refused(tmp_path: Path) -> None:
    run(hyperband(), Timed(), 5, output=tmp_path)
    with pytest.raises(InputError, match="resources"):
        run(Hyperband(SPACE, resources=[3, 9]), Timed(), 5, output=tmp_path)
    journal = tmp_path / "journal.jsonl"
    header, first, *others = journal.read_bytes().splitlines(keepends=True)
    first = encode(decode(first.strip())[0] | {"fidelity": 3.0})
    journal.write_bytes(b"".join([header, first, *others]))
    with pytest.raises(InputError, match="cannot be continued exactly"):
        run(hyperband(), Timed(), 5, output=tmp_path)


def test_budgets_that_cannot_be_spent_are_refused() -> None:
    with pytest.raises(InputError, match="needs a budget"):
        run(RandomSearch(SPACE), Timed())
    for seconds in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(InputError, match="budget_cost must be a number above 0"):
            run(RandomSearch(SPACE), Timed(), budget_cost=seconds)
    with pytest.raises(InputError, match="report no cost"):
        run(RandomSearch(SPACE), Timed(cost=0), budget_cost=1.0)
    with pytest.raises(InputError, match="above the 243 architectures"):
        run(RandomSearch(SPACE), Timed(), 244)
    with pytest.raises(InputError, match="at 3 fidelities"):
        run(hyperband(), Timed(), 3 * 243 + 1)


def test_fidelities_that_the_evaluator_lacks_are_refused_before_anything_is_paid() -> None:
    table = {"genotype": SPACE.enumerate(), "score": np.arange(243.0), "score@1": np.ones(243)}
    with pytest.raises(InputError, match="fidelity 3, where the evaluator has 1"):
        run(hyperband(), TabularBenchmark(SPACE, table), 5)
    with pytest.raises(InputError, match="none below full training"):
        run(hyperband(), lambda architecture: 1.0, 5)


def test_a_table_answers_every_fidelity_with_its_own_column() -> None:
    epochs = {"@1": 1.0, "@3": 3.0, "": 9.0}
    table: dict[str, Any] = {"genotype": SPACE.enumerate()}
    for suffix, seconds in epochs.items():
        table["score" + suffix] = 1000 * seconds + np.arange(243.0)
        table["seconds" + suffix] = np.full(243, seconds)
    benchmark = TabularBenchmark(SPACE, table, cost="seconds")
    result = run(SuccessiveHalving(SPACE, resources=RESOURCES), benchmark, budget_cost=27.0)
    for trial in result.trials:
        seconds = trial.evaluation.fidelity or 9.0
        assert trial.score // 1000 == trial.evaluation.cost == seconds
    # The columns agree on the order: the best of the first nine is the incumbent.
    assert result.best.score == 9000 + max(t.score for t in result.trials[:9]) - 1000
    assert result.regret == 9242 - result.best.score


def test_numbers_of_numpy_and_parameters_that_are_nan_continue(tmp_path: Path) -> None:
    predictor = make_pipeline(SimpleImputer(missing_values=math.nan), KNeighborsRegressor(2))

    def searched(whole: Any, real: Any) -> Result:
        strategy = WeakNAS(
            SPACE, predictor=predictor, acquisition="greedy", seed=whole(3), batch_size=whole(2),
            initial=whole(4),
        )  # fmt: skip
        budget, cost = whole(8), real(99)
        return run(strategy, Timed(), budget, budget_cost=cost, retries=whole(1), output=tmp_path)

    assert searched(np.int64, np.float32).evaluated == 8
    assert searched(int, float).evaluated == 0


@pytest.mark.parametrize("wrong", [True, 2.5, "3", None], ids=str)
def test_what_is_no_whole_number(wrong: Any) -> None:
    with pytest.raises(InputError, match="seed must be a whole number of at least 0"):
        RandomSearch(SPACE, seed=wrong)
    with pytest.raises(InputError, match="batch_size must be a whole number of at least 1"):
        RandomSearch(SPACE, batch_size=wrong)
    with pytest.raises(InputError, match=r"a whole number|needs a budget"):
        run(RandomSearch(SPACE), Timed(), wrong)


def test_a_run_that_was_stopped_in_its_last_training_is_done(tmp_path: Path) -> None:
    calls = []

    def count(architecture: Architecture) -> float:
        calls.append(architecture)
        return 1.0

    run(RandomSearch(SPACE), count, 3, output=tmp_path, stop=lambda: len(calls) >= 3)
    status = Status.read(tmp_path)
    assert status is not None
    assert status.state == "done"


def test_what_is_told_as_the_best_is_of_the_most_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Short:
        fidelities = RESOURCES[:-1]

        def evaluate(
            self, architecture: Architecture, *, seed: int, fidelity: float | None = None
        ) -> Evaluation:
            score = float(architecture.genotype[0])
            return Evaluation(score if fidelity is None else score + 100, cost=fidelity or 9.0)

        def describe(self) -> dict[str, Any]:
            return {}

    search = Hyperband(SPACE, resources=RESOURCES)
    result = run(search, Short(), 40, output=tmp_path, progress=True)
    best = result.best_observed
    assert best is not None
    facts = Live.read(tmp_path).facts(0.0)
    assert facts["best observed"].startswith(f"{best.score:g}, ")
    assert f"luckiest {best.score:.5g}" in capsys.readouterr().err.splitlines()[-1]


def test_the_page_of_a_run_with_a_budget_of_costs_names_it(tmp_path: Path) -> None:
    result = run(RandomSearch(SPACE), Timed(), budget_cost=9.0, output=tmp_path)
    paid = f"{len(result.trials)}, at a cost of 9 at most"
    assert search_page(tmp_path).facts["trainings"] == paid
