"""The DARTS space against its definition, brute force and published genotypes."""

from __future__ import annotations

import csv
import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weaknas
from weaknas.errors import InputError
from weaknas.evaluators.nasbench301 import NASBench301
from weaknas.spaces.darts import DARTS, OPERATIONS
from weaknas.testing import check_evaluator, space_checks

SPACE = DARTS()
# DARTS (second order), as published with the paper's code.
DARTS_V2 = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0),"
    " ('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0),"
    " ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0),"
    " ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0),"
    " ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)],"
    " reduce_concat=[2, 3, 4, 5])"
)


def renumbered(row: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same architecture with other numbers of its nodes and other orders of inputs."""
    cells = []
    for cell in row.reshape(2, 4, 2, 2).tolist():
        orders = []
        for order in itertools.permutations(range(4)):
            names = [0, 1, *(2 + order.index(node) for node in range(4))]
            nodes = [[(names[s], op) for s, op in cell[old]] for old in order]
            if all(s < 2 + new for new, node in enumerate(nodes) for s, _ in node):
                orders.append(nodes)
        chosen = orders[rng.integers(len(orders))]
        cells.append([node[::-1] if rng.random() < 0.5 else node for node in chosen])
    return np.array(cells, dtype=np.int16).ravel()


def brute_force_form(row: np.ndarray) -> object:
    """A canonical form by another way: unfold each cell to nested multisets with shared nodes."""
    forms = []
    for cell in row.reshape(2, 4, 2, 2).tolist():
        best = None
        for order in itertools.permutations(range(4)):
            name = {0: 0, 1: 1} | {old + 2: new + 2 for new, old in enumerate(order)}
            edges = sorted(
                (name[node + 2], name[s], op)
                for node, inputs in enumerate(cell)
                for s, op in inputs
            )
            best = edges if best is None or edges < best else best
        forms.append(tuple(best or ()))
    return tuple(forms)


@pytest.mark.parametrize("operations", OPERATIONS)
def test_promises(operations: str) -> None:
    checks = space_checks(DARTS(operations), reference=brute_force_form, symmetric_neighbors=True)
    for check in checks:
        check()


def test_size_is_the_number_in_the_literature() -> None:
    # DARTS, section 3.1 and 4: (k + 1) k / 2 pairs of inputs and 7 operations each.
    one_cell = 1
    for k in range(1, 5):
        one_cell *= (k + 1) * k // 2 * 7**2
    assert SPACE.size == one_cell**2
    assert SPACE.size == pytest.approx(1.08e18, rel=0.01)
    assert len(SPACE.operations) == 7


def test_size_counts_the_cells_of_a_smaller_set_exactly() -> None:
    pairs = [list(itertools.combinations(range(k), 2)) for k in range(2, 6)]
    wirings = len(list(itertools.product(*pairs)))
    assert SPACE.size == (wirings * 7**8) ** 2


def test_renumbered_architectures_are_one() -> None:
    rng = np.random.default_rng(0)
    rows = SPACE.sample(300, rng)
    others = np.stack([renumbered(row, rng) for row in rows])
    assert (rows != others).any(axis=1).mean() > 0.9
    assert SPACE.contains(others).all()
    assert np.array_equal(SPACE.canonicalize(rows), SPACE.canonicalize(others))
    assert np.array_equal(SPACE.fingerprint(rows), SPACE.fingerprint(others))


def test_cells_are_not_exchanged() -> None:
    row = SPACE.parse(DARTS_V2)
    swapped = np.concatenate([row[16:], row[:16]])
    assert SPACE.fingerprint(row[None])[0] != SPACE.fingerprint(swapped[None])[0]


def test_fingerprints_fit_the_size() -> None:
    codes = SPACE.fingerprint(SPACE.sample(1000, np.random.default_rng(0)))
    assert codes.min() >= 0
    assert codes.max() < SPACE.size


def test_published_genotype_is_read() -> None:
    row = SPACE.parse(DARTS_V2)
    assert SPACE.format(row).replace("range(2, 6)", "[2, 3, 4, 5]") == DARTS_V2
    assert np.array_equal(SPACE.parse(SPACE.format(row)), row)


def test_neighbors_are_those_of_a_brute_force() -> None:
    row = SPACE.sample(1, np.random.default_rng(3))[0]
    changed = []
    rng = np.random.default_rng(0)
    for _ in range(60):  # all numberings, so that every possible source is tried
        alike = renumbered(row, rng)
        for column, count in enumerate(SPACE.cardinalities):
            for value in range(int(count)):
                changed.append(np.where(np.arange(32) == column, value, alike))
    rows = np.array(changed)
    expected = set(SPACE.fingerprint(rows[SPACE.contains(rows)]).tolist())
    expected -= {int(SPACE.fingerprint(row[None])[0])}
    assert set(SPACE.fingerprint(SPACE.neighbors(row)).tolist()) == expected


def test_mutants_are_neighbors() -> None:
    row = SPACE.sample(1, np.random.default_rng(4))[0]
    mutants = SPACE.mutate(np.repeat(row[None], 500, axis=0), np.random.default_rng(5))
    near = SPACE.fingerprint(SPACE.neighbors(row))
    assert np.isin(SPACE.fingerprint(mutants), near).all()


def test_sources_are_drawn_uniformly() -> None:
    cells = SPACE.sample(20_000, np.random.default_rng(0)).reshape(-1, 2, 4, 2, 2)
    pairs = np.sort(cells[:, 1, 3, :, 0], axis=1)
    _, counts = np.unique(pairs, axis=0, return_counts=True)
    assert len(counts) == 10
    assert abs(counts - 2000).max() < 5 * np.sqrt(2000)


def test_graphs_have_the_operations_of_the_genotype() -> None:
    graphs = SPACE.graphs(SPACE.parse(DARTS_V2)[None])
    names = [graphs.vocabulary[label] for label in graphs.operations[0]]
    assert names.count("normal/sep_conv_3x3") == 5
    assert names.count("normal/skip_connect") == 2
    assert names.count("reduce/max_pool_3x3") == 5
    assert names[0] == "input"
    assert names[-1] == "output"
    # Two inputs, then per node two operations and a sum, in both cells.
    assert graphs.adjacency.sum() == 2 * (2 + 4 * (2 + 2 + 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("'sep_conv_3x3', 0", "'none', 0"), "unknown operation 'none'"),
        (("'sep_conv_3x3', 0", "'sep_conv_3x3', 2"), "node 2 .* takes input 2; 0 to 1"),
        (("'sep_conv_3x3', 0", "'sep_conv_3x3', 1"), "takes input 1 twice"),
        (("('sep_conv_3x3', 0), ", ""), "has 7 inputs, not 8"),
        (("[2, 3, 4, 5]", "[3, 4, 5]"), "concatenates"),
        (("Genotype", "__import__('os').system"), "malformed genotype"),
        (("normal=", "normal=print(1) or "), "malformed genotype"),
        (("reduce=", "other="), "other is no field"),
    ],
)
def test_bad_genotypes_are_refused(change: tuple[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SPACE.parse(DARTS_V2.replace(*change, 1))


def test_unknown_operations_are_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'nasnet'"):
        DARTS("nasnat")


def test_measured_genotypes_are_read(shared_data: Callable[[str], Path]) -> None:
    path = shared_data("darts/darts_214_random_cifar10.csv")
    from weaknas.spaces.darts.table import read_random_sample

    columns = read_random_sample(path)
    assert columns["genotype"].shape == (214, 32)
    assert SPACE.contains(columns["genotype"]).all()
    best = columns["best_test_accuracy"]  # the published mean and range are of the best epochs
    assert best.mean() == pytest.approx(97.03, abs=0.01)
    assert (best.min(), best.max()) == (96.18, 97.56)
    assert (columns["test_accuracy"] <= best).all()
    with path.open() as file:
        first = next(csv.DictReader(file))
    text = SPACE.format(columns["genotype"][0])
    for pair in first["normal"].replace("|", ",").split(","):
        operation, source = pair.split("~")
        assert f"('{operation}', {source})" in text


# -- benchmarks --------------------------------------------------------------------------


def test_measured_genotypes_are_a_benchmark(
    shared_data: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shared_data("darts/darts_214_random_cifar10.csv").parent.parent
    monkeypatch.setenv("WEAKNAS_DATA", str(folder))
    with pytest.warns(RuntimeWarning, match="214 measured architectures"):
        benchmark = weaknas.get_benchmark("darts")
    assert benchmark.space.size == 214
    result = weaknas.run(weaknas.get_strategy("random", benchmark.space), benchmark, budget=214)
    assert result.regret == 0


def test_a_missing_benchmark_says_what_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEAKNAS_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"neither nb_models_1\.0.* nor darts_214"):
        weaknas.get_benchmark("darts")
    with pytest.raises(InputError, match=r"holds no xgb_v1\.0; download"):
        weaknas.get_benchmark("darts", source="nasbench301")


def test_damaged_measurements_are_refused(tmp_path: Path) -> None:
    from weaknas.spaces.darts.table import read_random_sample

    path = tmp_path / "sample.csv"
    path.write_text("id,normal,reduce,test_acc_best,test_acc_epoch600\n0,skip_connect~0,x,1,1\n")
    with pytest.raises(InputError, match=r"sample\.csv, line 2: not a measured genotype"):
        read_random_sample(path)


# Answers like an ensemble of the package: by the numbering of the nodes, noise included.
_PACKAGE = """
import numpy as np

class Surrogate:
    def predict(self, config, representation, with_noise):
        assert representation == "genotype"
        assert config.normal_concat == config.reduce_concat == [2, 3, 4, 5]
        known = [len(op) + 10 * source for op, source in config.normal]
        mean = 90 + float(np.arange(8) @ known) / 1000
        return mean + (np.random.normal(0, 0.2) if with_noise else 0.0)

def load_ensemble(path):
    return Surrogate()
"""


@pytest.fixture(name="models")
def _models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "darts" / "nb_models_1.0"
    (folder / "xgb_v1.0").mkdir(parents=True)
    (folder / "lgb_runtime_v1.0").mkdir()
    (tmp_path / "nasbench301.py").write_text(_PACKAGE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "nasbench301", raising=False)
    monkeypatch.setenv("WEAKNAS_DATA", str(tmp_path))
    return folder


@pytest.mark.parametrize("labels", ["one-seed", "mean"])
def test_surrogate_is_an_evaluator(labels: Any, models: Path) -> None:
    check_evaluator(weaknas.get_benchmark("darts", labels=labels), SPACE)


def test_surrogate_sees_canonical_forms_and_draws_noise_by_the_seed(models: Path) -> None:
    benchmark = NASBench301(models)
    rng = np.random.default_rng(0)
    row = SPACE.sample(1, rng)[0]
    one, other = SPACE.architectures(np.stack([row, renumbered(row, rng)]))
    first = benchmark.evaluate(one, seed=1)
    assert first == benchmark.evaluate(other, seed=1)
    assert first.score != benchmark.evaluate(one, seed=2).score
    mean = NASBench301(models, labels="mean").evaluate(one, seed=1).score
    drawn = [benchmark.evaluate(one, seed=s).score for s in range(400)]
    assert np.mean(drawn) == pytest.approx(mean, abs=0.05)
    with pytest.raises(InputError, match="full trainings only"):
        benchmark.evaluate(one, seed=1, fidelity=50)


def test_a_missing_package_is_said(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nasbench301", None)
    with pytest.raises(InputError, match="nasbench301 cannot be imported"):
        NASBench301(models)
