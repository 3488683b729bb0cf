from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import weaknas
from weaknas.errors import InputError
from weaknas.spaces.mobilenetv3 import MobileNetV3
from weaknas.spaces.mobilenetv3.table import locate_table, read_table
from weaknas.testing import evaluator_checks

FILE = "mobilenet/ofa_mbv3_w1.0_r224_dynas.csv"
HEAD = "ks,e,d,r,top1_mean,macs,params\n"
# Computed by the independent count of test_mobilenetv3.py and as published.
ROW = "33003300330035005300,44003300440033004400,22222,224,72.1360,142539072,3661160\n"


def test_benchmark_of_measured_subnets(shared_data: Any) -> None:
    with pytest.warns(RuntimeWarning, match="2162 measured subnets"):
        benchmark = weaknas.get_benchmark("mobilenetv3", path=str(shared_data(FILE)))
    assert benchmark.space.size == 2162
    optimum = benchmark.optimum()
    assert optimum.score == pytest.approx(
        max(float(line.split(",")[4]) for line in shared_data(FILE).read_text().splitlines()[1:])
    )
    evaluation = benchmark.evaluate(optimum.architecture, seed=0)
    row = np.array([optimum.architecture.genotype])
    assert evaluation.metrics == {
        "macs": MobileNetV3().macs(row)[0],
        "params": MobileNetV3().parameters(row)[0],
    }
    for check in evaluator_checks(benchmark, benchmark.space):
        check()


def test_found_in_a_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEAKNAS_DATA", str(tmp_path))
    with pytest.raises(InputError, match="no table of measured subnets"):
        locate_table()
    (tmp_path / "mobilenet").mkdir()
    (tmp_path / FILE).write_text(HEAD + ROW)
    columns = read_table(MobileNetV3(), locate_table())
    assert columns["top1"].tolist() == [72.136]
    with pytest.raises(InputError, match="elsewhere"):
        locate_table("elsewhere")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("ks,e,d\n", r"lacks the columns r, top1_mean, macs, params"),
        (HEAD, "no line has a subnet"),
        (HEAD + ROW + ROW.replace("5300", "9300"), r"line 3: .*kernel '9'"),
        (HEAD + ROW.replace("72.1360", "high"), "line 2: not a measured subnet"),
        (HEAD + "3300\n", "row 2 has 1 cells where the first has 7"),
        ("\0" * 10, "lacks the columns"),
        (HEAD + ROW.replace("142539072", "1"), "row 1 has 1 macs, where .* has 142539072"),
    ],
)
def test_damaged_tables_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_table(MobileNetV3(), path)


def test_another_width_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(HEAD + ROW)
    with pytest.raises(InputError, match=r"width 1\.2"):
        read_table(MobileNetV3(1.2), path)


def test_another_dataset_is_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'imagenet'"):
        weaknas.get_benchmark("mobilenetv3", dataset="imagenet16")
