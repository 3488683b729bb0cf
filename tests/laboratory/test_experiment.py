"""Experiments on a small table: the protocol, parallel runs, interruption and resume."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import weaknas
from weaknas.errors import InputError
from weaknas.evaluators import Evaluation, TabularBenchmark, evaluation_seed
from weaknas.laboratory.comparison_folder import Task
from weaknas.laboratory.experiment import Experiment, Truth, run_task
from weaknas.laboratory.results import compare, read_queries, run_experiment
from weaknas.laboratory.summary import checkpoints, collect
from weaknas.registry import get_strategy
from weaknas.reports.report import report
from weaknas.runs.problem import as_problem, build_problem
from weaknas.spaces import ChoiceSpace
from weaknas.strategies import RandomSearch

pytestmark = pytest.mark.usefixtures("quick_processes")

BUDGET = 12


def make_benchmark(labels="one-seed", shift=0.0):
    """60 architectures, three noisy trainings each; the last column is the test result."""
    space = ChoiceSpace({"a": list(range(5)), "b": list(range(4)), "c": list(range(3))}, name="toy")
    rng = np.random.default_rng(0)
    genotypes = space.enumerate()
    mean = 50 + genotypes.sum(axis=1) + rng.normal(size=len(genotypes)) + shift
    table = {
        "genotype": genotypes,
        "score": mean[:, None] + rng.normal(scale=0.5, size=(len(genotypes), 3)),
        "seconds": 10.0 + genotypes[:, 0],
        "test": mean[::-1],
    }
    return TabularBenchmark(
        space, table, labels=labels, cost="seconds", test="test", name="toy/small"
    )


class Raising(RandomSearch):
    """Raises in the third round."""

    def _propose(self, n):
        if len(self.history) > 1:
            raise RuntimeError("the model did not fit")
        return super()._propose(n)


class Dying(RandomSearch):
    """Takes its process with it."""

    def _propose(self, n):
        os._exit(1)


class Slow(RandomSearch):
    """Leaves time to interrupt."""

    def _propose(self, n):
        time.sleep(0.02)
        return super()._propose(n)


def make_experiment(**changes):
    values = {
        "space": "toy",
        "benchmarks": {"small": make_benchmark},
        "strategies": {"random": RandomSearch, "ten": partial(RandomSearch, batch_size=10)},
        "runs": 4,
        "budget": BUDGET,
        "seed": 3,
    }
    return Experiment(**(values | changes))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a finished experiment; not to be changed."""
    folder = tmp_path_factory.mktemp("experiment") / "out"
    compare(make_experiment(runs=1), folder)
    return folder


@pytest.fixture
def folder(finished, tmp_path):
    """A copy of it, to be changed."""
    return shutil.copytree(finished, tmp_path / "out")


@pytest.fixture(scope="module")
def uninterrupted():
    return compare_tables(make_experiment(strategies={"slow": Slow}, runs=20))


def without_times(table):
    return table.drop_columns(["seconds"])


def test_a_run_follows_the_protocol():
    experiment, benchmark = make_experiment(), make_benchmark()
    truth = Truth(benchmark)
    table = run_task(experiment, Task("small", "random", 2), as_problem(benchmark), truth)
    table = table.to_pydict()
    assert table["query"] == list(range(1, BUDGET + 1))
    seed = experiment.run_seed(2)
    space, optimum = benchmark.space, benchmark.optimum()
    best = None
    for n in range(BUDGET):
        architecture = space.architecture(table["architecture"][n])
        label = benchmark.evaluate(architecture, seed=evaluation_seed(seed, architecture))
        assert table["score"][n] == label.score
        assert table["cost"][n] == label.cost
        true = benchmark.true_scores(np.array([architecture.genotype]))[0]
        assert table["mean_score"][n] == true
        best = max(best or (-math.inf, 0), (label.score, true), key=lambda pair: pair[0])
        assert table["regret"][n] == pytest.approx(optimum.score - best[1])
        assert table["is_optimum"][n] == (architecture.id == optimum.architecture.id)
    everything = benchmark.true_scores(space.enumerate())
    at_least = [(everything >= score).mean() for score in table["mean_score"]]
    np.testing.assert_allclose(table["top"], at_least)


def test_every_strategy_sees_the_same_labels_in_a_run():
    table = compare_tables(make_experiment(budget=60))
    label = {}
    for row in table.select(["run", "architecture", "score"]).to_pylist():
        key = row["run"], row["architecture"]
        assert label.setdefault(key, row["score"]) == row["score"]
    assert len(label) == 4 * 60
    firsts = [label[run, table["architecture"][0].as_py()] for run in range(4)]
    assert len(set(firsts)) > 1  # the training that is shown differs between runs


