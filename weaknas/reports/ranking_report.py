"""The page of a ranking of predictors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from weaknas.laboratory.ranking_results import read_ranking
from weaknas.reports import plots
from weaknas.reports.page import Page, join_pairs, number_or_dash, range_or_dash

_HEAD = ("predictor", "encoder", "runs", "Kendall's tau", "95 %", "Spearman", "precision", "regret")


def ranking_page(folder: Path) -> Page:
    """Return the page of a ranking, finished or under way.

    Parameters
    ----------
    folder : path
        The output folder of ``weaknas rank``.

    Raises
    ------
    InputError
        When the folder is damaged.
    """
    record, summary = read_ranking(folder)
    page = Page(f"Ranking on {summary['space']}/{summary['dataset']}", _facts(record, summary))
    if summary["rows"]:
        page.add_figure(
            "Kendall's tau against training size",
            "ranking",
            plots.plot_ranking(summary),
            "Mean over the runs with its 95 % bootstrap interval.",
        )
    for size in summary["train_sizes"]:
        rows = [row for row in summary["rows"] if row["train_size"] == size]
        _add_table(page, f"Trained on {size}", rows)
    if summary["rows"]:
        page.add_text(
            "Of the unseen architectures. Precision: share of the predicted top"
            f" {summary['top']} in the true one. Regret: best mean score minus that of the"
            " predicted best. p: Wilcoxon's signed-rank test of tau against the predictor of the"
            " first runs, paired by run and adjusted by Holm. Seconds: to fit, and to score all."
        )
    for failure in summary["failures"]:
        page.add_text(f"{failure['predictor']}, run {failure['run']} failed: {failure['error']}")
    return page


def _facts(record: dict[str, Any], summary: dict[str, Any]) -> dict[str, str]:
    return {
        "command": record.get("command") or "called from Python",
        "begun": record["created"],
        "protocol": f"{summary['regime']} training sets of {summary['architectures']}"
        f" architectures, labels {summary['labels']}, targets {summary['targets']},"
        f" seed {summary['seed']}",
        "versions": join_pairs(record["ranking"]["versions"]),
    }


def _add_table(page: Page, heading: str, rows: list[dict[str, Any]]) -> None:
    cells = []
    for row in sorted(rows, key=lambda row: -row["kendall_tau"]["mean"]):
        cells.append(
            [
                row["predictor"],
                row["encoder"],
                str(row["runs"]),
                f"{row['kendall_tau']['mean']:.3f}",
                range_or_dash(row["kendall_tau"]["ci95"], ".3f"),
                f"{row['spearman']:.3f}",
                f"{row['top_precision']:.3f}",
                f"{row['regret']:.3f}",
                number_or_dash(row["p_holm"], ".2g"),
                f"{row['seconds_fit']:.3f}",
                f"{row['seconds_predict']:.3f}",
            ]
        )
    page.add_table(heading, [*_HEAD, "p (Holm)", "s fit", "s predict"], cells)
