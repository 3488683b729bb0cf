"""The page of a comparison and of a search: whole, self-contained, with the right numbers."""

from __future__ import annotations

import json
import re
from functools import partial
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor

import weaknas
from weaknas.errors import InputError
from weaknas.evaluators import TabularBenchmark
from weaknas.laboratory.contestants import Contestant
from weaknas.laboratory.experiment import Experiment
from weaknas.laboratory.ranking import Ranking, rank
from weaknas.laboratory.results import compare
from weaknas.registry import BENCHMARKS
from weaknas.reports.report import report
from weaknas.reports.search_report import search_page
from weaknas.runs.journal import read_journal
from weaknas.runs.records import decode, encode
from weaknas.search.sources import Source
from weaknas.spaces import ChoiceSpace
from weaknas.strategies import RandomSearch, Repeating

pytestmark = pytest.mark.usefixtures("quick_processes")

pytest.importorskip("matplotlib")


def make_benchmark(dataset="small", labels="one-seed"):
    space = ChoiceSpace({"a": list(range(6)), "b": list(range(5)), "c": list(range(3))}, name="toy")
    rng = np.random.default_rng(len(dataset))
    genotypes = space.enumerate()
    mean = 50 + genotypes.sum(axis=1) + rng.normal(size=len(genotypes))
    table = {
        "genotype": genotypes,
        "score": mean[:, None] + rng.normal(scale=0.5, size=(len(genotypes), 3)),
        "seconds": 10.0 + genotypes[:, 0],
    }
    return TabularBenchmark(space, table, labels=labels, cost="seconds", name=f"toy/{dataset}")


class Page(HTMLParser):
    """Headings, cells and images of a page; fails on tags that are not closed."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.images, self.texts = [], [], []
        self._open = []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in ("meta", "img", "wbr"):
            self._open.append(tag)
        if tag == "img":
            self.images.append(dict(attributes)["src"])

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    experiment = Experiment(
        "toy",
        {name: partial(make_benchmark, name) for name in ("small", "other")},
        {"random": RandomSearch, "<ten>": partial(RandomSearch, batch_size=10)},
        runs=3,
        budget=30,
    )
    summary = compare(experiment, folder, command="weaknas compare toy")
    return folder, summary


@pytest.fixture
def registered(monkeypatch):
    """The benchmark under a name, as a plug-in's would be."""
    monkeypatch.setitem(BENCHMARKS._builtin, "toy", f"{__name__}:make_benchmark")


def test_page_of_a_comparison(comparison, tmp_path, registered):
    folder, summary = comparison
    path = report(folder, tmp_path / "page.html")
    page = Page(path.read_text())
    assert all(source.startswith("data:image/png;base64,iVBOR") for source in page.images)
    assert len(page.images) == 6  # regret twice, found, narrowing, two maps
    assert page.tags.count("table") == 5  # two of each data set, and the ranks
    for part in summary["datasets"]:
        for item in part["strategies"]:
            assert f"{item['queries_to_optimum']['mean']:.1f}" in page.texts
    assert "weaknas compare toy" in page.texts
    assert "<ten>" in page.texts  # escaped
    assert not re.search(r'(src|href)="(?!data:)', path.read_text())
    names = {file.name for file in (tmp_path / "page-figures").iterdir()}
    assert {"narrowing.svg", "regret-by-seconds.png", "map-other.png"} <= names


@pytest.mark.slow
def test_page_without_the_table_at_hand_has_no_map(comparison, tmp_path):
    path = report(comparison[0], tmp_path / "page.html")
    assert len(Page(path.read_text()).images) == 4


def test_page_of_a_search(tmp_path, registered):
    benchmark = make_benchmark()
    strategy = RandomSearch(benchmark.space, seed=1, batch_size=5)
    result = weaknas.run(strategy, benchmark, 25, output=tmp_path)
    page = Page(report(tmp_path).read_text())
    assert len(page.images) == 4
    assert result.best.architecture.text in page.texts
    assert f"Regret of the first: {result.regret:.4g} (by mean score)." in page.texts


def test_page_says_which_one_is_the_best_and_how_sure_that_is(tmp_path, registered):
    benchmark = make_benchmark()
    strategy = Repeating(RandomSearch(benchmark.space, seed=1), confirm="auto")
    result = weaknas.run(strategy, benchmark.with_noise(1.0), 60, output=tmp_path)
    page = Page(report(tmp_path).read_text())
    assert len(page.images) == 5
    best, queries = result.best, sum(trial.repeat == 0 for trial in result.trials)
    low, high = best.score - 1.96 * best.std_error, best.score + 1.96 * best.std_error
    assert f"{low:.5g} to {high:.5g}" in page.texts
    assert f"{best.probability_best:.0%}" in page.texts
    title = f"Which one is the best: contenders after 60 trainings, {queries} architectures"
    assert title in page.texts
    (tmp_path / "result.json").unlink()  # as of a search that goes on
    going = search_page(tmp_path)
    assert len(going.figures) == 4
    text = " ".join(html for _, html in going.sections)
    assert best.architecture.text in text
    assert (
        f"Returned is the first. The luckiest training, {result.best_observed.score:.5g}," in text
    )