def compare_tables(experiment, jobs=1):
    outcomes = run_experiment(experiment, experiment.tasks(), jobs)
    tables = {outcome.task: outcome.rows for outcome in outcomes}
    return without_times(pa.concat_tables([tables[task] for task in experiment.tasks()]))


def test_results_do_not_depend_on_the_number_of_processes():
    experiment = make_experiment()
    assert compare_tables(experiment, 1).equals(compare_tables(experiment, 3))


def test_optimum_by_test_scores():
    benchmark = make_benchmark()
    truth = Truth(benchmark, "test")
    rows = benchmark.space.enumerate()
    assert truth.optimum.score == benchmark.true_scores(rows, "test").max()
    description = truth.describe()
    assert description["random_score"] == pytest.approx(benchmark.true_scores(rows, "test").mean())
    no_test = TabularBenchmark(benchmark.space, {"genotype": rows, "score": rows.sum(axis=1)})
    with pytest.raises(InputError, match="no test results"):
        Truth(no_test, "test")


def test_summary_counts_a_run_that_did_not_find_the_optimum_as_its_budget(tmp_path):
    summary = compare(make_experiment(runs=8), tmp_path / "out")
    queries = read_queries(tmp_path / "out").to_pylist()
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == summary
    assert list(summary["strategies"][0]["regret_at"]) == ["10", "12"]
    for item in summary["strategies"]:
        counts, regrets = [], []
        for run in range(8):
            rows = [r for r in queries if r["strategy"] == item["strategy"] and r["run"] == run]
            hits = [row["query"] for row in rows if row["is_optimum"]]
            counts.append(hits[0] if hits else None)
            regrets.append(rows[9]["regret"])
        full = [BUDGET if count is None else count for count in counts]
        assert item["found_rate"] == np.mean([count is not None for count in counts])
        assert item["queries_to_optimum"]["mean"] == pytest.approx(np.mean(full))
        assert item["queries_to_optimum"]["median"] == np.median(full)
        assert item["regret_at"]["10"]["mean"] == pytest.approx(np.mean(regrets))
        low, high = item["queries_to_optimum"]["ci95"]
        assert low <= item["queries_to_optimum"]["mean"] <= high
    json.dumps(summary, allow_nan=False)


def test_checkpoints_end_with_the_budget():
    assert checkpoints(300) == [10, 25, 50, 100, 150, 200, 300]
    assert checkpoints(30) == [10, 25, 30]
    assert checkpoints(5) == [5]


def test_a_strategy_that_raises_does_not_stop_the_others(tmp_path):
    strategies = {"random": RandomSearch, "raising": Raising}
    summary = compare(make_experiment(strategies=strategies, runs=2), tmp_path)
    assert [item["strategy"] for item in summary["strategies"]] == ["random"]
    failures = [(item["strategy"], item["run"]) for item in summary["failures"]]
    assert failures == [("raising", 0), ("raising", 1)]
    assert "the model did not fit" in summary["failures"][0]["error"]


def test_a_process_that_dies_ends_the_experiment_with_what_was_measured(tmp_path):
    strategies = {"random": RandomSearch, "dying": Dying}
    with pytest.raises(ChildProcessError, match="finished runs are kept"):
        compare(make_experiment(strategies=strategies, runs=2), tmp_path)
    rows = read_queries(tmp_path).select(["strategy", "run"]).to_pylist()
    assert {(row["strategy"], row["run"]) for row in rows} == {("random", 0)}


def test_a_run_that_ends_early_keeps_its_last_regret():
    table = pa.table(
        {
            "dataset": ["d"] * 3,
            "strategy": ["s"] * 3,
            "run": [0, 1, 1],
            "query": [1, 1, 2],
            "regret": [0.5, 2.0, 1.0],
            "is_optimum": [False, False, True],
            "cost": [1.0, 1.0, 3.0],
            "top": [0.1, 0.2, 0.3],
            "seconds": [1.0, 2.0, 2.0],
            "returned_score": [5.0, 6.0, 7.0],
            "optimum_returned": [False, False, True],
        }
    )
    runs = collect(table, "d", "s", 3)
    np.testing.assert_array_equal(runs.regret, [[0.5, 0.5, 0.5], [2.0, 1.0, 1.0]])
    np.testing.assert_array_equal(runs.best, [[5, 5, 5], [6, 7, 7]])
    assert runs.is_known
    np.testing.assert_array_equal(runs.queries, [3, 2])
    np.testing.assert_array_equal(runs.cost, [[1, np.nan, np.nan], [1, 4, np.nan]])


