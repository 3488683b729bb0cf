import time

import numpy as np
import pytest

from weaknas.errors import InputError
from weaknas.evaluators.benchmarks import _is_timed, _repeat, nasbench201
from weaknas.spaces import SubsetSpace
from weaknas.spaces.files.tables import write_columns
from weaknas.spaces.nasbench201 import NASBench201

NAN = np.nan
PARTIAL = {
    "index": np.array([4, 7]),
    "genotype": np.array([[3, 3, 3, 3, 3, 3], [1, 1, 0, 3, 2, 1]], dtype=np.int16),
    "parameters": np.array([10, 20]),
    "valid_accuracy": np.array([[90.0, 92.0, 91.0], [80.0, 81.0, NAN]]),
    "test_accuracy": np.array([[91.0, 93.0, 92.0], [82.0, 83.0, NAN]]),
    "train_seconds": np.array([[100.0, 101.0, 102.0], [50.0, 51.0, NAN]]),
    "valid_accuracy@12": np.array([[70.0, 71.0], [60.0, NAN]]),
    "train_seconds@12": np.array([[6.0, 7.0], [3.0, NAN]]),
    "valid_accuracy_curve": np.ones((2, 3, 200), dtype=np.float32),
}


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("WEAKNAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("WEAKNAS_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def write_partial(data, columns=None):
    write_columns(data / "nasbench201" / "cifar10.parquet", columns or PARTIAL, "a test")


@pytest.mark.parametrize(
    ("dataset", "best"), [("cifar10", 91.6067), ("cifar100", 73.4933), ("imagenet16-120", 46.7333)]
)
def test_pip_table(dataset, best):
    benchmark = nasbench201(dataset)
    assert benchmark.name == f"nasbench201/{dataset}"
    assert benchmark.describe()["architectures"] == 8765
    assert benchmark.optimum().score == pytest.approx(best, abs=1e-4)
    assert (benchmark.objective, benchmark.cost, benchmark.test) == (
        "valid_accuracy",
        "train_seconds",
        None,
    )
    assert benchmark.fidelities == []
    evaluation = benchmark.evaluate(benchmark.optimum().architecture, seed=3)
    assert evaluation.cost > 1000
    assert evaluation.metrics.keys() == {"train_seconds", "latency_seconds", "parameters"}


def test_second_call_is_free():
    first = nasbench201("cifar10")
    start = time.process_time()
    for _ in range(100):
        assert nasbench201("cifar10") is first
    assert time.process_time() - start < 100 * 0.005
    assert nasbench201("cifar10", labels="mean") is not first


def test_imported_table_is_seen_at_once(data):
    assert nasbench201("cifar10").describe()["architectures"] == 8765
    write_partial(data)
    with pytest.warns(RuntimeWarning, match=r"cifar10\.parquet: partial, 2 of 15625"):
        assert nasbench201("cifar10").describe()["architectures"] == 2
    assert nasbench201("cifar10", source="pip").describe()["architectures"] == 8765


@pytest.mark.filterwarnings("ignore:.*partial")
def test_official_table(data):
    write_partial(data)
    benchmark = nasbench201("cifar10", source="official")
    assert isinstance(benchmark.space, SubsetSpace)
    assert (benchmark.cost, benchmark.test, benchmark.fidelities) == (
        "train_seconds",
        "test_accuracy",
        [12.0],
    )
    good, poor = (NASBench201().architectures(PARTIAL["genotype"][[i]])[0] for i in (0, 1))
    assert benchmark.optimum().architecture == good
    assert benchmark.optimum("test_accuracy").score == 92.0
    shown = {benchmark.evaluate(good, seed=seed, fidelity=12).score for seed in range(3)}
    assert shown == {70.0, 71.0}
    short = benchmark.evaluate(poor, seed=1, fidelity=12)
    assert (short.score, short.cost) == (60.0, 3.0)
    full = benchmark.evaluate(poor, seed=1)
    assert (full.score, full.cost) == (81.0, 51.0)
    assert not [name for name in full.metrics if name.startswith(("test", "valid", "index"))]


@pytest.mark.filterwarnings("ignore:.*partial")
def test_cost_is_left_out_where_times_are_missing(data):
    for missing in ("train_seconds", "train_seconds@12"):
        write_partial(data, {k: v for k, v in PARTIAL.items() if k != missing})
        assert nasbench201("cifar10", source="official").cost is None
    assert _is_timed(PARTIAL)
    assert not _is_timed(PARTIAL | {"train_seconds": np.array([[1.0, NAN, 1.0], [1.0, 1.0, 1.0]])})


def test_repeat_goes_round_the_known_values():
    values = np.array([[1.0, 2.0], [NAN, 3.0], [NAN, NAN]])
    expected = np.array([[1.0, 2.0, 1.0], [3.0, 3.0, 3.0], [NAN, NAN, NAN]])
    np.testing.assert_array_equal(_repeat(values, 3), expected)
    np.testing.assert_array_equal(_repeat(values, 1), expected[:, :1])


@pytest.mark.parametrize(
    "options", [{"dataset": "cifar"}, {"labels": "two-seeds"}, {"source": "net"}]
)
def test_unknown_names(options):
    with pytest.raises(InputError, match=f"unknown {next(iter(options))}"):
        nasbench201(**options)
