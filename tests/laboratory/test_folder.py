"""Folders of comparisons and rankings: what is read back is whole, or is done again."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor

from weaknas.errors import InputError
from weaknas.evaluators import TabularBenchmark
from weaknas.laboratory.comparison_folder import ComparisonFolder, read_comparison
from weaknas.laboratory.contestants import Contestant
from weaknas.laboratory.experiment import Experiment
from weaknas.laboratory.ranking import Ranking, rank
from weaknas.laboratory.ranking_results import RankingFolder, read_ranking
from weaknas.laboratory.results import compare
from weaknas.spaces import ChoiceSpace
from weaknas.strategies import RandomSearch

pytestmark = pytest.mark.usefixtures("quick_processes")


def make_benchmark():
    space = ChoiceSpace({name: [0, 1, 2, 3] for name in "abc"}, name="toy")
    genotypes = space.enumerate()
    scores = genotypes @ [1.0, 0.7, 0.4] + np.random.default_rng(0).normal(0, 0.3, (3, 64))
    table = {"genotype": genotypes, "score": scores.T, "seconds": 1.0 + genotypes[:, 0]}
    return TabularBenchmark(space, table, cost="seconds", name="toy/small")


def run_comparison(folder, **options):
    strategies = {"one": RandomSearch, "five": partial(RandomSearch, batch_size=5)}
    design = Experiment("toy", {"small": make_benchmark}, strategies, runs=2, budget=12, seed=3)
    return compare(design, folder, **options)


def run_ranking(folder, **options):
    contestants = {
        "linear": Contestant(LinearRegression(), "one-hot"),
        "near": Contestant(KNeighborsRegressor(3), "ordinal"),
    }
    return rank(Ranking("toy", make_benchmark, contestants, (20, 8), 2), folder, **options)


class Kind:
    """A kind of experiment with all that the tests do to it."""

    def __init__(self, name, call, read, kind):
        self.name, self.call, self.read, self.kind = name, call, read, kind
        self.per_task = {"comparison": 12, "ranking": 2}[name]

    def table(self, folder):
        return pq.read_table(folder / self.kind.table)

    def without_times(self, folder):
        names = [name for name in self.kind.schema.names if not name.startswith("seconds")]
        return self.table(folder).select(names)


KINDS = {
    "comparison": Kind("comparison", run_comparison, read_comparison, ComparisonFolder),
    "ranking": Kind("ranking", run_ranking, read_ranking, RankingFolder),
}


@pytest.fixture(params=KINDS, scope="module")
def finished(request, tmp_path_factory):
    """A kind, and the folder of one that is finished; not to be changed."""
    kind = KINDS[request.param]
    folder = tmp_path_factory.mktemp(kind.name) / "out"
    kind.call(folder)
    return kind, folder


@pytest.fixture
def kind(finished):
    return finished[0]


@pytest.fixture
def folder(finished, tmp_path):
    """A copy of it, to be changed."""
    return shutil.copytree(finished[1], tmp_path / "out")


def in_parts(kind, folder):
    """Make a folder look as it does while the experiment is under way."""
    table = kind.table(folder)
    (folder / kind.kind.table).unlink()
    (folder / "runs").mkdir()
    for number in range(4):
        part = table.slice(number * kind.per_task, kind.per_task)
        pq.write_table(part, folder / "runs" / f"{number + 1:06d}.parquet")
    return folder / "runs"


def changed(table, column, values):
    index = table.column_names.index(column)
    return table.set_column(index, table.schema.field(column), pa.array(values, table[column].type))


# Of the rows of one task.
FAULTS = {
    "cut to its beginning": lambda task: task.slice(0, len(task) // 2),
    "without its beginning": lambda task: task.slice(1),
    "twice": lambda task: pa.concat_tables([task, task]),
    "with another seed": lambda task: changed(task, "seed", [7] * len(task)),
    "of a run that is none": lambda task: changed(task, "run", [9] * len(task)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_task_that_is_not_whole_is_done_again(finished, folder, fault):
    kind, original = finished
    before, n = kind.table(folder), kind.per_task
    damaged = FAULTS[fault](before.slice(n, n))
    tables = [before.slice(0, n), damaged, before.slice(2 * n)]
    pq.write_table(pa.concat_tables(tables), folder / kind.kind.table)
    with pytest.warns(UserWarning, match="is not finished: it"):
        kind.read(folder)
    seen = []
    with pytest.warns(UserWarning, match="is not finished: it"):
        kind.call(folder, progress=seen.append)
    assert sorted(outcome.seconds > 0 for outcome in seen) == [False] * 3 + [True]
    assert kind.without_times(folder) == kind.without_times(original)


def test_the_last_query_of_a_run_says_so(tmp_path):
    """By their number a run cut short is not told from one that exhausted its space."""
    run_comparison(tmp_path)
    rows = pq.read_table(tmp_path / "queries.parquet").to_pandas()
    assert rows.groupby(["strategy", "run"])["is_last"].agg(list).tolist() == (
        [[False] * 11 + [True]] * 4
    )


def test_a_part_that_is_not_whole_is_done_again(finished, folder):
    kind, original = finished
    runs = in_parts(kind, folder)
    part = pq.read_table(runs / "000003.parquet")
    pq.write_table(part.slice(0, 1), runs / "000003.parquet")
    seen = []
    with pytest.warns(UserWarning, match=r"000003\.parquet: .* is not finished"):
        kind.call(folder, progress=seen.append)
    assert sorted(outcome.seconds > 0 for outcome in seen) == [False] * 3 + [True]
    assert kind.without_times(folder) == kind.without_times(original)


def test_what_is_done_after_a_part_was_moved_away_overwrites_no_other(finished, folder):
    kind, original = finished
    runs = in_parts(kind, folder)
    (runs / "000002.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match=r"000002\.parquet is damaged: .*; move it away"):
        kind.call(folder)
    (runs / "000002.parquet").unlink()
    parts, kept = [], kind.kind.add

    def spy(self, task, rows):
        kept(self, task, rows)
        parts.append(sorted(path.name for path in runs.iterdir()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind.kind, "add", spy)
        kind.call(folder)
    assert parts == [[f"{number:06d}.parquet" for number in (1, 3, 4, 5)]]
    assert kind.without_times(folder) == kind.without_times(original)


def test_bits_that_flip_are_told_or_change_nothing(finished, folder):
    kind, original = finished
    path = folder / kind.kind.table
    content, rng = path.read_bytes(), np.random.default_rng(5)
    told = 0
    for _ in range(60):
        damaged = bytearray(content)
        damaged[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            _, read = kind.kind.read(folder)
        except InputError as error:
            assert "is damaged" in str(error)  # noqa: PT017
            assert "\n" not in str(error)  # noqa: PT017
            told += 1
        else:
            assert read.rows == kind.kind.read(original)[1].rows
    assert told > 30


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "null",
        '{"weaknas_comparison": 2, "weaknas_ranking": 3}',
        '{"weaknas_comparison": 2, "weaknas_ranking": 3, "experiment": {}, "ranking": {}}',
        "[" * 100_000,
    ],
)
def test_a_configuration_that_is_not_what_was_written_is_refused(folder, kind, content):
    (folder / "config.json").write_text(content)
    for action in (kind.call, kind.read):
        with pytest.raises(InputError, match=r"is damaged|holds no"):
            action(folder)


def test_a_changed_configuration_is_refused(folder, kind):
    path = folder / "config.json"
    record = json.loads(path.read_text())
    record[kind.kind.section]["seed"] += 1
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"config\.json is damaged: it is not what was written"):
        kind.call(folder)


@pytest.mark.parametrize("content", ["{", "[]", '{"failures": 5}', '{"failures": [{"run": 3}]}'])
def test_a_damaged_summary_is_told(folder, kind, content):
    (folder / "summary.json").write_text(content)
    with pytest.raises(InputError, match=r"summary\.json is damaged"):
        kind.read(folder)
    kind.call(folder)  # it is written anew
    kind.read(folder)


def test_two_at_once_are_refused(folder: Path, kind: Kind) -> None:
    shutil.rmtree(folder)
    told = []

    def second(_):
        with pytest.raises(InputError, match=f"{folder} is in use by another process"):
            kind.call(folder)
        told.append(None)

    kind.call(folder, progress=second)
    assert len(told) == 4
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["config.json", "summary.json", kind.kind.table]
    )
