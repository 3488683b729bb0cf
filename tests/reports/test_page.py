"""Pages: in words, for papers, and with nothing clipped in a browser."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from weaknas.reports import plots
from weaknas.reports.page import Page, in_words
from weaknas.reports.plots._drawing import make_axes, robust_limits

ARCHITECTURE = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|none~1|none~2|"


def make_page() -> Page:
    page = Page("A & B", {"command": "weaknas compare nasbench201 " + "--strategy random " * 30})
    marks = [f"regret at {n}" for n in (10, 20, 30, 50, 75, 100, 150)]
    estimates = ["12.345 (11.234 to 13.456)"] * len(marks)
    rows = [[f"{'weaknas:predictor=gp,acquisition=' * 2}{n}", *estimates, "4.2"] for n in range(3)]
    page.add_table("Wide", ["strategy", *marks, "seconds a run"], rows)
    rows = [[str(n), "1,234.5", "3.2 to 4.1", "75%", ARCHITECTURE * 2] for n in range(3)]
    page.add_table("Long", ["", "score", "95 %", "is the best", "architecture"], rows)
    figure, _ = make_axes(2)
    page.add_figure("Figure", "figure", figure, "Four panels.")
    return page


def test_settings_are_words() -> None:
    ridge = {"name": "Ridge", "parameters": {"alpha": 0.5, "fit_intercept": False, "seed": None}}
    encoder = {"name": "All", "parameters": {"encoders": [{"name": "A"}, {"name": "B"}]}}
    strategy = {"strategy": "WeakNAS", "batch_size": 2, "predictor": ridge, "encoder": encoder}
    told = "WeakNAS, batch size 2, predictor Ridge (alpha 0.5, fit intercept no)"
    assert in_words(strategy) == f"{told}, encoder All (encoders A + B)"
    assert in_words({"benchmark": "a/b", "labels": "mean"}) == "benchmark a/b, labels mean"
    assert in_words({"evaluator": "train", "epochs": 3}) == "train, epochs 3"
    assert in_words({"limits": [], "nested": {"a": True}}) == "limits none, nested a yes"


def test_figures_and_tables_for_papers(tmp_path: Path) -> None:
    make_page().write(tmp_path / "page.html", ["pdf", "latex"])
    folder = tmp_path / "page-figures"
    assert {file.name for file in folder.iterdir()} == {
        "figure.pdf", "table-1.tex", "table-2.tex",
    }  # fmt: skip
    assert (folder / "figure.pdf").read_bytes().startswith(b"%PDF")
    text = (folder / "table-2.tex").read_text()
    assert "\\begin{tabular}{lrrrl}\n\\toprule\n & score & 95 \\% & is the best &" in text
    assert text.count("75\\% & \\textbar{}nor\\_conv\\_3x3\\textasciitilde{}0") == 3
    assert not re.search(r"(?<!\\)[_%#]", text.partition("\n")[2])
    assert text.endswith(" \\\\\n\\bottomrule\n\\end{tabular}\n")
    assert 'src="data:image/png;base64,' in (tmp_path / "page.html").read_text()


def test_one_bad_point_does_not_flatten_a_front() -> None:
    rng = np.random.default_rng(0)
    scores, costs = 70 + rng.random(50), 1 + rng.random(50)
    scores[7], costs[8] = -1e6, 1e6
    axis = plots.plot_front("macs", scores, costs, np.arange(50)).axes[0]
    low, high = axis.get_ylim()
    assert 69 < low < 70.1
    assert 70.9 < high < 72
    assert axis.get_xlim()[1] < 3
    assert axis.get_xlabel() == "macs (2 far from the others not shown)"
    costs[np.argmax(scores)] = 1e6  # the end of the front is in sight
    assert plots.plot_front("macs", scores, costs, np.arange(50)).axes[0].get_xlim()[1] > 1e6


def test_robust_limits_of_odd_values() -> None:
    assert robust_limits([]) == (0, 1)
    assert robust_limits([np.nan, 3.0]) == pytest.approx((2.95, 3.05))
    assert robust_limits([1.0] * 9 + [2.0]) == pytest.approx((0.95, 2.05))  # no quartiles apart
    assert robust_limits([1, 2, 3, 4, 1e9]) == pytest.approx((0.85, 4.15))
    assert robust_limits([1, 2, 3, 4, 1e9], [9.0, np.inf]) == pytest.approx((0.6, 9.4))


@pytest.mark.slow
def test_nothing_is_clipped_at_1200_pixels(tmp_path: Path) -> None:
    script = Path(__file__).resolve().parents[2] / "scripts" / "clipped_pages.py"
    spec: Any = importlib.util.spec_from_file_location("clipped_pages", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    browser = module.find_browser()
    if browser is None:
        pytest.skip("there is no Chromium")
    page, path = make_page(), tmp_path / "page.html"
    page.write(path, [])
    assert module.find_clipped(browser, path) == ""
    page.add_table("Too wide", ["a" * 40] * 12, [["1"] * 12])  # the check can fail
    page.write(path, [])
    assert "div" in module.find_clipped(browser, path)
    assert module.find_clipped(browser, path, may_scroll=True) == ""
