"""The scripts of scale and of the spaces beside NAS-Bench-201 run with --quick."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
ROOT = Path(__file__).resolve().parents[2]


def run(script, folder, **environment):
    command = [sys.executable, str(ROOT / "scripts" / f"{script}.py"), "--quick", "--jobs", "1"]
    command += ["--work", str(folder / "work"), "--results", str(folder / "results")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    results = {path.stem: json.loads(path.read_text()) for path in folder.glob("results/*.json")}
    return done, results, {path.name for path in folder.glob("results/*.png")}


@pytest.mark.slow
def test_scale(tmp_path):
    done, results, figures = run("scale", tmp_path)
    assert done.returncode == 0, done.stderr
    result = results["scale"]
    pairs = [(row["candidates"], row["training"]) for row in result["rounds"]]
    assert pairs == [(1000, 150), (2000, 20), (2000, 150)]
    for row in result["rounds"]:
        assert min(row[f"seconds_{name}"] for name in ("encode", "refit", "update")) > 0
        assert 50 < row["peak_memory_mb"] < 2000
    assert (result["search"]["queries"], result["search"]["rounds"]) == (150, 15)
    assert {"cpu", "cores"} <= set(result["machine"])
    assert figures == {"scale.png"}


@pytest.mark.slow
def test_compare_nasbench101(tmp_path, shared_data):
    data = shared_data("nasbench101").parent
    done, results, figures = run("compare_nasbench101", tmp_path, WEAKNAS_DATA=str(data))
    assert done.returncode == 0, done.stderr
    result = results["compare-nasbench101"]
    assert result["cells"] == 30_001
    queries = {
        item["strategy"]: item["queries_to_optimum"]["mean"]
        for item in result["summary"]["strategies"]
    }
    assert result["share_of_queries"] == {
        name: pytest.approx(queries["weaknas"] / mean, abs=1e-3)
        for name, mean in queries.items()
        if name != "weaknas"
    }
    assert len(figures) == 2


@pytest.mark.slow
def test_compare_nasbench101_without_data(tmp_path):
    done, results, _ = run("compare_nasbench101", tmp_path, WEAKNAS_DATA=str(tmp_path))
    assert done.returncode == 1
    assert "weaknas table import nasbench101" in done.stderr.splitlines()[-1]
    assert results == {}


@pytest.mark.slow
def test_compare_graph(tmp_path):
    pytest.importorskip("nas_bench_graph")
    done, results, figures = run("compare_graph", tmp_path)
    assert done.returncode == 0, done.stderr
    result = results["compare-graph"]
    assert set(result["regret"]) == {"cora", "proteins"}
    for other, count in result["wins"].items():
        assert count == sum(r["weaknas"] < r[other] for r in result["regret"].values())
    assert figures == {"compare-graph-regret.png"}


@pytest.mark.slow
def test_rare_values(tmp_path):
    done, results, _ = run("rare_values", tmp_path)
    assert done.returncode == 0, done.stderr
    (space,) = results["rare-values"]["spaces"]
    assert 0 < space["share_of_rare_values"] < 0.04
    assert list(space["best"]) == ["weaknas", "random", "local-search"]
    for mark, ahead in space["ahead_of_random"].items():
        best = {name: by_mark[mark]["mean"] for name, by_mark in space["best"].items()}
        assert ahead["mean"] == pytest.approx(best["weaknas"] - best["random"], abs=2e-3)


@pytest.mark.slow
def test_noisy_spaces(tmp_path):
    done, results, _ = run("noisy_spaces", tmp_path)
    assert done.returncode == 0, done.stderr
    spaces = results["noisy-spaces"]["spaces"]
    assert [space["space"] for space in spaces] == ["backbones", "bits"]
    for space in spaces:
        regret, less = space["regret"], space["regret"]["default less never"]
        assert all(item["mean"] >= 0 for name, row in regret.items() for item in row.values()
                   if name != "default less never")  # fmt: skip
        for mark, item in less.items():
            means = [regret[name][mark]["mean"] for name in ("weaknas", "weaknas:repeats=never")]
            assert item["mean"] == pytest.approx(means[0] - means[1], abs=2e-3)


@pytest.mark.slow
def test_many_trials(tmp_path):
    done, results, _ = run("many_trials", tmp_path)
    assert done.returncode == 0, done.stderr
    rows = results["many-trials"]["rows"]
    marks = [(row["process"], row["trials"]) for row in rows]
    assert marks == [("default", 100), ("default", 200), ("exact", 100)]
    first, last, exact = rows
    # few labels are all active: the same searches
    assert first["regret"] == exact["regret"]
    assert first["regret"]["mean"] > last["regret"]["mean"] >= 0
    assert all(row["seconds"]["mean"] > 0 for row in rows)