@pytest.mark.parametrize("has_table", [True, False])
def test_page_of_a_search_that_was_told_the_best_before(tmp_path, request, has_table):
    if has_table:
        request.getfixturevalue("registered")
    benchmark = make_benchmark()
    best = benchmark.optimum().architecture
    score = float(benchmark.true_scores(np.array([best.genotype]))[0])
    known = Source.of_pairs(benchmark.space, [(best, score + 2)], same_problem=True)
    strategy = weaknas.WeakNAS(benchmark.space, seed=0, sources=[known])
    result = weaknas.run(strategy, benchmark, 6, output=tmp_path)
    assert result.best.architecture == best
    assert best.id not in {trial.architecture.id for trial in result.trials}
    page = Page(report(tmp_path).read_text())
    assert best.text in page.texts
    assert ("Regret of the first: 0 (by mean score)." in page.texts) == has_table
    assert (f"{score:.5g}" in page.texts) == has_table


def test_page_of_a_search_of_any_function(tmp_path):
    def fails_sometimes(architecture):
        if architecture.genotype[0] == 0:
            raise RuntimeError("no")
        return float(sum(architecture.genotype))

    space = make_benchmark().space
    result = weaknas.run(RandomSearch(space, seed=1), fails_sometimes, 25, output=tmp_path)
    failed = sum(not trial.is_ok for trial in result.trials)
    assert failed > 0
    page = Page(report(tmp_path).read_text())
    assert len(page.images) == 2
    assert f"{failed} evaluations failed." in page.texts


def test_page_of_a_ranking(tmp_path):
    design = Ranking(
        "toy",
        make_benchmark,
        {
            "linear": Contestant(LinearRegression(), "one-hot"),
            "near": Contestant(KNeighborsRegressor(3), "ordinal"),
        },
        train_sizes=[8, 20],
        runs=2,
    )
    summary = rank(design, tmp_path)
    page = Page(report(tmp_path).read_text())
    assert len(page.images) == 1
    assert {"Ranking on toy/small", "Trained on 8", "Trained on 20", "one-hot"} <= set(page.texts)
    for row in summary["rows"]:
        assert f"{row['kendall_tau']['mean']:.3f}" in page.texts
    assert (tmp_path / "report-figures" / "ranking.png").exists()


def test_page_of_a_ranking_whose_predictors_failed(tmp_path):
    broken = KNeighborsRegressor(100)  # more neighbours than rows
    design = Ranking("toy", make_benchmark, {"k": Contestant(broken, "ordinal")}, [8], runs=1)
    rank(design, tmp_path)
    page = Page(report(tmp_path).read_text())
    assert page.images == []
    assert any(
        text.startswith("k, run 0 failed: InputError: KNeighborsRegressor") for text in page.texts
    )


def test_journal_under_way_is_read_up_to_the_torn_line(tmp_path):
    benchmark = make_benchmark()
    weaknas.run(RandomSearch(benchmark.space, seed=1), benchmark, 8, output=tmp_path)
    journal = tmp_path / "journal.jsonl"
    content = journal.read_bytes()
    journal.write_bytes(content[:-20])
    config, trials = read_journal(journal)
    assert config["budget"] == 8
    assert [trial.number for trial in trials] == list(range(7))
    assert journal.read_bytes() == content[:-20]


def test_a_journal_mended_by_hand_to_what_cannot_be_is_refused(tmp_path):
    benchmark = make_benchmark()
    weaknas.run(RandomSearch(benchmark.space, seed=1), benchmark, 4, output=tmp_path)
    journal = tmp_path / "journal.jsonl"
    lines = journal.read_text().splitlines()
    whole = json.loads(lines[2])
    record, _ = decode(lines[2].encode())
    record["architecture"]["genotype"].pop()
    for line, message in (
        (json.dumps(whole | {"score": 1e9}), "damaged at line 3"),
        (encode(record).decode().strip(), "architectures of different lengths"),
    ):
        journal.write_text("\n".join([*lines[:2], line, *lines[3:]]) + "\n")
        with pytest.raises(InputError, match=message):
            report(tmp_path)


def test_a_journal_of_something_else_is_refused(tmp_path):
    benchmark = make_benchmark()
    weaknas.run(RandomSearch(benchmark.space, seed=1), benchmark, 2, output=tmp_path)
    journal = tmp_path / "journal.jsonl"
    header, *trials = journal.read_bytes().splitlines(keepends=True)
    wrong = {"space": {}, "strategy": {}, "evaluator": "x"}
    for config, message in (
        ({}, "not the journal of a search"),
        (wrong, "configuration.evaluator is 'x'"),
    ):
        changed = encode(decode(header.strip())[0] | {"config": config})
        journal.write_bytes(b"".join([changed, *trials]))
        with pytest.raises(InputError, match=message):
            report(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("notes.txt", "", "neither a comparison or ranking"),
        ("journal.jsonl", "not json\n", "is not a journal"),
        ("journal.jsonl", '{"weaknas_journal": 1, "config": {}}\n', "no trial yet"),
        ("config.json", "{}", "holds no comparison of this version"),
        ("config.json", "{", "damaged"),
    ],
)
def test_folders_without_results_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        report(tmp_path)
