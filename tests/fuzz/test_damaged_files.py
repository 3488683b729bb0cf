"""Files damaged at random, given to what reads them: refused in one line, or read.

Bits that flip, ends that are missing, values of other types or sizes, lists nested deeply:
in any file that a person gives or that a run left. In a journal values are changed under
a new checksum, too, as a faulty program would.
"""

from __future__ import annotations

import gzip
import io
import json
import pickle
import random
import re
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import weaknas
from weaknas.encoders.zero_cost import _read as read_proxies
from weaknas.errors import InputError
from weaknas.evaluators.outcome import Outcome
from weaknas.files import checksum
from weaknas.laboratory.comparison_folder import ComparisonFolder, read_comparison
from weaknas.laboratory.contestants import Contestant
from weaknas.laboratory.experiment import Experiment
from weaknas.laboratory.predictor_config import PredictorConfig
from weaknas.laboratory.ranking import Ranking, rank
from weaknas.laboratory.ranking_results import RankingFolder, read_ranking
from weaknas.laboratory.results import compare
from weaknas.optuna_bridge.export import to_study
from weaknas.predictors.nearest_neighbors import NearestNeighbors
from weaknas.reports.comparison_report import comparison_page
from weaknas.reports.live import Live
from weaknas.reports.ranking_report import ranking_page
from weaknas.runs.records import encode
from weaknas.spaces.architecture import Architecture
from weaknas.spaces.files.pickles import load_container
from weaknas.spaces.files.tables import read_columns, write_columns
from weaknas.spaces.mobilenetv3.latency import LatencyTable
from weaknas.strategies import RandomSearch

DAMAGED = 300
TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null')
VALUES = [
    b"-1", b"0", b"1.5", b"1e999", b"-1e999", b"NaN", b"9" * 5000, b"99999999999999999999", b'""',
    b'"x"', b'"\\u0000"', b'"\\ud800"', b"null", b"true", b"[]", b"{}", b"[[1]]", b'{"a": 1}', b"",
    b"[" * 30_000, b"[" * 150 + b"]" * 150, b'{"a":' * 30_000, b'"' + b"a" * 70_000 + b'"',
    b"0x" + b"f" * 9000, b"inf", b"1979-05-27", b"'x'",
]  # fmt: skip


# -- damage ----------------------------------------------------------------------------------


def flip_bits(data, rng):
    damaged = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 20])):
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def cut(data, rng):
    start, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return rng.choice([data[:start], data[end:], data[:start] + data[end:], b""])


def insert(data, rng):
    place = rng.randrange(len(data) + 1)
    more = rng.choice([b"\0", b"\n", b"\xff\xfe", data, data[:place], rng.randbytes(40)])
    return data[:place] + more + data[place:]


def change_value(data, rng):
    """Put another value in place of one of a text, or of a name."""
    found = list(TOKEN.finditer(data))
    if not found:
        return insert(data, rng)
    for match in sorted(rng.sample(found, min(len(found), rng.choice([1, 1, 3]))), key=id):
        if data[match.start() : match.end()] == match[0]:
            data = data[: match.start()] + rng.choice(VALUES) + data[match.end() :]
    return data


