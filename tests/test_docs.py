"""The documentation: complete, and its tables say what the result files say."""

from __future__ import annotations

import difflib
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import weaknas

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"

RANKING = {
    "rows": [
        {
            "predictor": name,
            "train_size": size,
            "runs": 4,
            "kendall_tau": {"mean": tau, "ci95": [tau - 0.01, tau + 0.01]},
            "top_precision": 0.25,
            "regret": 1.5,
            "seconds_fit": 0.125,
            "seconds_predict": 2,
        }
        for name, size, tau in [("a", 50, 0.5), ("b", 50, 0.75), ("a", 9, 0.4), ("b", 9, 0.3)]
    ]
}


def comparison(dataset, queries):
    return {
        "dataset": dataset,
        "budget": 300,
        "strategies": [
            {
                "strategy": name,
                "runs": 2,
                "found_rate": 0.5,
                "queries_to_optimum": {"mean": mean, "ci95": [None, None]},
                "regret_at": {"50": {"mean": 9.0}, "300": {"mean": 0.125}},
                "seconds_per_run": 3.25,
            }
            for name, mean in queries.items()
        ],
    }


@pytest.fixture(scope="module")
def measured():
    pytest.importorskip("docutils")
    pytest.importorskip("sphinx")
    spec = importlib.util.spec_from_file_location("measured", DOCS / "_ext" / "measured.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_name_is_documented():
    text = (DOCS / "api" / "index.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^   (\w+)$", text, flags=re.MULTILINE))
    assert set(weaknas.__all__) - {"__version__"} <= listed


