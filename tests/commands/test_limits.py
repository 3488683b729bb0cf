"""A list of limits on one cost: one search, a row for each."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from weaknas.cli import main
from weaknas.spaces.limits.constraints import split_limits

MINE = """
import weaknas
space = weaknas.ChoiceSpace(
    {f"layer{i}": [0, 1, 2, 3] for i in range(5)},
    costs={"size": lambda rows: rows.sum(axis=1), "depth": lambda rows: (rows > 0).sum(axis=1)},
)
def score(architecture):
    return sum((5 + i) * n for i, n in enumerate(architecture.genotype))
"""


@pytest.fixture(autouse=True)
def mine(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "space_of_limits.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)


def run(capsys, *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(
            ["search", "space_of_limits:space", "--evaluator", "space_of_limits:score", *arguments]
        )
    printed = capsys.readouterr()
    return int(stopped.value.code or 0), printed.out, printed.err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("macs<=2e6, 3e6,1e6", ["macs<=3e6", "macs<=2e6", "macs<=1e6"]),
        ("latency <= 15,20 ms @ 95 %", ["latency<=20ms @ 95 %", "latency<=15ms @ 95 %"]),
        ("macs<=1e6", ["macs<=1e6"]),
        ("macs<=1e6,", ["macs<=1e6,"]),
    ],
)
def test_lists_are_split(text: str, expected: list[str]) -> None:
    assert split_limits(text) == expected


def test_each_limit_has_the_best_of_the_shared_trials(capsys) -> None:
    constraint = ["--constraint", "size<=6,12,9", "--constraint", "depth>=1", "--budget", "24"]
    code, out, err = run(capsys, *constraint, "--json")
    assert code == 0, err
    facts = json.loads(out.splitlines()[-1])
    assert facts["trainings"] == 24
    assert facts["objectives"] == ["size"]
    rows = facts["limits"]
    assert [row["limit"] for row in rows] == ["size<=12", "size<=9", "size<=6"]
    assert [row["cost"] for row in rows] == [12, 9, 6]  # the score grows with the size
    assert rows[0]["best"]["id"] == facts["best"]["id"]
    for row in rows:  # nothing of the front within the limit is better
        end = float(row["limit"].partition("<=")[2])
        front = [item["score"] for item in facts["front"] if item["size"] <= end]
        assert row["best"]["score"] == pytest.approx(max(front))
    code, out, err = run(capsys, *constraint)
    assert code == 0, err
    assert [line.split()[0] for line in out.splitlines() if "size<=" in line] == [
        row["limit"] for row in rows
    ]


def test_the_costs_of_what_is_returned_are_told(capsys) -> None:
    code, out, _ = run(capsys, "--strategy", "random", "--budget", "3", "--constraint", "size<=9")
    assert code == 0
    found = re.search(r"^ +returned  (\S+): .*\n +costs  (.*)$", out, re.MULTILINE)
    assert found is not None
    values = [int(pair.partition("=")[2]) for pair in found[1].split(",")]
    size, depth = sum(values), sum(value > 0 for value in values)
    assert found[2] == f"size {size}, depth {depth}, within size<=9"


def test_large_costs_are_whole_numbers(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["search", "nasbench201", "--strategy", "random", "--budget", "2"])
    costs = re.search(r"^ +costs  macs ([\d,]+), params ([\d,]+)$", capsys.readouterr().out, re.M)
    assert costs is not None


def test_two_lists_are_refused(capsys) -> None:
    lists = ["--constraint", "size<=6,9", "--constraint", "depth<=1,2"]
    code, _, err = run(capsys, *lists)
    assert (code, "one cost may have a list of limits, not 2" in err) == (2, True), err
    code, _, err = run(capsys, "--constraint", "size<=6,")
    assert (code, "malformed constraint" in err) == (2, True), err
