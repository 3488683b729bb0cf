"""The NAS-Bench-Graph space and its tables against the official package."""

from __future__ import annotations

import importlib
import itertools
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weaknas
from weaknas.errors import InputError
from weaknas.spaces.graph import LINKS, OPERATIONS, GraphNetworks
from weaknas.spaces.graph import table as tables
from weaknas.testing import space_checks

SPACE = GraphNetworks()


@pytest.fixture(name="official", scope="module")
def _official() -> Any:
    pytest.importorskip("nas_bench_graph", reason="nas-bench-graph is not installed")
    return importlib.import_module("nas_bench_graph.architecture")


@pytest.mark.parametrize("check", space_checks(SPACE), ids=str)
def test_promises(check: Any) -> None:
    check()


def test_there_are_as_many_architectures_as_published() -> None:
    assert SPACE.size == 9 * (9**4 - 1)
    assert len(SPACE.architecture_fingerprints) == 26_206


def test_hashes_are_the_official_ones(official: Any) -> None:
    rows = SPACE.enumerate()
    expected = [
        official.Arch(list(LINKS[row[0]]), [OPERATIONS[op] for op in row[1:]]).valid_hash()
        for row in rows.tolist()
    ]
    assert SPACE.official_hashes(rows).tolist() == expected


def test_any_numbering_is_read_as_the_official_code_does(official: Any) -> None:
    rng = np.random.default_rng(0)
    for links in itertools.product([0], [0, 1], [0, 1, 2], [0, 1, 2, 3]):
        operations = [OPERATIONS[op] for op in rng.integers(8, size=4)]
        row = SPACE.parse(f"Arch({list(links)}, {operations})")
        expected = official.Arch(list(links), operations).valid_hash()
        assert SPACE.official_hashes(row[None]).tolist() == [expected]


@pytest.mark.parametrize("dataset", tables.DATASETS)
def test_tables_hold_every_architecture(dataset: str) -> None:
    pytest.importorskip("nas_bench_graph", reason="nas-bench-graph is not installed")
    columns = tables.load_table(dataset)
    codes = SPACE.fingerprint(columns["genotype"])
    assert SPACE.contains(columns["genotype"]).all()
    assert np.array_equal(SPACE.canonicalize(columns["genotype"]), columns["genotype"])
    if dataset == "proteins":
        assert len(codes) == 2021
        known = np.isin(columns["genotype"][:, 1:], [OPERATIONS.index(op) for op in _PROTEINS])
        assert known.all()
    else:
        assert np.array_equal(np.sort(codes), SPACE.architecture_fingerprints)
    for name in ("valid_accuracy", "test_accuracy"):
        assert 0 < columns[name].min() < columns[name].max() < 100
    assert columns["latency_seconds"].min() > 0


_PROTEINS = ("gcn", "sage", "arma", "fc", "skip")


def test_a_row_is_that_of_the_package(official: Any) -> None:
    columns = tables.load_table("cora")
    path = Path(official.__file__).parent / "light" / "cora.bench"
    with path.open("rb") as file:
        raw = pickle.load(file)  # noqa: S301  # an installed package's own file
    row = SPACE.parse("Arch([0, 1, 2, 1], ['gcn', 'gin', 'fc', 'cheb'])")
    expected = raw[official.Arch([0, 1, 2, 1], ["gcn", "gin", "fc", "cheb"]).valid_hash()]
    index = int(np.flatnonzero((columns["genotype"] == SPACE.canonicalize(row[None])).all(1))[0])
    assert columns["valid_accuracy"][index] == pytest.approx(100 * expected["valid_perf"])
    assert columns["test_accuracy"][index] == pytest.approx(100 * expected["perf"])
    assert columns["parameters"][index] == pytest.approx(1e6 * expected["para"])


def test_free_skips_move_to_the_front() -> None:
    alike = [
        "Arch([0, 1, 2, 3], ['gcn', 'skip', 'gin', 'fc'])",
        "Arch([0,1,2,3],['skip','gcn','gin','fc'])",
    ]
    codes = SPACE.fingerprint(SPACE.genotypes(alike))
    assert codes[0] == codes[1]
    # A skip beside another operation, after something that is not skip, is a branch.
    branch = SPACE.genotypes(["Arch([0, 1, 1, 2], ['gcn', 'gin', 'skip', 'fc'])"])
    assert SPACE.format(SPACE.canonicalize(branch)[0]).startswith("Arch([0, 1, 1, 2], ['gcn'")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Arch([0, 1, 2, 3], ['gcn', 'gin', 'fc', 'chep'])", "did you mean 'cheb'"),
        ("Arch([0, 1, 3, 3], ['gcn', 'gin', 'fc', 'cheb'])", "malformed"),
        ("Arch([0, 1, 2], ['gcn', 'gin', 'fc'])", "malformed"),
        ("Arch([0, 1, 2, 3], ['gcn', 'gin', 'fc', 1])", "unknown operation '1'"),
        ("Arch([0, 0, 0, 1], ['skip', 'skip', 'skip', 'skip'])", "skip alone"),
    ],
)
def test_bad_texts_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        SPACE.parse(text)


def test_unknown_data_sets_are_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'cora'"):
        tables.load_table("core")


def test_a_missing_package_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'weaknas\[graph\]'"):
        tables.load_table("cora")


@pytest.mark.parametrize(
    "content",
    [
        [1, 2],
        {1: {"perf": 0.5}},
        {99_999: dict.fromkeys(("valid_perf", "perf", "latency", "para"), 0.5)},
        {},
    ],
)
def test_other_files_are_refused(
    content: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cora.bench").write_bytes(pickle.dumps(content))
    monkeypatch.setattr(tables, "_folder", lambda: tmp_path)
    with pytest.raises(InputError, match=r"cora\.bench: not a table"):
        tables.load_table("cora")


def test_benchmarks_search_whole_spaces(official: Any) -> None:
    cora = weaknas.get_benchmark("graph", dataset="cora")
    assert cora.space.size == SPACE.size
    assert cora is weaknas.get_benchmark("graph", dataset="cora")
    proteins = weaknas.get_benchmark("graph", dataset="proteins")
    assert proteins.space.size == 2021
    best = cora.optimum()
    index = int(np.argmax(tables.load_table("cora")["valid_accuracy"]))
    assert best.score == tables.load_table("cora")["valid_accuracy"][index]