def test_fewer_runs_of_a_slow_strategy_are_the_first_ones(tmp_path):
    experiment = make_experiment(runs_of={"ten": 2})
    compare(experiment, tmp_path)
    rows = read_queries(tmp_path).select(["strategy", "run", "seed"]).to_pylist()
    assert {row["run"] for row in rows if row["strategy"] == "ten"} == {0, 1}
    assert {row["seed"] for row in rows if row["run"] == 1} == {experiment.run_seed(1)}


def test_a_run_ends_when_its_training_seconds_are_spent():
    experiment = make_experiment(budget_cost=60.0, runs=2)
    for row in (
        compare_tables(experiment)
        .group_by(["strategy", "run"])
        .aggregate([("cost", "sum"), ("cost", "max"), ("query", "max")])
        .to_pylist()
    ):
        if row["strategy"] == "random":  # one query a round
            assert 60 <= row["cost_sum"] < 60 + row["cost_max"]
        assert row["query_max"] < BUDGET
    with pytest.raises(InputError, match="budget_cost must be a number above 0"):
        compare(make_experiment(budget_cost=0.0))


class Surrogate:
    """Scores without a table: the best is known to nobody."""

    name = "surrogate"

    def __init__(self):
        self.space = ChoiceSpace({f"layer{i}": [0, 1, 2] for i in range(15)}, name="chain")

    def evaluate(self, architecture, *, seed, fidelity=None):
        return Evaluation(float(sum(architecture.genotype)), {}, 2.0)

    def describe(self):
        return {"evaluator": self.name}


def test_where_the_optimum_is_unknown_the_best_scores_are_compared(tmp_path):
    evolution = partial(get_strategy, "regularized-evolution", population=4)
    experiment = make_experiment(
        space="chain", benchmarks={"surrogate": Surrogate},
        strategies={"random": RandomSearch, "evolution": evolution}, budget=30, runs=8,
    )  # fmt: skip
    summary = compare(experiment, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == summary
    assert (summary["optimum_score"], summary["random_score"]) == (None, None)
    queries = read_queries(tmp_path / "out")
    assert np.isnan(queries["regret"].to_numpy()).all()
    assert not any(queries["is_optimum"].to_pylist())
    for item in summary["strategies"]:
        assert [item[key] for key in ("found_rate", "queries_to_optimum", "regret_at")] == [
            None
        ] * 3
        runs = collect(queries, "surrogate", item["strategy"], 30)
        assert not runs.is_known
        np.testing.assert_array_equal(runs.best, np.maximum.accumulate(runs.best, axis=1))
        assert item["best_at"]["30"]["mean"] == pytest.approx(runs.best[:, 29].mean())
        assert item["best_at"]["10"]["mean"] == pytest.approx(runs.best[:, 9].mean())
        low, high = item["best_at"]["30"]["ci95"]
        assert low <= item["best_at"]["30"]["mean"] <= high
        scores = queries.filter(pc.equal(queries["strategy"], item["strategy"]))
        assert runs.best[0, -1] == scores["score"].to_numpy()[:30].max()
    random, evolution = summary["strategies"]
    assert evolution["best_at"]["30"]["mean"] > random["best_at"]["30"]["mean"]
    assert evolution["wilcoxon"]["p_holm"] <= 0.1
    pytest.importorskip("matplotlib")
    page = report(tmp_path / "out").read_text()
    assert "best score at 30" in page
    assert "regret at" not in page


def test_test_scores_of_an_unknown_optimum_are_refused():
    with pytest.raises(InputError, match="'surrogate' has no test results"):
        Truth(Surrogate(), "test")


def test_limits_change_the_optimum_of_a_table():
    whole = build_problem("nasbench201", dataset="cifar10")
    part = partial(build_problem, "nasbench201", dataset="cifar10", constraints=["macs<=40e6"])
    experiment = make_experiment(benchmarks={"cifar10": part}, budget=5, runs=1)
    summary = compare(experiment)
    assert summary["optimum_score"] < whole.evaluator.optimum().score
    assert summary["optimum_score"] == pytest.approx(part().evaluator.optimum().score)
    at = summary["strategies"][0]
    total = at["regret_at"]["5"]["mean"] + at["best_at"]["5"]["mean"]
    assert total == pytest.approx(summary["optimum_score"])


def test_two_data_sets_give_two_summaries_and_ranks():
    benchmarks = {"one": make_benchmark, "two": partial(make_benchmark, shift=5.0)}
    summary = compare(make_experiment(benchmarks=benchmarks, runs=2))
    assert [part["dataset"] for part in summary["datasets"]] == ["one", "two"]
    assert sum(summary["ranks"]["average"].values()) == pytest.approx(3.0)


def test_a_finished_experiment_is_not_run_again(folder):
    first = json.loads((folder / "summary.json").read_text())
    seen = []
    assert compare(make_experiment(runs=1), folder, progress=seen.append) == first
    assert len(seen) == 2
    assert all(outcome.seconds == 0 for outcome in seen)


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"seed": 4}, "seed = 3, not 4"),
        ({"budget": 20}, "budget = 12, not 20"),
        ({"benchmarks": {"small": partial(make_benchmark, "mean")}}, "small.labels"),
        ({"strategies": {"random": partial(RandomSearch, batch_size=2)}}, "strategies"),
        ({"strategies": {"random": RandomSearch}}, "strategies.ten"),  # one is left out
    ],
)
def test_another_experiment_in_the_same_folder_is_refused(finished, changes, difference):
    before = (finished / "queries.parquet").read_bytes()
    with pytest.raises(InputError, match=difference):
        compare(make_experiment(**({"runs": 1} | changes)), finished)
    assert (finished / "queries.parquet").read_bytes() == before


