"""The study of landscapes runs with --quick; its rules and their judgement are right."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from weaknas.laboratory.landscape import advice

pytest.importorskip("matplotlib")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(name="script")
def _script(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import landscapes

    return landscapes


@pytest.mark.slow
def test_quick(tmp_path):
    command = [sys.executable, str(ROOT / "scripts" / "landscapes.py"), "--quick", "--jobs", "1"]
    command += ["--work", str(tmp_path / "work"), "--results", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "landscapes-quick.json").read_text())
    assert [row["table"] for row in found["tables"]] == [
        "random/smooth-0", "random/smooth-1", "random/local-0",
    ]  # fmt: skip
    for row in found["tables"]:
        assert row["queries"][row["winner"]] == min(row["queries"].values())
        assert 0.5 < row["measures"]["correlation_length"] < 5
        assert len(row["told"]) == 3
    default = found["advice"]["of the table"]["table left out"]["always the default"]
    assert default["ratio_to_default"] == 1


def test_rules_find_what_is_planted(script):
    features = np.array([[0.1, 5], [0.2, 1], [0.3, 4], [2.1, 2], [2.2, 5], [2.3, 1]])
    queries = np.array([[10, 90]] * 3 + [[90, 10]] * 3, dtype=float)
    for rule in (script.threshold, script.nearest):
        assert rule(features, queries, np.array([0.15, 3])) == 0
        assert rule(features, queries, np.array([2.5, 3])) == 1
    assert script.RULES["always the default"](features, queries, np.array([2.5, 3])) == 0


def rows_of(ratios):
    """Tables on which the default needs so many times the queries of local search."""
    local = ("local-search", "local-search:first-improvement=true:continue-at-optimum=true")
    measures = {"fitness_distance_correlation": -0.5, "neutrality": 0.1, "additivity": None}
    return [
        {
            "table": f"t{number}",
            "group": f"g{number % 2}",
            "measures": measures | {"correlation_length": ratio, "local_optima": 7},
            "queries": {"weaknas": 100.0 * ratio, local[0]: 100.0, local[1]: 150.0},
        }
        for number, ratio in enumerate(ratios)
    ]


def test_what_is_left_out_is_judged_by_the_best_and_the_default(script):
    rows = rows_of([0.5, 0.6, 1.05, 2.0])
    names = ("correlation_length",)
    judged = script.judge(rows, names, "measures")["table left out"]
    default = judged["always the default"]
    assert default["within_10_percent"] == 0.75
    assert default["ratio_to_best"] == pytest.approx((1.05 * 2.0) ** 0.25)
    assert default["not_the_default"] == 0
    # Above 2.0 nothing is known but that at 1.05 local search is a little better.
    assert judged["a threshold"]["ratio_to_default"] < 1
    assert script.relate(rows, "correlation_length")["tables"] == pytest.approx(1)


def test_the_advice_says_what_was_measured():
    found = json.loads((ROOT / "scripts" / "results" / "landscapes.json").read_text())
    assert len(found["tables"]) == advice.TABLES
    for source in found["advice"].values():
        for rules in source.values():
            default = rules["always the default"]
            assert round(default["within_10_percent"] * advice.TABLES) == advice.CLOSE
            assert all(told["ratio_to_default"] > 0.999 for told in rules.values())
