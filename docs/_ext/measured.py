"""Tables of measured results: what the scripts wrote, not what somebody typed.

``{ranking-table} NAME``, ``{comparison-table} NAME``, ``{predictor-search-table} NAME``,
``{sampler-table} NAME`` and ``{tuning-table} NAME`` show ``NAME.json`` of the folder
``measured_results``, and its figures where there are any; where there is no such file,
the page says which command makes it.
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive, directives
from sphinx.application import Sphinx

Row = Sequence[str]


def quick_arguments(gallery_conf: dict[str, Any], script_vars: dict[str, Any]) -> list[str]:
    """Return the arguments that examples are run with when the gallery is built."""
    return ["--quick"]


def ranking_rows(summary: dict[str, Any]) -> tuple[Row, list[Row]]:
    """Return head and rows of a ranking, the best of each training size first."""
    head = ("trained on", "predictor", "runs", "Kendall tau", "95 % interval")
    head += ("precision at the top", "regret", "fit (s)", "predict (s)")
    ordered = sorted(summary["rows"], key=lambda r: (r["train_size"], -r["kendall_tau"]["mean"]))
    rows = [
        (
            str(row["train_size"]),
            row["predictor"],
            str(row["runs"]),
            f"{row['kendall_tau']['mean']:.3f}",
            _interval(row["kendall_tau"]["ci95"], ".3f"),
            f"{row['top_precision']:.3f}",
            f"{row['regret']:.3f}",
            f"{row['seconds_fit']:.2f}",
            f"{row['seconds_predict']:.2f}",
        )
        for row in ordered
    ]
    return head, rows


def comparison_rows(summary: dict[str, Any]) -> tuple[Row, list[Row]]:
    """Return head and rows of a comparison of strategies, the quickest of each data set first."""
    head = ("data set", "strategy", "runs", "found", "queries to the optimum", "95 % interval")
    head += ("final regret", "seconds a run")
    rows = []
    for part in summary.get("datasets", [summary]):
        for item in sorted(part["strategies"], key=lambda i: i["queries_to_optimum"]["mean"]):
            rows.append(
                (
                    part["dataset"],
                    item["strategy"],
                    str(item["runs"]),
                    f"{100 * item['found_rate']:.0f} %",
                    f"{item['queries_to_optimum']['mean']:.1f}",
                    _interval(item["queries_to_optimum"]["ci95"], ".1f"),
                    f"{item['regret_at'][str(part['budget'])]['mean']:.3f}",
                    f"{item['seconds_per_run']:.1f}",
                )
            )
    return head, rows


def predictor_search_rows(record: dict[str, Any]) -> tuple[Row, list[Row]]:
    """Return head and rows of searches with several predictors, a block of columns a space."""
    spaces = [summary["space"] for summary in record["summaries"]]
    names = ("runs", "found", "queries to the optimum", "final regret", "seconds a run")
    head = ("family", "predictor", *(f"{space}: {name}" for space in spaces for name in names))
    rows = []
    for row in record["rows"]:
        cells = [row["family"], row["predictor"]]
        for space in spaces:
            found = row["spaces"].get(space)
            if found is None:
                cells += ["-"] * len(names)
                continue
            queries = found["queries_to_optimum"]
            cells += [
                str(found["runs"]),
                f"{100 * found['found_rate']:.0f} %",
                f"{queries['mean']:.1f} ({_interval(queries['ci95'], '.1f')})",
                f"{found['regret']:.3f}",
                f"{found['seconds_per_run']:.1f}",
            ]
        rows.append(cells)
    return head, rows


def sampler_rows(record: dict[str, Any]) -> tuple[Row, list[Row]]:
    """Return head and rows of searches by samplers of Optuna."""
    head = ("data set", "method", "runs", "found", "queries to the optimum", "95 % interval")
    head += ("proposals",)
    rows = [
        (
            row["dataset"],
            row["method"],
            str(row["runs"]),
            f"{100 * row['found_rate']:.0f} %",
            f"{row['queries_to_optimum']['mean']:.1f}",
            _interval(row["queries_to_optimum"]["ci95"], ".1f"),
            f"{row['proposals']:.1f}",
        )
        for row in record["rows"]
    ]
    return head, rows


def tuning_rows(summary: dict[str, Any]) -> tuple[Row, list[Row]]:
    """Return head and rows of a predictor with its defaults and tuned."""
    fresh = summary["fresh"]
    head = (f"{summary['predictor']} on {summary['space']}", "Kendall tau", "95 % interval")
    rows = [
        (name, f"{fresh[name]['mean']:.4f}", _interval(fresh[name]["ci95"], ".4f"))
        for name in ("default", "tuned", "improvement")
    ]
    return head, rows


def _interval(ends: Sequence[float | None], form: str) -> str:
    low, high = ends
    return "-" if low is None or high is None else f"{low:{form}} to {high:{form}}"


class MeasuredTable(Directive, ABC):
    """A table of one result file."""

    required_arguments = 1
    option_spec: ClassVar = {"script": directives.unchanged}
    script = ""

    def run(self) -> list[nodes.Node]:
        """Return the table with what made it, or a note that it was not measured."""
        env = self.state.document.settings.env
        path = Path(env.config.measured_results) / f"{self.arguments[0]}.json"
        env.note_dependency(str(path))
        if not path.exists():
            return [self._note(self.options.get("script", self.script))]
        record = json.loads(path.read_text(encoding="utf-8"))
        head, rows = self.table(record)
        by = nodes.Text(f", weaknas {record['versions']['weaknas']}.")
        made = nodes.paragraph("", "Made by ", nodes.literal("", record["command"]), by)
        return [_table(head, rows), made, *self._figures(path)]

    @abstractmethod
    def table(self, record: dict[str, Any]) -> tuple[Row, list[Row]]:
        """Return head and rows."""

    def _note(self, script: str) -> nodes.Node:
        text = "Not measured in this copy. This measures it: "
        command = nodes.literal("", f"python scripts/{script}.py")
        return nodes.note("", nodes.paragraph("", text, command))

    def _figures(self, path: Path) -> list[nodes.Node]:
        source = Path(self.state.document.current_source).parent
        found = sorted(path.parent.glob(f"{path.stem}*.png"))
        return [nodes.image("", uri=_relative(figure, source), alt=figure.stem) for figure in found]


class RankingTable(MeasuredTable):
    """A table of ``weaknas rank``."""

    script = "rank_predictors"

    def table(self, record: dict[str, Any]) -> tuple[Row, list[Row]]:
        """Return head and rows."""
        return ranking_rows(record["summary"])


class ComparisonTable(MeasuredTable):
    """A table of ``weaknas compare``."""

    script = "compare_nasbench201"

    def table(self, record: dict[str, Any]) -> tuple[Row, list[Row]]:
        """Return head and rows."""
        return comparison_rows(record["summary"])


class PredictorSearchTable(MeasuredTable):
    """A table of searches with several predictors."""

    script = "search_predictors"

    def table(self, record: dict[str, Any]) -> tuple[Row, list[Row]]:
        """Return head and rows."""
        return predictor_search_rows(record)


class SamplerTable(MeasuredTable):
    """A table of searches by samplers of Optuna."""

    script = "optuna_sampler"

    def table(self, record: dict[str, Any]) -> tuple[Row, list[Row]]:
        """Return head and rows."""
        return sampler_rows(record)


class TuningTable(MeasuredTable):
    """A table of a tuned predictor."""

    script = "tune_predictor"

    def table(self, record: dict[str, Any]) -> tuple[Row, list[Row]]:
        """Return head and rows."""
        return tuning_rows(record["summary"])


def _relative(target: Path, start: Path) -> str:
    return Path(os.path.relpath(target.resolve(), start.resolve())).as_posix()


def _table(head: Row, rows: Iterable[Row]) -> nodes.table:
    group = nodes.tgroup(cols=len(head))
    group.extend(nodes.colspec(colwidth=1) for _ in head)
    group += nodes.thead("", _row(head))
    group += nodes.tbody("", *map(_row, rows))
    return nodes.table("", group)


def _row(cells: Row) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", cell)) for cell in cells))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_config_value("measured_results", "", "env")
    app.add_directive("ranking-table", RankingTable)
    app.add_directive("comparison-table", ComparisonTable)
    app.add_directive("predictor-search-table", PredictorSearchTable)
    app.add_directive("sampler-table", SamplerTable)
    app.add_directive("tuning-table", TuningTable)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
