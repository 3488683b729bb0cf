"""Rankings of predictors: by definition, paired, resumed, and honest about failures."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from weaknas import WeakNAS, run
from weaknas.components import fresh_predictor, parse_label, run_seed
from weaknas.errors import InputError
from weaknas.evaluators import TabularBenchmark
from weaknas.laboratory.contestants import Contestant, parse_contestant
from weaknas.laboratory.ranking import (
    Measurer,
    Ranking,
    measure,
    rank,
    top_size,
    training_set,
)
from weaknas.laboratory.ranking_results import Task, summarize_ranking
from weaknas.laboratory.statistics import bootstrap_interval, spearman_rho, wilcoxon
from weaknas.predictors.gaussian_process import GaussianProcess
from weaknas.predictors.random_forest import RandomForest
from weaknas.predictors.regressor import has_std
from weaknas.search.targets import rank_normal
from weaknas.spaces import ChoiceSpace

pytestmark = pytest.mark.usefixtures("quick_processes")


def make_benchmark(labels="mean"):
    space = ChoiceSpace({name: [0, 1, 2, 3] for name in "abcd"}, name="toy")
    genotypes = space.enumerate()
    rng = np.random.default_rng(3)
    scores = genotypes @ [1.0, 0.7, 0.4, 0.2] + rng.normal(0, 0.3, (3, len(genotypes)))
    table = {"genotype": genotypes, "score": scores.T}
    return TabularBenchmark(space, table, labels=labels, name="toy/a")


class Fixed(RegressorMixin, BaseEstimator):
    """Predicts the only column it is given."""

    def fit(self, X, y):
        self.rows_, self.targets_ = X, y
        return self

    def predict(self, X):
        return np.asarray(X)[:, 0]


class Broken(Fixed):
    """Raises, or predicts what is no number."""

    def __init__(self, raises=True):
        self.raises = raises

    def fit(self, X, y):
        if self.raises:
            raise RuntimeError("no\nway")
        return self

    def predict(self, X):
        return np.full(len(X), np.nan)


def design(**options):
    given = {
        "contestants": {
            "linear": Contestant(LinearRegression(), "one-hot"),
            "near": Contestant(KNeighborsRegressor(3), "ordinal"),
        },
        "train_sizes": (20, 8),
        "runs": 3,
    }
    return Ranking("toy", make_benchmark, **(given | options))


# -- measuring --------------------------------------------------------------------------


def test_qualities_by_definition():
    rng = np.random.default_rng(0)
    true, guess = rng.permutation(1500) / 10.0, rng.normal(size=1500)
    guess += true / 60
    rows = rng.permutation(1500)[:40]
    found = measure(Fixed(), guess[:, None], rows, true[rows], true)
    unseen = [i for i in range(1500) if i not in set(rows.tolist())]
    concordant = sum(
        np.sign(true[i] - true[j]) * np.sign(guess[i] - guess[j])
        for i, j in itertools.combinations(unseen, 2)
    )
    assert found["kendall_tau"] == pytest.approx(concordant / (1460 * 1459 / 2))
    best = sorted(unseen, key=lambda i: -true[i])
    chosen = sorted(unseen, key=lambda i: -guess[i])
    assert found["regret"] == pytest.approx(true[best[0]] - true[chosen[0]])
    assert found["top_precision"] == len(set(best[:15]) & set(chosen[:15])) / 15
    assert found["spearman"] == pytest.approx(stats.spearmanr(true[unseen], guess[unseen])[0])
    assert found["seconds_fit"] > 0
    assert found["seconds_predict"] > 0


def test_predictions_that_are_no_numbers_are_refused():
    with pytest.raises(InputError, match="Broken predicted a score of nan for 40 of 40 rows"):
        measure(Broken(raises=False), np.ones((40, 1)), np.arange(10), np.ones(10), np.ones(40))


def test_a_parameter_named_steps_makes_no_pipeline():
    class Trained(Fixed):
        steps = 100

    assert not has_std(Trained())
    assert has_std(make_pipeline(StandardScaler(), RandomForest()))
    assert not has_std(make_pipeline(StandardScaler(), LinearRegression()))


@given(st.lists(st.integers(0, 6), min_size=2, max_size=30))
def test_spearman_is_scipys(values):
    other = np.arange(len(values)) % 4
    constant = len(set(values)) == 1
    expected = 0.0 if constant else stats.spearmanr(values, other).statistic
    assert spearman_rho(values, other) == pytest.approx(expected)


@pytest.mark.parametrize(("count", "k"), [(256, 10), (8765, 88), (30001, 300)])
def test_top_is_one_percent_and_at_least_ten(count, k):
    assert top_size(count) == k


# -- training sets ----------------------------------------------------------------------


def test_progressive_sets_are_the_queries_of_a_search():
    benchmark = make_benchmark("one-seed")
    plan = design(regime="progressive", seed=5)
    fingerprints, labels = training_set(plan, benchmark, 1)
    trials = run(WeakNAS(benchmark.space, seed=run_seed(5, 1)), benchmark, 20).trials
    assert fingerprints.tolist() == benchmark.space.fingerprint(trials.genotypes).tolist()
    assert labels.tolist() == trials.scores.tolist()


def test_uniform_sets_are_distinct_and_uniform():
    benchmark = make_benchmark()
    sets = [training_set(design(train_sizes=[60]), benchmark, k)[0] for k in range(40)]
    assert all(len(set(codes.tolist())) == 60 for codes in sets)
    counts = np.bincount(np.concatenate(sets), minlength=256)
    # each architecture is in a set with probability 60/256, independently between sets
    expected, spread = 40 * 60 / 256, np.sqrt(40 * 60 / 256 * (1 - 60 / 256))
    assert np.abs(counts - expected).max() < 5 * spread
    assert counts.std() == pytest.approx(spread, rel=0.3)


def test_progressive_sets_are_where_good_architectures_are():
    benchmark = make_benchmark()
    means = {}
    for regime in ("uniform", "progressive"):
        plan = design(regime=regime, train_sizes=[40])
        means[regime] = np.mean([training_set(plan, benchmark, k)[1].mean() for k in range(3)])
    true = benchmark.true_scores(benchmark.space.enumerate())
    assert means["progressive"] > means["uniform"] + 0.5 * true.std()


def test_all_predictors_see_the_same_training_sets():
    class Recorder(Fixed):
        seen: list = []  # noqa: RUF012

        def fit(self, X, y):
            self.seen.append((np.asarray(X), np.asarray(y)))
            return super().fit(X, y)

    one, two = type("One", (Recorder,), {"seen": []}), type("Two", (Recorder,), {"seen": []})
    entries = {"1": Contestant(one(), "ordinal"), "2": Contestant(two(), "ordinal")}
    measurer = Measurer(design(contestants=entries))
    for task in [Task("1", 0), Task("1", 1), Task("2", 0), Task("2", 1)]:
        assert measurer(task).error == ""
    for (X, y), (X2, y2) in zip(one.seen, two.seen, strict=True):
        assert X.tolist() == X2.tolist()
        assert y.tolist() == y2.tolist()
    small, large = one.seen[:2]
    assert [len(small[1]), len(large[1])] == [8, 20]
    assert small[0].tolist() == large[0][:8].tolist()
    assert one.seen[1][0].tolist() != one.seen[3][0].tolist()  # another run
    labels = training_set(design(), make_benchmark(), 0)[1]
    assert small[1] == pytest.approx(rank_normal(labels[:8]))


# -- the parts --------------------------------------------------------------------------


def test_fresh_predictors_are_seeded_copies_with_groups():
    forest = make_pipeline(StandardScaler(), RandomForest())
    fresh = fresh_predictor(forest, {}, np.random.default_rng(1))
    again = fresh_predictor(forest, {}, np.random.default_rng(1))
    other = fresh_predictor(forest, {}, np.random.default_rng(2))
    seeds = [one.get_params()["randomforest__random_state"] for one in (fresh, again, other)]
    assert seeds[0] == seeds[1] != seeds[2]
    assert forest.get_params()["randomforest__random_state"] is None
    blocks = [slice(0, 2), slice(2, 5)]
    own = [slice(0, 5)]
    rng = np.random.default_rng(0)
    assert fresh_predictor(GaussianProcess(), {"groups": blocks}, rng).groups == blocks
    assert fresh_predictor(GaussianProcess(groups=own), {"groups": blocks}, rng).groups == own


def test_labels_carry_options():
    assert parse_label("a") == ("a", {})
    read = parse_label("a:max-depth=3:rate=0.5:kind=deep:wide=true:limit=None")
    assert read == ("a", {"max_depth": 3, "rate": 0.5, "kind": "deep", "wide": True, "limit": None})
    one = parse_contestant("random-forest:n-estimators=7:encoder=one-hot", "path")
    assert one.predictor.n_estimators == 7
    assert one.encoder == "one-hot"
    assert parse_contestant("gp", "path").encoder == "path"
    with pytest.raises(InputError, match="did you mean 'n_estimators'"):
        parse_contestant("random-forest:n-estimator=7")
    with pytest.raises(InputError, match="key=value"):
        parse_contestant("gp:deep")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"contestants": {}}, "at least one predictor"),
        ({"train_sizes": [1, 5]}, "at least 2, not 1"),
        ({"train_sizes": []}, "at least one training size"),
        ({"runs": 0}, "at least 1, not 0"),
        ({"runs_of": {"near": 0}}, "at least 1, not 0"),
        ({"runs_of": {"nea": 2}}, "did you mean 'near'"),
        ({"seed": -1}, "not -1"),
        ({"regime": "uniforn"}, "did you mean 'uniform'"),
        ({"targets": "ranks"}, "unknown targets 'ranks'"),
    ],
)
def test_wrong_designs_are_explained(options, message):
    with pytest.raises(InputError, match=message):
        design(**options)


def test_designs_that_cannot_be_run_are_explained():
    with pytest.raises(InputError, match="at most 246 can be trained on, not 250"):
        rank(design(train_sizes=[250]))
    with pytest.raises(InputError, match=r"needs .* graphs"):
        rank(design(contestants={"gp": parse_contestant("gp", "adjacency")}))


# -- whole rankings ---------------------------------------------------------------------


def without_seconds(table):
    names = [name for name in table.column_names if not name.startswith("seconds")]
    return table.select(names).to_pylist()


def test_interrupted_rankings_continue(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    told = []
    rank(design(), whole, progress=told.append)
    assert len(told) == 6

    def interrupt(measured):
        if measured.task == Task("near", 1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rank(design(), cut, progress=interrupt)
    kept = pq.read_table(cut / "rankings.parquet")
    again = []
    rank(design(), cut, jobs=2, progress=again.append)
    assert sum(one.seconds == 0 for one in again) == len(kept) / 2  # two sizes each
    assert {one.task for one in again} == set(design().tasks())
    first, second = (pq.read_table(folder / "rankings.parquet") for folder in (whole, cut))
    assert without_seconds(first) == without_seconds(second)
    assert sorted(path.name for path in cut.iterdir()) == [
        "config.json",
        "rankings.parquet",
        "summary.json",
    ]
    with pytest.raises(InputError, match=r"seed = 0, not 1"):
        rank(design(seed=1), cut)


def test_predictors_and_runs_are_added_to_a_folder(tmp_path):
    both = design().contestants
    linear, near = ({name: one} for name, one in both.items())
    rank(design(contestants=linear, runs=2), tmp_path)
    done = pq.read_table(tmp_path / "rankings.parquet").to_pylist()
    told = []
    summary = rank(design(contestants=near, runs=1), tmp_path, progress=told.append)
    assert [(row["predictor"], row["runs"]) for row in summary["rows"][:2]] == [
        ("linear", 2),
        ("near", 1),
    ]
    rows = pq.read_table(tmp_path / "rankings.parquet").to_pylist()
    assert [row for row in rows if row["predictor"] == "linear"] == done
    whole = rank(design(runs_of={"near": 2}), tmp_path)
    fresh = rank(design(runs_of={"near": 2}))
    assert [(row["predictor"], row["runs"]) for row in whole["rows"][:2]] == [
        ("linear", 3),
        ("near", 2),
    ]
    for one, other in zip(whole["rows"], fresh["rows"], strict=True):
        assert without_times(one) == without_times(other)
    changed = {"near": Contestant(KNeighborsRegressor(4), "ordinal")}
    with pytest.raises(InputError, match=r"near\.parameters\.n_neighbors = 3, not 4"):
        rank(design(contestants=changed), tmp_path)


def without_times(row):
    return {name: value for name, value in row.items() if not name.startswith("seconds")}


def test_failures_are_reported_and_the_others_go_on():
    entries = {"broken": Contestant(Broken()), **design().contestants}
    summary = rank(design(contestants=entries, runs=2))
    assert [failure["predictor"] for failure in summary["failures"]] == ["broken"] * 2
    assert summary["failures"][0]["error"] == "RuntimeError: no way"
    assert {row["predictor"] for row in summary["rows"]} == {"linear", "near"}


def test_the_summary_is_of_the_rows(tmp_path):
    summary = rank(design(runs=6), tmp_path)
    assert summary["train_sizes"] == [8, 20]
    assert (summary["architectures"], summary["top"]) == (256, 10)
    rows = pq.read_table(tmp_path / "rankings.parquet").to_pylist()
    assert len(rows) == 6 * 2 * 2

    def taus(name, size):
        return [r["kendall_tau"] for r in rows if (r["predictor"], r["train_size"]) == (name, size)]

    for item in summary["rows"]:
        values = taus(item["predictor"], item["train_size"])
        assert item["kendall_tau"]["mean"] == pytest.approx(np.mean(values), rel=1e-5)
        assert item["kendall_tau"]["ci95"] == pytest.approx(bootstrap_interval(values), rel=1e-5)
        if item["predictor"] == "near":
            p_value = wilcoxon(taus("linear", item["train_size"]), values)
            assert item["p_holm"] == pytest.approx(p_value, rel=1e-5)
    by_size = {(r["predictor"], r["train_size"]): r for r in summary["rows"]}
    larger, smaller = by_size["linear", 20], by_size["linear", 8]
    assert larger["kendall_tau"]["mean"] > smaller["kendall_tau"]["mean"] > 0.2
    assert larger["encoder"] == "one-hot"


def test_a_ranking_of_nothing_has_no_rows():
    config = design().describe()
    assert summarize_ranking(config, None, {})["rows"] == []


def test_other_folders_are_not_touched(tmp_path):
    (tmp_path / "config.json").write_text('{"weaknas_comparison": 1}')
    with pytest.raises(InputError, match="holds no ranking"):
        rank(design(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_the_figure_shows_the_means_also_of_a_single_run():
    pytest.importorskip("matplotlib")
    from weaknas.reports.plots import plot_ranking

    summary = rank(design(runs=1))
    axis = plot_ranking(summary).axes[0]
    drawn = {line.get_label(): line.get_xydata().tolist() for line in axis.get_lines()}
    for name in ("linear", "near"):
        rows = [row for row in summary["rows"] if row["predictor"] == name]
        points = [[row["train_size"], row["kendall_tau"]["mean"]] for row in rows]
        assert np.allclose(drawn[name], points)