def change_table(data, rng):
    """Change a column of a Parquet file: its type, its values, its name, or leave it out."""
    table = pq.read_table(io.BytesIO(data))
    name = rng.choice(table.column_names)
    column, place = table[name], table.column_names.index(name)
    rows = len(table)
    other = rng.choice([
        pa.nulls(rows), pa.array([float("nan")] * rows), pa.array([-1] * rows),
        pa.array([2**62] * rows), pa.array(["x"] * rows), pa.array([[1, 2]] * rows),
        pa.array([{"a": 1}] * rows), pa.array([b"\xff"] * rows), pa.array([2.5] * rows),
        pa.array([True] * rows), pa.array([1e308] * rows), column.take(pa.array(range(rows))[::-1]),
    ])  # fmt: skip
    table = rng.choice([
        table.set_column(place, name, other), table.set_column(place, name, other),
        table.drop_columns([name]), table.slice(rows // 2), table.slice(0, 0),
        table.append_column(name, other), pa.concat_tables([table, table]),
    ])  # fmt: skip
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


BYTES = [flip_bits, cut, insert]
TEXT = [*BYTES, change_value, change_value, change_value]


# -- files and what reads them ------------------------------------------------------------------


@dataclass
class Kind:
    """A kind of file: a whole one, what damages it, and what reads it where it is put."""

    content: bytes
    read: Callable[[Path], object]
    name: str
    ways: list[Callable[[bytes, random.Random], bytes]]
    beside: Path | None = None  # a folder whose other files belong to it


def use_table(path):
    """Search with a table, after the TOML file beside it."""
    benchmark = weaknas.get_benchmark(str(path.with_suffix(".toml")))
    weaknas.run(RandomSearch(benchmark.space), benchmark, budget=2)


def use_space(path):
    space = weaknas.get_space(str(path))
    space.architectures(space.sample(3, np.random.default_rng(0)))
    if space.name == "mine":
        use_table(path)


def use_predictor(path):
    PredictorConfig.read(path).build()


def read_pickle(path):
    with path.open("rb") as file:
        load_container(file, str(path))


def use_outcome(path):
    outcome = Outcome.read(path)
    return outcome.is_done(2) and (outcome.cost(2), sum(outcome.curve), sum(outcome.losses))


def use_proxies(path):
    known = {}
    read_proxies(path, "s", known)
    return [sum(values.values()) for values in known.values()]


def use_architecture(path):
    return Architecture.from_json(path.read_bytes().decode("utf-8", "surrogateescape"))


def export_again(path):
    return to_study(path.parent)


def search_again(path):
    """Continue the run of a journal."""
    benchmark = weaknas.get_benchmark("nasbench201")
    weaknas.run(RandomSearch(benchmark.space), benchmark, budget=6, output=path.parent)


def seal_journal(data, rng):
    """Change a value of a line of a journal and give it the checksum that it should have."""
    lines = data.splitlines(keepends=True)
    place = rng.randrange(len(lines))
    try:
        record = json.loads(lines[place])
        del record["check"]
        changed = json.loads(change_value(json.dumps(record).encode(), rng))
        lines[place] = encode(changed)
    except (ValueError, KeyError, TypeError, RecursionError):
        del lines[place]
    return b"".join(lines)


def make_journal(folder):
    benchmark = weaknas.get_benchmark("nasbench201")
    weaknas.run(RandomSearch(benchmark.space), benchmark, budget=6, output=folder)
    return folder / "journal.jsonl"


def without_checksums(data):
    lines = [json.loads(line) for line in data.splitlines()]
    for line in lines:
        del line["check"]
    lines[0]["weaknas_journal"] = 1
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


@pytest.fixture(scope="module")
def kinds(tmp_path_factory, quick_processes):
    """Return the kinds of files by name."""
    folder = tmp_path_factory.mktemp("whole")
    journal = make_journal(folder / "run").read_bytes()
    strategies = {"one": RandomSearch, "two": RandomSearch}
    benchmark = weaknas.get_benchmark
    design = Experiment("nasbench201", {"cifar10": benchmark("nasbench201")}, strategies, 2, 4)
    compare(design, folder / "compare")
    comparison, config = folder / "compare", (folder / "compare" / "config.json").read_bytes()
    queries = (comparison / ComparisonFolder.table).read_bytes()
    summary = (comparison / "summary.json").read_bytes()
    toml = (
        b'name = "mine"\n[choices]\na = ["x", "y"]\nb = [1, 2, 3]\n[table]\npath = "table.csv"\n'
        b'objective = "score"\ncost = "seconds"\n'
    )
    csv = b"a,b,score,seconds\n" + b"".join(
        f"{a},{b},{b / 3},{b}.5\n".encode() for a in "xy" for b in (1, 2, 3)
    )
    numbers = np.arange(6.0)
    table = pa.table(
        {"a": [*"xyxyxy"], "b": [1, 1, 2, 2, 3, 3], "score": numbers, "seconds": numbers}
    )
    plain = io.BytesIO()
    pq.write_table(table, plain)
    write_columns(folder / "columns.parquet", {"x": np.ones((9, 2)), "y": np.arange(9)}, "mine")
    latency = json.dumps({f"expanded_conv-{i}": {"mean": 1.0 + i} for i in range(3)}).encode()
    release = pickle.dumps({"meta": [1, 2.5, "x", None, {"a": (1,), "b": {7}}]}, protocol=2)
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("archive/data.pkl", release)
    outcome = Outcome([0.1, 0.2], [1.0, 0.5], [3.0, 3.0], metrics={"params": 4}).to_dict()
    predictor = {
        "weaknas_predictor": 1, "predictor": "random-forest", "encoder": "one-hot", "made": {},
        "options": {"n_estimators": 5, "max_depth": None},
    }  # fmt: skip
    proxies = {"setting": "s", "id": "i", "jacov": 1.0}
    architecture = weaknas.get_space("nasbench201").architectures([[0] * 6])[0]
    beside = folder / "beside"
    beside.mkdir()
    (beside / "table.csv").write_bytes(csv)
    (beside / "table.toml").write_bytes(toml)
    (beside / "columns.toml").write_bytes(toml.replace(b"table.csv", b"columns.parquet"))

    def page(path):
        return comparison_page(path.parent)

    def results(path):
        return read_comparison(path.parent)

    tables = [*BYTES, *[change_table] * 5]
    columns = (folder / "columns.parquet").read_bytes()
    return {
        "journal": Kind(journal, search_again, "journal.jsonl", TEXT),
        "journal, sealed": Kind(journal, search_again, "journal.jsonl", [seal_journal]),
        "journal, read": Kind(journal, export_again, "journal.jsonl", [seal_journal]),
        "journal, old": Kind(without_checksums(journal), search_again, "journal.jsonl", TEXT),
        "config": Kind(config, page, "config.json", TEXT, comparison),
        "queries": Kind(queries, results, ComparisonFolder.table, tables, comparison),
        "summary": Kind(summary, results, "summary.json", TEXT, comparison),
        "space": Kind(toml, use_space, "table.toml", TEXT, beside),
        "csv": Kind(csv, use_table, "table.csv", TEXT, beside),
        "parquet": Kind(plain.getvalue(), use_table, "columns.parquet", tables, beside),
        "columns": Kind(columns, read_columns, "columns.parquet", tables),
        "latency": Kind(latency, LatencyTable.read, "latency.json", TEXT),
        "latency, packed": Kind(gzip.compress(latency), LatencyTable.read, "a.json.gz", BYTES),
        "predictor": Kind(json.dumps(predictor).encode(), use_predictor, "a.json", TEXT),
        "training": Kind(json.dumps(outcome).encode(), use_outcome, "a.json", TEXT),
        "proxies": Kind(json.dumps(proxies).encode(), use_proxies, "a.jsonl", TEXT),
        "architecture": Kind(architecture.to_json().encode(), use_architecture, "a.json", TEXT),
        "pickle": Kind(release, read_pickle, "release.pickle", BYTES),
        "zip": Kind(zipped.getvalue(), read_pickle, "release.pth", BYTES),
    }


NAMES = [
    "journal", "journal, sealed", "journal, read", "journal, old", "config",
    "queries", "summary", "space", "csv", "parquet", "columns", "latency", "latency, packed",
    "predictor", "training", "proxies", "architecture", "pickle", "zip",
]  # fmt: skip


# -- configurations that are forged, with the checksum that they should have ------------------

WRONG = [None, True, -1, 2**70, 1.5, "x", [], {}, [[1]], {"a": {"b": 1}}]


def forgeries(value):
    """Yield a value with each of its parts, in any depth, of another type or left out."""
    if isinstance(value, dict):
        for key, item in value.items():
            for inner in [*WRONG, *forgeries(item)]:
                yield {**value, key: inner}
            yield {name: other for name, other in value.items() if name != key}
    elif isinstance(value, list) and value:
        for inner in [*WRONG, *forgeries(value[0])]:
            yield [inner, *value[1:]]


@pytest.fixture(scope="module")
def experiments(tmp_path_factory, quick_processes):
    """Return folders of a comparison and of a ranking, and a run in a space of choices."""
    folder = tmp_path_factory.mktemp("experiments")
    benchmark = weaknas.get_benchmark("nasbench201")
    strategies = {"one": RandomSearch, "two": RandomSearch}
    compare(Experiment("nasbench201", {"cifar10": benchmark}, strategies, 2, 4), folder / "compare")
    contestants = {"one": Contestant(NearestNeighbors(), "one-hot")}
    rank(Ranking("nasbench201", benchmark, contestants, [9], runs=1), folder / "rank")
    space = weaknas.ChoiceSpace(
        {"a": ["x", "y"], "b": [1, 2]}, name="mine", conditions={"b": {"a": ["x"]}}
    )
    weaknas.run(RandomSearch(space), lambda a: float(len(a.text)), budget=3, output=folder / "run")
    return folder


@pytest.mark.parametrize(
    ("name", "folder", "read", "page"),
    [
        ("compare", ComparisonFolder, read_comparison, comparison_page),
        ("rank", RankingFolder, read_ranking, ranking_page),
    ],
)
def test_forged_designs_are_refused_in_one_line_or_read(
    name, folder, read, page, experiments, tmp_path
):
    for file in (experiments / name).iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    record = json.loads((tmp_path / "config.json").read_text())
    taken = []
    for forged in forgeries({key: value for key, value in record.items() if key != "checksum"}):
        sealed = {**forged, "checksum": checksum(forged.get(folder.section))}
        (tmp_path / "config.json").write_text(json.dumps(sealed))
        message = refusal(folder.read_config, tmp_path)
        assert "\n" not in message
        taken += [] if message else [sealed]
    for number, forged in enumerate(random.Random(name).sample(taken, 20)):
        (tmp_path / "config.json").write_text(json.dumps(forged))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert "\n" not in refusal(page if number % 10 == 0 else read, tmp_path)


def test_forged_headers_are_refused_in_one_line_or_read(experiments, tmp_path):
    header, *trials = (experiments / "run" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    record = json.loads(header)
    del record["check"]
    refused = 0
    for forged in forgeries(record["config"]):
        lines = [encode({"weaknas_journal": 2, "config": forged}), *trials]
        (tmp_path / "journal.jsonl").write_bytes(b"".join(lines))
        for read in (export_again, watch):
            message = refusal(read, tmp_path / "journal.jsonl")
            assert "\n" not in message
            refused += bool(message)
    assert refused


def watch(path):
    live = Live.read(path.parent)
    return live.title, live.facts(0.0), live.tables(0.0)


def refusal(read, path):
    """Return why a file is refused, or nothing; any other error is the test's."""
    try:
        read(path)
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", NAMES)
def test_damage_is_refused_in_one_line_or_read(name, kinds, tmp_path):
    kind, rng = kinds[name], random.Random(name)
    for number in range(DAMAGED // len(NAMES) + 1):
        folder = tmp_path / str(number)
        folder.mkdir()
        for file in [] if kind.beside is None else kind.beside.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        way = rng.choice(kind.ways)
        path = folder / kind.name
        path.write_bytes(way(kind.content, rng))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            message = refusal(kind.read, path)
        assert "\n" not in message, path


@pytest.mark.parametrize("name", NAMES)
def test_whole_files_are_read(name, kinds, tmp_path):
    kind = kinds[name]
    for file in [] if kind.beside is None else kind.beside.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / kind.name).write_bytes(kind.content)
    kind.read(tmp_path / kind.name)


def test_every_kind_is_damaged(kinds):
    assert list(kinds) == NAMES


@pytest.mark.parametrize("space", weaknas.list_spaces())
def test_texts_of_architectures_are_refused_in_one_line(space):
    chosen, deep = weaknas.get_space(space), "[" * 50_000
    for text in (
        f'{{"matrix": {deep}',
        f'{{"ks": {deep}',
        deep,
        "9" * 5000,
        "|" * 50_000,
        "\udcff",
    ):
        with pytest.raises(InputError) as caught:
            chosen.architecture(text)
        message = str(caught.value)
        assert "\n" not in message
        assert len(message) < 1500
