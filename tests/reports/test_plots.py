"""Figures show the numbers they are given, and are files a paper can use."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from weaknas.laboratory.summary import StrategyRuns

plots = pytest.importorskip("weaknas.reports.plots")
pytest.importorskip("matplotlib")


def make_runs(strategy="weaknas", runs=5, budget=40, seed=0, found=True):
    rng = np.random.default_rng(seed)
    regret = np.sort(rng.exponential(size=(runs, budget)), axis=1)[:, ::-1]
    return StrategyRuns(
        strategy=strategy,
        dataset="d",
        budget=budget,
        runs=np.arange(runs),
        regret=regret,
        to_optimum=np.where(found, rng.integers(1, budget, size=runs).astype(float), np.nan),
        cost=np.cumsum(rng.uniform(100, 200, size=(runs, budget)), axis=1),
        top=rng.uniform(size=(runs, budget)),
        seconds=rng.uniform(size=runs),
        best=1.0 - regret,
        returned=(regret == 0).astype(float),
    )


def lines(axis):
    return {line.get_label(): line.get_xydata() for line in axis.get_lines()}


def test_regret_is_drawn_by_queries():
    runs = make_runs()
    figure = plots.plot_regret({"one": [runs, make_runs("random", seed=1)], "two": [runs]})
    assert [axis.get_title() for axis in figure.axes] == ["one", "two"]
    drawn = lines(figure.axes[0])["weaknas (5 runs)"]
    np.testing.assert_allclose(drawn[:, 0], np.arange(1, 41))
    np.testing.assert_allclose(drawn[:, 1], runs.regret.mean(axis=0))
    assert figure.axes[0].get_yscale() == "log"


def test_regret_by_seconds_is_that_of_the_last_training_that_ended():
    runs = make_runs()
    drawn = lines(plots.plot_regret({"one": [runs]}, by="seconds").axes[0])["weaknas (5 runs)"]
    hour, value = drawn[100]
    seconds = hour * 3600
    by_hand = [
        regret[cost <= seconds + 1e-6][-1]
        for cost, regret in zip(runs.cost, runs.regret, strict=True)
    ]
    assert value == pytest.approx(np.mean(by_hand))
    assert drawn[-1, 0] * 3600 == pytest.approx(runs.cost[:, -1].min())


def test_regret_of_zero_does_not_break_the_scale():
    runs = make_runs()
    runs.regret[:, 20:] = 0.0
    low, high = plots.plot_regret({"one": [runs]}).axes[0].get_ylim()
    assert 0 < low < high


def test_best_scores_are_drawn_by_queries():
    runs = make_runs()
    axis = plots.plot_best({"d": [runs]}).axes[0]
    drawn = lines(axis)["weaknas (5 runs)"]
    np.testing.assert_allclose(drawn[:, 1], runs.best.mean(axis=0))
    low, high = axis.get_ylim()
    assert low <= drawn[10:, 1].min() <= drawn[:, 1].max() <= high


@pytest.mark.parametrize("found", [True, False])
def test_found_ends_at_the_found_rate(found):
    runs = make_runs(found=found)
    drawn = lines(plots.plot_found({"one": [runs]}).axes[0])["weaknas (5 runs)"]
    assert drawn[-1].tolist() == [40, float(found)]
    median = np.sort(runs.to_optimum)[2]
    if found:
        assert (runs.to_optimum <= median).mean() in drawn[drawn[:, 0] == median, 1]


def test_narrowing_is_the_share_of_each_window():
    top = np.array([[0.005, 0.5, 0.01, 0.2, 0.003], [0.5, 0.5, 0.5, 0.001, np.nan]])
    middle, shares = plots.narrowing(top, 0.01, 2)
    np.testing.assert_allclose(middle, [1.5, 3.5, 5.0])
    np.testing.assert_allclose(shares, [[0.5, 0.5, 1.0], [0.0, 0.5, 0.0]])
    figure = plots.plot_narrowing({"one": [make_runs()]})
    assert [axis.get_ylabel() for axis in figure.axes] == [
        "P(query in the top 1 %)",
        "P(query in the top 5 %)",
    ]


def test_projection_puts_the_good_to_the_right():
    rng = np.random.default_rng(0)
    genotypes = rng.integers(3, size=(200, 4))
    scores = genotypes[:, 0] * 2.0 + genotypes[:, 1] + rng.normal(size=200) * 0.1
    for sign in (1, -1):
        places = plots.projection(genotypes, sign * scores)(genotypes)
        assert places.shape == (200, 2)
        assert np.corrcoef(places[:, 0], sign * scores)[0, 1] > 0.9


def test_map_numbers_the_rounds_of_what_would_be_returned():
    genotypes = np.stack(np.unravel_index(np.arange(27), (3, 3, 3)), axis=1)
    scores = genotypes.sum(axis=1) + np.linspace(0, 0.1, 27)
    returned = np.array([0, 1, 1, 3, 4])
    figure = plots.plot_map(
        "a map", genotypes, scores, genotypes[:5], returned, np.array([0, 0, 1, 1, 2])
    )
    assert [text.get_text() for text in figure.axes[1].texts] == ["1", "2", "3"]
    back = np.array([-1, 1, 0, 0, 1])  # what was left may be returned to
    figure = plots.plot_map("a map", genotypes, scores, genotypes[:5], back, np.zeros(5, int))
    assert [text.get_text() for text in figure.axes[1].texts] == ["1"]


def test_search_figure_with_and_without_the_truth():
    observed = np.array([np.nan, 0.4, 0.6, 0.5])
    rounds, expected = np.array([0, 0, 1, 1]), np.array([np.nan, 0.4, 0.6, 0.55])
    plain = lines(plots.plot_search(observed, rounds, expected).axes[0])
    np.testing.assert_array_equal(plain["returned: expected score"][1:, 1], expected[1:])
    true = np.array([np.nan, 0.5, 0.3, 0.3])
    full = lines(plots.plot_search(observed, rounds, expected, true, 0.95).axes[0])
    np.testing.assert_array_equal(full["returned: mean score"][1:, 1], true[1:])


def test_contenders_and_how_sure_it_is():
    labels = [np.array([1.0, 3.0]), np.array([1.5])]
    axis = plots.plot_contenders(["a", "b"], np.array([2.0, 1.5]), np.array([0.5, np.nan]), labels)
    (bars,) = axis.axes[0].containers
    (segments,) = bars.lines[2]
    ends = np.array([segment[:, 0] for segment in segments.get_segments()])
    np.testing.assert_allclose(ends, [[1.02, 2.98], [1.5, 1.5]])
    trainings = axis.axes[0].collections[-1].get_offsets()
    np.testing.assert_allclose(trainings[:, 0], [1.0, 3.0, 1.5])
    chances = np.array([np.nan, 0.5, 0.8])
    figure = plots.plot_certainty(np.array([2, 4, 6]), chances, np.array([True, False, True]))
    np.testing.assert_array_equal(lines(figure.axes[0])["probability"][1:, 1], chances[1:])


def test_intervals_stand_in_the_line_of_their_label():
    rows = [("a", "one", 3.0, (1.0, 4.0)), ("b", "one", 5.0, (5.0, 6.0))]
    rows += [("a", "two", 7.0, (6.0, 9.0))]
    axis = plots.plot_intervals({"group": rows}, "queries").axes[0]
    assert [text.get_text() for text in axis.get_yticklabels()] == ["a", "b"]
    means = [line.get_xydata()[0] for line in axis.get_lines() if line.get_marker() == "o"]
    assert [x for x, _ in means] == [3.0, 5.0, 7.0]
    assert [round(y) for _, y in means] == [0, 1, 0]
    assert means[0][1] != means[2][1]


def test_files_are_png_and_svg_and_the_same_every_time(tmp_path):
    panels = {"one": [make_runs(), make_runs("random", seed=1)]}
    contents = []
    for name in ("a", "b"):
        plots.save(plots.plot_regret(panels), tmp_path / name / "regret")
        png, svg = (tmp_path / name / f"regret.{form}" for form in ("png", "svg"))
        assert png.read_bytes().startswith(b"\x89PNG")
        assert ElementTree.parse(svg).getroot().tag.endswith("svg")
        contents.append((png.read_bytes(), svg.read_bytes()))
    assert contents[0] == contents[1]


def test_nothing_global_changes():
    import matplotlib

    before = dict(matplotlib.rcParams)
    plots.plot_found({"one": [make_runs()]})
    assert dict(matplotlib.rcParams) == before


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    from weaknas.errors import MissingDependencyError

    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match=r"weaknas\[plot\]"):
        plots.plot_found({"one": [make_runs()]})


def test_choices_that_remain_are_drawn_by_round():
    entropies = [np.array([2.0, 1.0]), np.array([1.0, 0.0]), np.array([0.0, 0.0])]
    axis = plots.plot_choices(["a", "b"], entropies).axes[0]
    drawn = axis.get_images()[0].get_array()
    np.testing.assert_allclose(drawn, [[4, 2, 1], [2, 1, 1]])
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a", "b"]


def test_a_front_is_drawn_as_steps():
    scores, costs = np.array([1.0, 3.0, 2.0, np.nan]), np.array([1.0, 3.0, 4.0, 0.0])
    axis = plots.plot_front("macs", scores, costs, np.array([0, 0, 1, 1])).axes[0]
    np.testing.assert_array_equal(lines(axis)["front"], [[1, 1], [3, 3]])
    assert len(axis.collections[0].get_offsets()) == 3


def test_curves_are_means_over_runs():
    axis = plots.plot_curves({"s": np.array([[4.0, 2.0], [2.0, 1.0]])}, "t", "y").axes[0]
    np.testing.assert_array_equal(lines(axis)["s (2 runs)"], [[1, 3], [2, 1.5]])


def test_a_landscape_is_drawn_as_it_is_told():
    told = {
        "exact": True,
        "autocorrelation": [1.0, 0.5, 0.2],
        "correlation_length": 1.44,
        "walk": {"ci95": [[1, 1], [0.4, 0.6], [0.1, 0.3]], "walks": 20, "length": 1000},
        "volume": [0.001, 0.2, 1.0],
        "peaks": 1,
        "main_effects": {"layer": 0.1, "width": 0.4, "same": None},
    }
    axis = plots.plot_autocorrelation(told).axes[0]
    np.testing.assert_allclose(lines(axis)["exact"], [[0, 1], [1, 0.5], [2, 0.2]])
    axis = plots.plot_volume(told).axes[0]
    assert [text.get_text() for text in axis.texts] == ["0.10%", "20%", "100%"]
    assert axis.get_xlabel() == "at most so many steps from the peak"
    bars = plots.plot_effects(told).axes[0].patches
    assert [bar.get_width() for bar in bars] == [0.0, 0.1, 0.4]


def test_a_relation_has_a_mark_a_table():
    axis = plots.plot_relation([("a", 1.0, 0.5), ("b", 2.0, 2.0), ("a", 3.0, 1.0)], "x", "y").axes[
        0
    ]
    drawn = lines(axis)
    np.testing.assert_allclose(drawn["a"], [[1, 0.5], [3, 1]])
    np.testing.assert_allclose(drawn["b"], [[2, 2]])
    assert axis.get_yscale() == "log"