def _run_program(program, folder):
    """Return what a program of the documentation prints in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_guide_to_your_own_runs(tmp_path):
    """Its blocks are one program; here with fewer trainings."""
    for package in ("torch", "safetensors"):
        pytest.importorskip(package)
    page = (DOCS / "uses" / "your_own.md").read_text(encoding="utf-8")
    program = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    assert "epochs=3" in program
    assert "budget=20" in program
    program = program.replace("epochs=3", "epochs=1").replace("budget=20", "budget=3")
    printed = _run_program(program, tmp_path)
    assert "torch.Size([1, 3])" in printed
    assert (tmp_path / "runs" / "mine" / "winner" / "README.md").exists()


def _programs_elsewhere():
    """Return the model before, and the programs of each package, as lists of lines."""
    page = (DOCS / "uses" / "elsewhere.md").read_text(encoding="utf-8")
    before, plain, *programs = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names = re.findall(r"^## (\w+)$", page, re.MULTILINE)
    return page, before, plain, dict(zip(names, programs, strict=True))


def _lines_of_classes(program):
    """Return the lines of classes, and the others, but blank ones and imports."""
    classes, others, is_inside = [], [], False
    for line in filter(str.strip, program.splitlines()):
        is_inside = line.startswith("class ") or (is_inside and line.startswith(" "))
        if not line.startswith("import "):
            (classes if is_inside else others).append(line)
    return classes, others


def test_lines_of_the_same_search_elsewhere_are_counted():
    page, _, plain, programs = _programs_elsewhere()
    before, _ = _lines_of_classes(plain)
    for name, program in programs.items():
        classes, search = _lines_of_classes(program)
        same = difflib.SequenceMatcher(a=before, b=classes, autojunk=False).get_matching_blocks()
        new = len(classes) - sum(block.size for block in same)
        assert f"| {name} | {new} | {len(search)} |" in page, (name, new, len(search))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["weaknas", "Optuna", "NePS"])
def test_the_same_search_elsewhere_runs(name, tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip({"weaknas": "weaknas", "Optuna": "optuna", "NePS": "neps"}[name])
    _, before, _, programs = _programs_elsewhere()
    program = before + programs[name] + "\nprint(len(list(network.parameters())))\n"
    assert " in range(100)" in program
    program = re.sub(
        "(budget|n_trials|spend)=30", r"\1=4", program.replace(" in range(100)", " in range(3)")
    )
    printed = _run_program(program, tmp_path)
    assert int(printed.split()[-1]) >= 8


def test_every_check_is_documented():
    import weaknas.testing

    text = (DOCS / "api" / "testing.md").read_text(encoding="utf-8")
    for name in weaknas.testing.__all__:
        assert name in text or not name.startswith("check_")


def test_what_the_page_of_the_architecture_names_is_there():
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`([a-z]+/[\w./]*)`", text)
    assert len(named) > 40
    for path in named:
        assert (ROOT / path).exists(), path


def test_pages_are_all_reachable():
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    pages = {p.relative_to(DOCS).with_suffix("").as_posix() for p in DOCS.glob("*.md")}
    pages |= {p.relative_to(DOCS).with_suffix("").as_posix() for p in DOCS.glob("uses/*.md")}
    assert pages - {"index"} <= set(index.split())


def test_rankings_are_sorted(measured):
    head, rows = measured.ranking_rows(RANKING)
    assert [row[:4] for row in rows] == [
        ("9", "a", "4", "0.400"),
        ("9", "b", "4", "0.300"),
        ("50", "b", "4", "0.750"),
        ("50", "a", "4", "0.500"),
    ]
    assert rows[0][4:] == ("0.390 to 0.410", "0.250", "1.500", "0.12", "2.00")
    assert all(len(row) == len(head) for row in rows)


def test_comparisons_are_sorted(measured):
    parts = [comparison("one", {"x": 70.0, "y": 60.0}), comparison("two", {"x": 5.0})]
    head, rows = measured.comparison_rows({"datasets": parts})
    assert [row[:2] for row in rows] == [("one", "y"), ("one", "x"), ("two", "x")]
    assert rows[0][2:] == ("2", "50 %", "60.0", "-", "0.125", "3.2")
    assert measured.comparison_rows(parts[1])[1] == rows[2:]
    assert all(len(row) == len(head) for row in rows)


def test_searches_with_predictors_have_columns_for_each_space(measured):
    queries = {"mean": 40.25, "ci95": [30.0, 50.0]}
    cell = {"runs": 3, "found_rate": 1.0, "queries_to_optimum": queries, "seconds_per_run": 1.5}
    cell["regret"] = 0.125
    record = {
        "summaries": [{"space": "one"}, {"space": "two"}],
        "rows": [
            {"family": "trees", "predictor": "a", "spaces": {"two": cell}},
            {"family": "lines", "predictor": "b", "spaces": {"one": cell, "two": cell}},
        ],
    }
    head, rows = measured.predictor_search_rows(record)
    shown = ["3", "100 %", "40.2 (30.0 to 50.0)", "0.125", "1.5"]
    assert rows == [["trees", "a", *["-"] * 5, *shown], ["lines", "b", *shown, *shown]]
    assert all(len(row) == len(head) for row in rows)


def test_samplers_are_shown_as_measured(measured):
    row = {"dataset": "d", "method": "m", "runs": 2, "found_rate": 0.5, "proposals": 12.25}
    row["queries_to_optimum"] = {"mean": 10.0, "ci95": [8.0, 12.0]}
    head, rows = measured.sampler_rows({"rows": [row]})
    assert rows == [("d", "m", "2", "50 %", "10.0", "8.0 to 12.0", "12.2")]
    assert len(head) == len(rows[0])


def test_tuned_predictors_are_shown_with_their_defaults(measured):
    fresh = {
        name: {"mean": mean, "ci95": [mean - 0.5, mean + 0.5]}
        for name, mean in [("default", 1.0), ("tuned", 3.0), ("improvement", 2.0)]
    }
    _, rows = measured.tuning_rows({"predictor": "p", "space": "s", "fresh": fresh})
    assert rows == [
        ("default", "1.0000", "0.5000 to 1.5000"),
        ("tuned", "3.0000", "2.5000 to 3.5000"),
        ("improvement", "2.0000", "1.5000 to 2.5000"),
    ]


def test_pages_show_results_or_how_to_get_them(measured, tmp_path):
    from sphinx.application import Sphinx

    source, results = tmp_path / "source", tmp_path / "results"
    source.mkdir()
    results.mkdir()
    (source / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(DOCS / '_ext')!r})\n"
        f"extensions = ['measured']\nmeasured_results = {str(results)!r}\n"
    )
    (source / "index.rst").write_text(
        "Title\n=====\n\n.. ranking-table:: there\n\n.. comparison-table:: missing\n"
    )
    record = {
        "command": "python scripts/rank_predictors.py --runs 4",
        "summary": RANKING,
        "versions": {"weaknas": "9.9.9"},
    }
    (results / "there.json").write_text(json.dumps(record))
    site = tmp_path / "site"
    app = Sphinx(source, source, site, tmp_path / "trees", "html", status=None, warning=None)
    app.build()
    page = (site / "index.html").read_text(encoding="utf-8")
    text = re.sub(r"<[^>]+>|\s+", " ", page)
    assert re.search(r"50 +b +4 +0\.750 +0\.740 to 0\.760", text)
    assert "python scripts/rank_predictors.py --runs 4 , weaknas 9.9.9." in re.sub(r" +", " ", text)
    assert "python scripts/compare_nasbench201.py" in re.sub(r" +", " ", text)


def test_messages_that_are_explained_are_those_of_the_code():
    page = (DOCS / "faq.md").read_text(encoding="utf-8")
    explained = re.findall(r"\*\*`(.*?)`\*\*", page)
    assert len(explained) > 10
    files = [path for folder in ("weaknas", "spaces") for path in (ROOT / folder).rglob("*.py")]
    sources = "\n".join(path.read_text(encoding="utf-8") for path in files)
    # A message may go on in the next line of the code.
    sources = re.sub(r'"\s*\n\s*f?"', "", sources)
    assert [message for message in explained if message not in sources] == []
