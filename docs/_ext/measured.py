"""Tables of measured results: what the scripts wrote, not what somebody typed.

``{ranking-table} NAME`` and ``{comparison-table} NAME`` show ``NAME.json`` of the
folder ``measured_results``, and its figures where there are any; where there is no
such file, the page says which command makes it.
"""

from __future__ import annotations

import json
import os
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
    head = ("trained on", "predictor", "Kendall tau", "95 % interval", "precision at the top")
    head += ("regret", "fit (s)", "predict (s)")
    ordered = sorted(summary["rows"], key=lambda r: (r["train_size"], -r["kendall_tau"]["mean"]))
    rows = [
        (
            str(row["train_size"]),
            row["predictor"],
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


def _interval(ends: Sequence[float | None], form: str) -> str:
    low, high = ends
    return "-" if low is None or high is None else f"{low:{form}} to {high:{form}}"


class MeasuredTable(Directive):
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
        head, rows = self.table(record["summary"])
        made = nodes.paragraph(
            "", "Made by ", nodes.literal("", record["command"]), nodes.Text(".")
        )
        return [_table(head, rows), made, *self._figures(path)]

    def table(self, summary: dict[str, Any]) -> tuple[Row, list[Row]]:
        """Return head and rows."""
        raise NotImplementedError

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

    def table(self, summary: dict[str, Any]) -> tuple[Row, list[Row]]:
        """Return head and rows."""
        return ranking_rows(summary)


class ComparisonTable(MeasuredTable):
    """A table of ``weaknas compare``."""

    script = "compare_nasbench201"

    def table(self, summary: dict[str, Any]) -> tuple[Row, list[Row]]:
        """Return head and rows."""
        return comparison_rows(summary)


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
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
