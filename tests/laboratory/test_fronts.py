"""Comparisons with several objectives: volumes by trainings, in results, terminal and report."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from weaknas.commands.compare import print_summary
from weaknas.errors import InputError
from weaknas.evaluators import TabularBenchmark, as_evaluator
from weaknas.laboratory.comparison_folder import QUERIES
from weaknas.laboratory.experiment import Experiment, parse_strategy
from weaknas.laboratory.fronts import volume_curve
from weaknas.laboratory.results import compare, read_queries
from weaknas.laboratory.summary import collect
from weaknas.reports.report import report
from weaknas.runs.problem import Problem
from weaknas.search.pareto import hypervolume
from weaknas.spaces import ChoiceSpace, Costs

pytestmark = pytest.mark.usefixtures("quick_processes")

SPACE = ChoiceSpace(
    {"a": list(range(5)), "b": list(range(4)), "c": list(range(3))},
    name="toy",
    costs={"price": lambda rows: (rows @ np.array([3, 2, 1])).astype(float)},
)
ROWS = SPACE.enumerate()
MEAN = np.sqrt(ROWS).sum(axis=1)


def make_benchmark():
    noise = np.random.default_rng(0).normal(scale=0.05, size=(len(ROWS), 3))
    return TabularBenchmark(
        SPACE, {"genotype": ROWS, "score": MEAN[:, None] + noise}, name="toy/small"
    )


def total(architecture):
    return float(sum(architecture.genotype))


def make_problem():
    return Problem(SPACE, as_evaluator(total), "toy/small")


def make_experiment(*names, benchmark=make_benchmark, **changes):
    strategies = {name: parse_strategy(name, ("price",)) for name in names}
    values = {"runs": 2, "budget": 12, "objectives": ("price",)} | changes
    return Experiment("toy", {"small": benchmark}, strategies, **values)


def test_a_curve_is_the_volume_after_each_training():
    rng = np.random.default_rng(0)
    scores, costs = rng.normal(size=30), rng.random((30, 2))
    scores[[3, 7]] = np.nan
    curve = volume_curve(scores, costs, {"score": -1.0, "one": 1.0, "other": 1.0})
    expected = [hypervolume(scores[:n], costs[:n], -1.0, [1.0, 1.0]) for n in range(1, 31)]
    np.testing.assert_allclose(curve, expected)


def test_strategies_are_compared_by_their_volumes(tmp_path, capsys):
    experiment = make_experiment("nsga2:population=4", "random")
    summary = compare(experiment, tmp_path)
    queries, truth = read_queries(tmp_path), make_benchmark().true_scores(ROWS)
    costs = Costs(SPACE, ("price",))
    volume = summary["hypervolume"]
    assert volume["reference"] == {"score": pytest.approx(truth.min()), "price": 20.0}
    whole = hypervolume(truth, costs(ROWS), truth.min(), [20.0])
    assert volume["whole"] == pytest.approx(whole)
    for item in summary["strategies"]:
        runs = collect(queries, "small", item["strategy"], 12, volume["reference"])
        last = item["hypervolume_at"]["12"]
        assert last["mean"] == pytest.approx(runs.volume[:, -1].mean())
        assert last["ci95"][0] <= last["mean"] <= last["ci95"][1] <= whole
    assert summary["strategies"][1]["wilcoxon"]["against"] == "nsga2:population=4"
    assert queries["costs"].to_pylist()[0] == [
        float(costs(SPACE.genotypes([queries["architecture"][0].as_py()]))[0, 0])
    ]
    print_summary(summary)
    assert "front of score and price, hypervolume in % of that" in capsys.readouterr().out


@pytest.mark.slow
def test_the_report_shows_volumes(tmp_path):
    pytest.importorskip("matplotlib")
    compare(make_experiment("nsga2:population=4", "random"), tmp_path)
    page = report(tmp_path).read_text()
    assert "the front of score and price" in page
    assert "Hypervolume by trainings" in page


def test_without_a_table_the_lowest_score_of_all_runs_is_the_reference():
    summary = compare(make_experiment("random", "nsga2", benchmark=make_problem))
    assert summary["hypervolume"]["reference"]["score"] in range(10)
    assert summary["strategies"][0]["hypervolume_at"]["12"]["mean"] > 0
    assert summary["hypervolume"]["whole"] is None


def test_strategies_of_the_score_alone_are_left_as_they_are():
    assert parse_strategy("random", ("price",))(SPACE, seed=0).objectives == ()
    assert parse_strategy("weaknas", ("price",))(SPACE, seed=0).objectives == ("price",)
    with pytest.raises(InputError, match="did you mean 'price'"):
        compare(make_experiment("random", objectives=("prize",)))


def test_results_of_before_there_were_objectives_are_continued(tmp_path):
    experiment = make_experiment("random", objectives=())
    compare(experiment, tmp_path)
    file = tmp_path / "queries.parquet"
    pq.write_table(pq.read_table(file).drop_columns("costs"), file)
    queries = read_queries(tmp_path)
    assert queries.schema.equals(QUERIES)
    assert queries["costs"].null_count == len(queries)
    assert pa.types.is_list(queries["costs"].type)
    with pytest.raises(InputError, match="objectives"):
        compare(make_experiment("random"), tmp_path)
