"""From ten measurements to a search whose limit holds, by the command line."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from weaknas.cli import main
from weaknas.costs import CostModel, write_model
from weaknas.errors import InputError
from weaknas.reports.report import report
from weaknas.spaces.mobilenetv3 import MobileNetV3
from weaknas.spaces.nasbench201 import NASBench201

SMALL = "mobilenetv3:width=0.1:resolution=16:classes=10:channels=1"
SPACE = NASBench201()


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    printed = capsys.readouterr()
    return int(stopped.value.code or 0), printed.out, printed.err


def milliseconds(rows):
    return 2.0 + np.array([0.0, 0.1, 1.0, 3.0, 0.5])[rows].sum(axis=1)


def write_devices(path: Path) -> None:
    rows = SPACE.sample(120, np.random.default_rng(1))
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["architecture", "board", "card", "odd"])
        for row, value in zip(rows, milliseconds(rows), strict=True):
            table.writerow([SPACE.format(row), value**1.1, 0.5 + value / 4, 100 / value])


def test_what_is_measured_elsewhere_is_learnt(capsys, tmp_path: Path) -> None:
    write_devices(tmp_path / "devices.csv")
    like = ["--like", f"{tmp_path / 'devices.csv'}:board,odd"]
    proposed, model = tmp_path / "propose.csv", tmp_path / "phone.json"
    code, out, err = run(capsys, "latency", "nasbench201", "--propose", str(proposed), *like)
    assert code == 0, err
    assert "10 architectures to measure" in out
    lines = proposed.read_text().splitlines()
    assert lines[0] == "architecture,latency"
    rows = SPACE.genotypes([line.rstrip(",") for line in lines[1:]])
    measured = [
        f"{line}{value:.6g}"
        for line, value in zip(lines[1:], milliseconds(rows) * 1000, strict=True)
    ]
    (tmp_path / "measured.csv").write_text("\n".join([lines[0], *measured]))
    arguments = ["--from", str(tmp_path / "measured.csv"), "--output", str(model)]
    code, out, err = run(
        capsys, "latency", "nasbench201", *arguments, "--unit", "us", *like, "--json"
    )
    assert code == 0, err
    facts = json.loads(out)
    assert facts["measurements"] == 10
    assert facts["error"] < 0.1
    assert facts["sources"]["board"] > 0.9
    assert facts["sources"]["odd"] < 0.1
    assert set(facts["source_gains"]) == {"board", "odd"}
    code, out, err = run(capsys, "latency", "nasbench201", *arguments, *like)
    assert code == 0, err
    board, odd = (line for line in out.splitlines() if line.startswith("source"))
    assert board.startswith("source board: raises the log evidence by ")
    assert odd.startswith("source odd: ignored")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--measure", "2"], "must be at least 3, not 2"),
        (["--measure", "5", "--unit", "mJ"], "measured here is in ms, not 'mJ'"),
        (["--from", "none.csv"], "none.csv: no such file"),
        (["--from", "none.csv", "--measure", "5"], "without --propose and --measure"),
        (["--measure", "5", "--like", "none.csv:phone"], "none.csv: no such file"),
    ],
)
def test_bad_input_is_one_line(capsys, tmp_path: Path, arguments, message) -> None:
    output = ["--output", str(tmp_path / "model.json")]
    code, _, err = run(capsys, "latency", SMALL, *output, *arguments)
    assert (code, message in err, len(err.splitlines())) == (2, True, 1), err


@pytest.mark.slow
def test_a_limit_with_a_confidence_is_searched_and_verified(capsys, tmp_path: Path) -> None:
    """On this device; how long anything takes must not decide the test."""
    model, folder = tmp_path / "here.json", tmp_path / "run"
    small = ["--rounds", "1", "--repeats", "1", "--threads", "1", "--device", "cpu"]
    code, _, err = run(
        capsys, "latency", SMALL, "--measure", "4", "--output", str(model), *small
    )  # fmt: skip
    assert code == 0, err
    assert len((tmp_path / "here.csv").read_text().splitlines()) == 5  # nothing measured is lost
    search = ["search", SMALL, "--evaluator", "zero-cost", "--budget", "4", "--json"]
    limited = ["--measured", str(model), "--constraint", "latency<=100s @95%"]
    code, out, err = run(capsys, *search, *limited, "--verify", "--output", str(folder))
    assert code == 0, err
    facts = json.loads(out.splitlines()[-1])
    (predicted,) = facts["predicted"]
    assert 0 < predicted["low"] < predicted["median"] < predicted["high"]
    assert predicted["limits"]["latency<=100s @95%"] > 0.95
    assert all(row["within"] and row["measured"] > 0 for row in facts["verified"])
    learnt = json.loads((folder / "latency.json").read_text())
    assert len(learnt["measurements"]["values"]) == 4 + len(facts["verified"])


@pytest.mark.slow
def test_with_a_plain_limit_whatever_is_trained_is_measured(capsys, tmp_path: Path) -> None:
    """A run that goes on finds its measurements, and makes the same trials of them."""
    space, model, folder = (
        MobileNetV3(0.1, 16, classes=10, channels=1),
        tmp_path / "m.json",
        tmp_path / "run",
    )
    rows = space.sample(4, np.random.default_rng(0))
    how = {"device": "cpu", "batch_size": 1, "repeats": 1, "threads": 1}
    write_model(model, CostModel(space, setting=how).fit(rows, 1 + np.arange(4.0)))
    search = ["search", SMALL, "--evaluator", "zero-cost", "--json", "--verify"]
    search += ["--measured", str(model), "--constraint", "latency<=100s", "--output", str(folder)]
    search += ["--strategy", "random", "--batch-size", "1"]  # rounds are proposed whole
    code, _, err = run(capsys, *search, "--budget", "3")
    assert code == 0, err
    first = (folder / "latency.csv").read_text().splitlines()
    assert len(first) == 1 + 3
    code, out, err = run(capsys, *search, "--budget", "5")
    assert code == 0, err
    kept = (folder / "latency.csv").read_text().splitlines()
    assert len(kept) == 1 + 5
    assert set(first) < set(kept)
    facts = json.loads(out.splitlines()[-1])
    assert facts["predicted"][0]["low"] == facts["predicted"][0]["high"] > 0


@pytest.mark.slow
def test_a_report_has_the_intervals_of_the_front(capsys, tmp_path: Path) -> None:
    model, folder = tmp_path / "phone.json", tmp_path / "run"
    rows = SPACE.sample(12, np.random.default_rng(0))
    write_model(model, CostModel(SPACE, name="phone").fit(rows, milliseconds(rows)))
    aims = ["--objective", "phone", "--objective", "macs", "--output", str(folder)]
    search = ["search", "nasbench201", "--measured", str(model), "--budget", "8", *aims]
    code, out, err = run(capsys, *search)
    assert (code, "phone (ms, 90 %)" in out) == (0, True), err
    row = json.loads((folder / "result.json").read_text())["front"][0]
    low, high = row["phone_interval"]
    assert "macs_interval" not in row
    page = report(folder).read_text()
    assert f"({low:.4g} to {high:.4g})" in page
    assert "phone (ms)" in page
    (folder / "result.json").write_text('{"trainings": 8, "contenders": [], "returned": []}')
    with pytest.raises(InputError, match="damaged"):
        report(folder)


@pytest.mark.slow
def test_models_of_several_devices_are_several_costs(capsys, tmp_path: Path) -> None:
    space = MobileNetV3(0.1, 16, classes=10, channels=1)
    rows = space.sample(12, np.random.default_rng(0))
    for name, power in (("latency_phone", 1.0), ("latency_board", 0.5)):
        model = CostModel(space, name=name).fit(rows, space.macs(rows) ** power / 1e3)
        write_model(tmp_path / f"{name}.json", model)
    files = [str(tmp_path / f"latency_{name}.json") for name in ("phone", "board")]
    search = ["search", SMALL, "--evaluator", "zero-cost", "--budget", "6", "--json"]
    both = [part for file in files for part in ("--measured", file)]
    aims = ["--objective", "latency_phone", "--objective", "latency_board"]
    code, out, err = run(capsys, *search, *both, *aims)
    assert code == 0, err
    facts = json.loads(out.splitlines()[-1])
    assert {cost["cost"] for cost in facts["predicted"]} == {"latency_phone", "latency_board"}
    assert facts["objectives"] == ["latency_phone", "latency_board"]
    assert facts["units"] == {"latency_phone": "ms", "latency_board": "ms"}
    (low, high), (row, *_) = facts["front"][0]["latency_board_interval"], facts["front"]
    assert low < row["latency_board"] < high
    (predicted,) = [cost for cost in facts["predicted"] if cost["cost"] == "latency_board"]
    best = [row for row in facts["front"] if row["id"] == facts["best"]["id"]]
    assert best[0]["latency_board_interval"] == pytest.approx([predicted["low"], predicted["high"]])
    code, _, err = run(capsys, *search, "--measured", files[0], "--measured", files[0])
    assert (code, "a second model of the cost 'latency_phone'" in err) == (2, True), err
    kept = ["--verify", "--output", str(tmp_path / "run")]
    code, _, err = run(capsys, *search, "--measured", files[0], *kept)
    assert (code, "no model of this search was measured on this device" in err) == (2, True), err
    other = ["search", "nasbench201", "--measured", files[0], "--budget", "4"]
    code, _, err = run(capsys, *other)
    assert (code, "a model of the space" in err) == (2, True), err
