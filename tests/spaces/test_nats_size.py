"""The size space of NATS-Bench, and its official files, made here in their form."""

from __future__ import annotations

import bz2
import pickle
from pathlib import Path
from typing import Any

import pytest

import weaknas
from weaknas.errors import InputError
from weaknas.spaces.nats_size import NATSSize
from weaknas.spaces.nats_size import table as tables
from weaknas.testing import space_checks

SPACE = NATSSize()
SPLITS = {
    "cifar10-valid": ["x-valid"],
    "cifar10": ["ori-test"],
    "cifar100": ["x-valid", "x-test"],
    "ImageNet16-120": ["x-valid", "x-test"],
}
EPOCHS = {"01": 1, "12": 12, "90": 90}
CELLS = {0: "8:8:8:8:8", 7: "8:8:8:8:64", 32_767: "64:64:64:64:64"}


@pytest.mark.parametrize("check", space_checks(SPACE, symmetric_neighbors=True), ids=str)
def test_promises(check: Any) -> None:
    check()


def test_space_is_the_published_one() -> None:
    assert SPACE.size == 32_768
    assert SPACE.ordered.all()
    assert SPACE.format(SPACE.parse("8:16:24:32:64")) == "8:16:24:32:64"
    assert SPACE.decode(SPACE.parse("8:16:24:32:64"))["stage5"] == 64


@pytest.mark.parametrize("text", ["8:16:24:32", "8:16:24:32:72", "8:16:24:32:64:8", "08:8:8:8:8"])
def test_bad_strings_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"malformed|unknown number of channels"):
        SPACE.parse(text)


def accuracy(index: int, split: str, epochs: int, epoch: int) -> float:
    return 50 + index / 1e4 + len(split) + epochs / 100 + epoch / 1e5


def training(index: int, data: str, epochs: int) -> dict[str, Any]:
    return {
        "train_acc1es": {e: accuracy(index, "train", epochs, e) for e in range(epochs)},
        "train_times": dict.fromkeys(range(epochs), 2.0),
        "epochs": epochs,
        "latency": [0.01, 0.03],
        "eval_acc1es": {
            f"{split}@{e}": accuracy(index, split, epochs, e)
            for split in SPLITS[data]
            for e in range(epochs)
        },
    }


@pytest.fixture(name="official")
def _official(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WEAKNAS_DATA", str(tmp_path / "data"))
    folder = tmp_path / "NATS-sss-v1_0-50262-simple"
    folder.mkdir()
    (folder / "meta.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps({"arch2infos": None})))
    for index, text in CELLS.items():
        record = {
            name: {
                "arch_str": text,
                "all_results": {(data, 777): training(index, data, epochs) for data in SPLITS},
            }
            for name, epochs in EPOCHS.items()
        }
        (folder / f"{index:06d}.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(record, 4)))
    return folder


def test_official_files_become_a_benchmark(official: Path, tmp_path: Path) -> None:
    with pytest.warns(RuntimeWarning, match="partial, 3 of 32768"):
        written = tables.import_table(official)
    assert sorted(path.name for path in written) == [
        "cifar10.parquet",
        "cifar100.parquet",
        "imagenet16-120.parquet",
    ]
    columns = tables.load_table("cifar100", curves=True)
    assert columns["index"].tolist() == list(CELLS)
    assert [SPACE.format(row) for row in columns["genotype"]] == list(CELLS.values())
    assert columns["valid_accuracy_curve"].shape == (3, 1, 90)
    for suffix, epochs in (("", 90), ("@12", 12), ("@1", 1)):
        expected = [accuracy(index, "x-test", epochs, epochs - 1) for index in CELLS]
        assert columns[f"test_accuracy{suffix}"][:, 0] == pytest.approx(expected, abs=1e-5)
        assert columns[f"train_seconds{suffix}"].ravel() == pytest.approx(2.0 * epochs)

    with pytest.warns(RuntimeWarning, match="partial, 3 of 32768"):
        benchmark = weaknas.get_benchmark("nats-size", dataset="cifar100")
    assert benchmark.space.size == 3
    assert benchmark.fidelities == [1, 12]
    assert benchmark.optimum().architecture.text == "64:64:64:64:64"
    described = tables.describe_table("cifar100")
    assert described["best"]["architecture"] == "64:64:64:64:64"
    assert described["rows"] == 3


def test_a_missing_table_says_how_to_import(official: Path) -> None:
    with pytest.raises(InputError, match="weaknas table import nats-size"):
        weaknas.get_benchmark("nats-size")


def test_unknown_data_sets_are_refused(official: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'cifar100'"):
        tables.load_table("cifar1000")


def test_files_of_another_space_are_refused(official: Path) -> None:
    record = {"200": {"arch_str": "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"}}
    (official / "000000.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(record)))
    with pytest.raises(InputError, match=r"000000\.pickle\.pbz2: .*schedules 200; .* 90, 12, 01"):
        tables.import_table(official)