def test_strategies_and_runs_are_added_to_a_finished_experiment(folder):
    known = make_experiment(runs=1).strategies
    strategies = {"five": partial(RandomSearch, batch_size=5), **known}
    more = make_experiment(runs=2, strategies=strategies)
    seen = []
    summary = compare(more, folder, progress=seen.append)
    assert sorted(outcome.seconds > 0 for outcome in seen) == [False] * 2 + [True] * 4
    order = [(column, "ascending") for column in ("strategy", "run", "query")]
    kept = without_times(read_queries(folder)).sort_by(order)
    assert kept == compare_tables(more).sort_by(order)
    assert compare(more, folder) == summary
    with pytest.raises(InputError, match="runs = 2, not 1"):
        compare(make_experiment(runs=1, strategies=strategies), folder)


def test_damaged_files_are_named(folder):
    (folder / "queries.parquet").write_bytes(b"PAR1 but not for long")
    with pytest.raises(InputError, match=r"queries\.parquet is damaged"):
        compare(make_experiment(runs=1), folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json is damaged"):
        compare(make_experiment(runs=1), folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"runs": 0}, "at least 1, not 0"),
        ({"strategies": {}}, "at least one"),
        ({"runs_of": {"tenn": 2}}, "did you mean 'ten'"),
        ({"optimum": "best"}, "allowed: validation, test"),
        ({"seed": -1}, "not -1"),
    ],
)
def test_wrong_designs_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        make_experiment(**changes)


def test_budget_above_the_space_is_refused_before_anything_runs():
    with pytest.raises(InputError, match="above the 60"):
        compare(make_experiment(budget=61))
    with pytest.raises(InputError, match="at least 1, not 0"):
        compare(make_experiment(), jobs=0)


_SCRIPT = """
import signal
import sys

# Ignored in what a shell starts in the background, and in its children.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, {tests!r})
import test_experiment
from weaknas.laboratory.results import compare

if __name__ == "__main__":
    strategies = {{"slow": test_experiment.Slow}}
    compare(test_experiment.make_experiment(strategies=strategies, runs=20), {folder!r}, jobs=2)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(
    "how", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGKILL]
)
def test_an_interrupted_experiment_continues_to_the_same_results(tmp_path, how, uninterrupted):
    folder = tmp_path / "out"
    script = tmp_path / "script.py"
    script.write_text(_SCRIPT.format(tests=os.path.dirname(__file__), folder=str(folder)))
    environment = os.environ | {"PYTHONPATH": os.path.dirname(os.path.dirname(weaknas.__file__))}
    process = subprocess.Popen(
        [sys.executable, str(script)],
        env=environment,
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )
    end = time.time() + 240
    while not list(folder.glob("runs/*.parquet")) and time.time() < end:
        time.sleep(0.01)
    os.killpg(process.pid, how)
    process.wait(300)
    kept = {(row["run"]) for row in read_queries(folder).select(["run"]).to_pylist()}
    assert 0 < len(kept) < 20
    if how == signal.SIGINT:
        summary = json.loads((folder / "summary.json").read_text())
        assert summary["strategies"][0]["runs"] == len(kept)
    subprocess.run([sys.executable, str(script)], env=environment, check=True, timeout=300)
    assert not (folder / "runs").exists()
    resumed = without_times(pq.read_table(folder / "queries.parquet"))
    assert resumed.equals(uninterrupted)


def test_what_a_kill_left_half_written_is_removed(tmp_path):
    compare(make_experiment(runs=2), tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / ".000003.parquet.0a1b2c3d4e5f").write_bytes(b"half")
    compare(make_experiment(runs=3), tmp_path)
    assert not (tmp_path / "runs").exists()
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "notes.txt").write_text("mine")
    compare(make_experiment(runs=3), tmp_path)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["notes.txt"]
