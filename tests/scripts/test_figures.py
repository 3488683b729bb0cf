"""Every script runs with --quick and leaves results that tell how they were made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
ROOT = Path(__file__).resolve().parents[2]
RESULTS = sorted(path.stem for path in (ROOT / "scripts" / "results").glob("*.json"))
SCRIPTS = sorted(path.stem for path in (ROOT / "scripts").glob("[!_]*.py"))


def run(script, folder, *options):
    command = [sys.executable, str(ROOT / "scripts" / f"{script}.py"), "--quick", "--jobs", "1"]
    command += ["--work", str(folder / "work"), "--results", str(folder / "results"), *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    results = {path.stem: json.loads(path.read_text()) for path in folder.glob("results/*.json")}
    return done, results, {path.name for path in folder.glob("results/*.png")}


@pytest.mark.parametrize("name", RESULTS)
def test_results_are_json_that_others_read(name):
    def refuse(constant):
        raise ValueError(f"{constant} is not JSON")

    text = (ROOT / "scripts" / "results" / f"{name}.json").read_text(encoding="utf-8")
    assert "command" in json.loads(text, parse_constant=refuse)


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    return run("compare_nasbench201", tmp_path_factory.mktemp("compare"), "--labels", "one-seed")


@pytest.mark.slow
def test_comparison(comparison):
    done, results, figures = comparison
    assert done.returncode == 0, done.stderr
    result = results["compare-nasbench201-one-seed"]
    names = [part["dataset"] for part in result["summary"]["datasets"]]
    assert names == ["cifar10", "cifar100", "imagenet16-120"]
    assert result["command"].startswith("python scripts/compare_nasbench201.py --quick")
    assert {"python", "numpy", "weaknas"} <= set(result["versions"])
    assert "compare-nasbench201-one-seed-regret.png" in figures


@pytest.mark.slow
def test_ablation(tmp_path):
    done, results, figures = run("ablation", tmp_path)
    assert done.returncode == 0, done.stderr
    groups = results["ablation"]["groups"]
    measured = {item["strategy"] for item in results["ablation"]["summary"]["strategies"]}
    assert measured == {name for names in groups.values() for name in names}
    assert figures == {"ablation.png"}


@pytest.mark.slow
def test_benchmark_speed(tmp_path):
    done, results, _ = run("benchmark_speed", tmp_path, "--against", "random")
    assert done.returncode == 0, done.stderr
    result = results["benchmark-speed"]
    seconds = result["seconds_per_run"]
    assert result["ratio"] == pytest.approx(seconds["random"] / seconds["weaknas"], abs=0.006)
    assert 50 < result["peak_memory_mb"] < 5000
    assert result["throughput_runs"] == 6


@pytest.mark.slow
def test_rank_predictors(tmp_path):
    done, results, figures = run("rank_predictors", tmp_path, "--regimes", "uniform")
    assert done.returncode == 0, done.stderr
    result = results["rank-nasbench201-uniform-mean"]
    names = {row["predictor"] for row in result["summary"]["rows"]}
    assert names == {"gp", "gp, path-statistics", "bayesian-ridge"}
    assert result["not_installed"] == {}
    assert figures == {"rank-nasbench201-uniform-mean.png"}


@pytest.mark.slow
def test_search_predictors(tmp_path):
    done, results, _ = run("search_predictors", tmp_path)
    assert done.returncode == 0, done.stderr
    result = results["search-predictors"]
    assert [(row["family"], row["predictor"]) for row in result["rows"]] == [
        ("Gaussian process", "gp"),
        ("linear", "bayesian-ridge"),
    ]
    measured = {item["strategy"]: item for item in result["summaries"][0]["strategies"]}
    cell = result["rows"][1]["spaces"]["nasbench201"]
    strategy = measured["weaknas:predictor=bayesian-ridge:batch_size=10"]
    assert cell["queries_to_optimum"] == strategy["queries_to_optimum"]
    assert cell["regret"] == strategy["regret_at"]["20"]["mean"]


@pytest.mark.slow
def test_tune_predictor(tmp_path):
    done, results, _ = run("tune_predictor", tmp_path, "--predictor", "kernel-ridge")
    assert done.returncode == 0, done.stderr
    summary = results["tune-kernel-ridge-nasbench201"]["summary"]
    assert (summary["trials"], summary["fresh"]["splits"]) == (2, 3)
    assert set(summary["options"]) == {"alpha", "kernel", "gamma"}


@pytest.mark.slow
def test_optuna_sampler(tmp_path):
    done, results, _ = run("optuna_sampler", tmp_path)
    assert done.returncode == 0, done.stderr
    result = results["optuna-sampler"]
    methods = [row["method"] for row in result["rows"]]
    assert methods == ["weaknas.run", "WeakNASSampler(space)", "WeakNASSampler()", "TPESampler()"]
    for row in result["rows"]:
        assert row["runs"] == 2
        assert row["queries_to_optimum"]["mean"] <= min(result["budget"], row["proposals"])


def test_bad_input_is_one_line(tmp_path):
    done, _, _ = run("benchmark_speed", tmp_path, "--against", "randon")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: unknown strategy 'randon'")


#: Each script in a copy of one process that has imported what many of them import.
HELP = """
import os, runpy, sys, traceback
import matplotlib.pyplot, weaknas.cli, weaknas.laboratory.experiment, weaknas.reports.plots
import weaknas.predictors, weaknas.search, weaknas.strategies, weaknas.training.trainer
for script in sys.argv[1:]:
    process = os.fork()
    if process == 0:
        sys.argv, sys.path[0] = [script, "--help"], os.path.dirname(script)
        code = 1
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as end:
            code = end.code or 0
        except Exception:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # tidying up all that is imported takes seconds
    print(os.path.basename(script), os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
    sys.stdout.flush()
"""


@pytest.mark.slow
def test_every_script_has_help():
    files = [str(ROOT / "scripts" / f"{script}.py") for script in SCRIPTS]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", HELP, *files]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    for script in SCRIPTS:
        assert f"usage: {script}.py" in done.stdout
        assert f"{script}.py 0\n" in done.stdout, done.stderr


def test_a_quick_trial_leaves_the_results_that_are_kept(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import _shared

    def results(*words):
        return _shared.parser("A script.").parse_args(words).results

    assert results() == ROOT / "scripts" / "results"
    assert results("--quick") == Path("runs", "quick")
    assert results("--quick", "--results", "there") == Path("there")
    assert results("--results", "there", "--quick") == Path("there")
