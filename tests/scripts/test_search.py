"""The scripts of searches in the MobileNet space run with --quick."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")
ROOT = Path(__file__).resolve().parents[2]


def run(script, folder):
    command = [sys.executable, str(ROOT / "scripts" / f"{script}.py"), "--quick", "--jobs", "1"]
    command += ["--work", str(folder / "work"), "--results", str(folder / "results")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    results = {path.stem: json.loads(path.read_text()) for path in folder.glob("results/*.json")}
    return results, {path.name for path in folder.glob("results/*.png")}


@pytest.mark.slow
def test_search_mobilenet(tmp_path, shared_data, monkeypatch):
    monkeypatch.setenv("WEAKNAS_DATA", str(shared_data("mobilenet").parent))
    results, figures = run("search_mobilenet", tmp_path)
    result = results["search-mobilenet"]
    assert result["constraint"] == "macs<=600e6"
    assert [item["strategy"] for item in result["summary"]["strategies"]] == ["weaknas", "random"]
    assert all(
        0.8 < item["best_at"]["20"]["mean"] < 0.86 for item in result["summary"]["strategies"]
    )
    assert figures == {"search-mobilenet-best.png"}


@pytest.mark.slow
def test_pareto_mobilenet(tmp_path, shared_data, monkeypatch):
    monkeypatch.setenv("WEAKNAS_DATA", str(shared_data("mobilenet").parent))
    results, figures = run("pareto_mobilenet", tmp_path)
    result = results["pareto-mobilenet"]
    rows = {row["strategy"]: row["regret_percent_at"]["20"] for row in result["rows"]}
    assert rows.keys() == {"weaknas", "random"}
    assert 0 <= rows["weaknas"]["mean"] < rows["random"]["mean"] < 100
    assert figures == {"pareto-mobilenet.png"}


@pytest.mark.slow
def test_front_mobilenet(tmp_path, shared_data, monkeypatch):
    monkeypatch.setenv("WEAKNAS_DATA", str(shared_data("mobilenet").parent))
    results, figures = run("front_mobilenet", tmp_path)
    devices = results["front-mobilenet"]["devices"]
    assert devices.keys() == {"note10", "i7-8700K"}
    for rows in devices.values():
        volumes = {row["strategy"]: row["hypervolume_percent_at"]["25"]["mean"] for row in rows}
        assert 0 < volumes["random"] < volumes["weaknas"] <= 100
        best = [found["mean"] for found in rows[0]["within"].values() if found["runs"]]
        assert best == sorted(best)
    assert figures == {"front-mobilenet-note10.png", "front-mobilenet-i7-8700K.png"}


@pytest.mark.slow
def test_difficulty(tmp_path):
    result = run("difficulty", tmp_path)[0]["difficulty"]
    assert [row["left_out"] for row in result["rows"]] == [
        "cifar10",
        "cifar100",
        "imagenet16-120",
    ]
    for row, one in zip(result["rows"], result["runs_of_all"], strict=True):
        assert row["left_out"] not in one["weights"]
        assert sum(one["weights"].values()) == pytest.approx(1)
        assert all(0.4 < tau < 0.95 for tau in one["tau"].values())
        assert all(1 <= queries <= result["budget"] for queries in one["queries"].values())


@pytest.mark.slow
def test_many_tables(tmp_path):
    results, _ = run("many_tables", tmp_path)
    result = results["many-tables-quick"]
    assert {row["group"] for row in result["tables"]} == {"chains", "random"}
    for row in result["tables"]:
        drawn = row["table"].startswith(("smooth", "local"))
        assert set(row["queries"]) == {
            "weaknas",
            "local-search",
            "without:value-counts",
            "without:draws",
            *(["known-process"] if drawn else []),
        }
        assert all(1 <= of["mean"] <= result["budget"] for of in row["queries"].values())
        assert row["ratio"]["weaknas"] > 0
        assert row["times_default"]["without:value-counts"] > 0
    again = run("many_tables", tmp_path)[0]["many-tables-quick"]  # from the file of runs
    assert again["tables"] == result["tables"]


@pytest.mark.slow
def test_sources(tmp_path):
    result = run("sources", tmp_path)[0]["sources-cells-quick"]
    first, second = (f"nasbench201:dataset={name}" for name in ("cifar10", "cifar100"))
    assert {(row["target"], row["source"], row["kind"]) for row in result["rows"]} >= {
        (first, "nothing", "true"),
        (first, second, "permuted"),
    }
    assert all(1 <= row["queries"]["mean"] <= 30 for row in result["rows"])
    agreeing = [row for row in result["rows"] if "correlation" in row]
    assert [row["source"] for row in agreeing] == [
        "nasbench201:dataset=cifar100",
        "nasbench201:dataset=cifar10",
    ]
    assert all(row["correlation"] > 0.9 and row["rank_in_source"] < 10 for row in agreeing)


def test_sources_of_graphs_have_seeds_of_their_own(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    sources = importlib.import_module("sources")
    numbered = list(sources._numbered("graphs", ["a", "b", "c"], 2))
    of_a = {names: numbers for (target, names, _), numbers in numbered if "dataset=a" in target}
    assert list(of_a.values()) == [range(4), range(2), range(2, 4)]
    tasks = [
        sources.Task("a", names, "true", number, 30, 0)
        for names, numbers in of_a.items()
        for number in numbers
    ]
    (row,) = sources.together(tasks, [10, 20, 30, 20, 8, 12, 9, 11])
    assert (row["runs"], row["queries"]["mean"], row["ratio"]) == (4, 10, 0.5)
    assert row["ratio_ci95"][0] < 0.5 < row["ratio_ci95"][1]


def test_tables_that_lack_the_best_of_others_are_compared(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    sources = importlib.import_module("sources")
    tables = {
        "new": (np.array([1, 2, 3, 4]), np.array([0.1, 0.2, 0.3, 0.9])),
        "old": (np.array([1, 2, 3, 9]), np.array([0.2, 0.3, 0.1, 0.5])),
    }
    monkeypatch.setattr(sources, "_table", tables.__getitem__)
    found = sources.agreement("new", "old", top=1)  # 4 is not in the source: 3 is the best
    assert found == {"correlation": -0.5, "rank_in_source": 4}


def test_one_of_the_best_is_enough(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    sources = importlib.import_module("sources")
    label = "nasbench201:dataset=cifar10"
    (best,), ten = sources._best(label, 1), sources._best(label, 10)
    assert len(ten) == len(set(ten.tolist())) == 10
    assert best in ten
    task = sources.Task(label, (), "true", 0, 30, 0)
    assert sources.count_queries(replace(task, top=10)) <= sources.count_queries(task)


@pytest.mark.slow
def test_proxies(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setenv("WEAKNAS_CACHE", str(tmp_path))
    result = run("proxies", tmp_path)[0]["proxies-quick"]
    assert [row["proxy"] for row in result["ranks"]] == ["proxies:naswot", "proxies:synflow"]
    assert all(-1 <= row["predicted"] <= 1 for row in result["ranks"])
    assert [row["sources"] for row in result["rows"]] == ["from zero", "proxies"]
    assert all(row["regret_at"]["12"]["mean"] >= 0 for row in result["rows"])
    assert result["seconds"] > 0


@pytest.mark.slow
def test_fidelities(tmp_path, shared_data, monkeypatch):
    monkeypatch.setenv("WEAKNAS_DATA", str(shared_data("nasbench201").parent))
    rows = run("fidelities", tmp_path)[0]["fidelities-quick"]["rows"]
    trainings = {row["strategy"]: row["trainings"] for row in rows}
    told = "weaknas told all short ones"
    assert trainings.keys() == {"weaknas", "multi-fidelity", told, "bohb", "hyperband"}
    assert trainings["weaknas"][0] == trainings[told][0] == 0
    assert trainings["multi-fidelity"][0] > trainings["bohb"][0] > 0
    assert all(0 < row["full_trainings"]["mean"] <= 6 for row in rows)


@pytest.mark.slow
def test_fidelities_on_digits_pay_for_equal_epochs(tmp_path):
    pytest.importorskip("torch")
    result = run("fidelities_digits", tmp_path)[0]["fidelities-digits-quick"]
    assert [row["strategy"] for row in result["summary"]] == list(result["runs"][0]["methods"])
    budget, full = 5 * 3, 3
    for row in result["summary"]:
        assert budget <= row["epochs"] < budget + 3 * full
        tests = result["runs"][0]["methods"][row["strategy"]]["tests"]
        assert row["test"]["mean"] == pytest.approx(np.mean(tests), abs=1e-4)
    default, several = result["summary"][:2]
    assert (default["short"], default["full"]) == (0, 5)
    assert several["short"] > 0
