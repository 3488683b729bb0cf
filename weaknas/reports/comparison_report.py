"""The page of a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from weaknas.laboratory.comparison_folder import read_comparison
from weaknas.laboratory.experiment import Truth
from weaknas.laboratory.summary import StrategyRuns, by_dataset, checkpoints, collect
from weaknas.reports import plots
from weaknas.reports.benchmark_map import add_map, load_benchmark
from weaknas.reports.page import Page, join_pairs, number_or_dash, range_or_dash


def comparison_page(folder: Path) -> Page:
    """Return the page of a comparison, finished or under way.

    Parameters
    ----------
    folder : path
        The output folder of ``weaknas compare``.

    Raises
    ------
    InputError
        When the folder is damaged.
    """
    record, queries, summary = read_comparison(folder)
    config = record["experiment"]
    volumes = {
        part["dataset"]: part["hypervolume"]
        for part in by_dataset(summary)
        if "hypervolume" in part
    }
    references = {dataset: volume["reference"] for dataset, volume in volumes.items()}
    collected = {
        dataset: [
            collect(queries, dataset, name, config["budget"], references.get(dataset))
            for name in config["strategies"]
        ]
        for dataset in config["datasets"]
    }
    panels = {
        dataset: [runs for runs in strategies if runs is not None]
        for dataset, strategies in collected.items()
        if any(strategies)
    }
    page = Page(f"Comparison on {config['space']}", _comparison_facts(record))
    for part in by_dataset(summary):
        if "hypervolume" in part:
            _add_volume_table(page, part)
        _add_comparison_table(page, part)
    if summary.get("ranks"):
        _add_ranks(page, summary["ranks"])
    if volumes:
        _add_volumes(page, panels, volumes)
    _add_curves(page, panels)
    for dataset in panels:
        _add_comparison_map(page, config, queries, dataset)
    return page


def _comparison_facts(record: dict[str, Any]) -> dict[str, str]:
    config = record["experiment"]
    cost = config.get("budget_cost")
    limit = "" if cost is None else f" or {cost:g} seconds of training"
    return {
        "command": record.get("command") or "called from Python",
        "begun": record["created"],
        "protocol": f"{config['runs']} runs of {config['budget']} trainings{limit}, seed"
        f" {config['seed']};"
        f" optimum and regret by the mean {config['optimum']} score over all trainings;"
        " what is returned is chosen by what the search saw",
        "versions": join_pairs(config["versions"]),
    }


def _add_comparison_table(page: Page, part: dict[str, Any]) -> None:
    has_optimum = part["optimum_score"] is not None
    marks = [str(mark) for mark in checkpoints(part["budget"])]
    head = ["strategy", "runs"]
    head += ["found", "queries to the optimum", "median", "p90"] if has_optimum else []
    shown = marks[-1:] if has_optimum else marks  # all regrets have a table of their own
    head += [f"{'regret' if has_optimum else 'best score'} at {mark}" for mark in shown]
    head += [f"optimum returned at {marks[-1]}", "relative improvement"] if has_optimum else []
    head += ["p (Holm)", "seconds a run"]
    rows = []
    for item in part["strategies"]:
        cells = [item["strategy"], str(item["runs"])]
        if has_optimum:
            cells += _to_optimum(item)
            cells += [_with_range(item["regret_at"][mark], ".3f") for mark in shown]
            cells.append(number_or_dash(item["optimum_returned_at"][marks[-1]], ".0%"))
            cells.append(number_or_dash(item["relative_improvement"], ".2f"))
        else:
            cells += [_with_range(item["best_at"][mark], ".5g") for mark in shown]
        p_value = item.get("wilcoxon", {}).get("p_holm")
        rows.append(
            [*cells, number_or_dash(p_value, ".2g"), number_or_dash(item["seconds_per_run"], ".2f")]
        )
    labels = f": labels {part['labels']}" if part["labels"] else ""
    if has_optimum:
        page.add_table(
            f"{part['dataset']}{labels}, optimum {part['optimum_score']:.4g}", head, rows
        )
        page.add_text(
            "Regret: the optimum's mean score minus that of what would be returned. A run that"
            " did not find the optimum counts as its full budget. Intervals: 95 % bootstrap of the"
            " mean. Relative improvement: 100 (a - r) / r, a the mean score of"
            f" what is returned, r = {part['random_score']:.4g} that of a random architecture."
            " p: Wilcoxon's signed-rank test of queries to the optimum against the first"
            " strategy, paired by seed."
        )
        _add_regret_table(page, part, marks)
    else:
        page.add_table(f"{part['dataset']}{labels}", head, rows)
        page.add_text(
            "The best architecture is not known, and so there is no regret. Intervals: 95 %"
            " bootstrap of the mean. p: Wilcoxon's signed-rank test of the last score against the"
            " first strategy, paired by seed."
        )
    for failure in part["failures"]:
        page.add_text(f"{failure['strategy']}, run {failure['run']} failed: {failure['error']}")


def _add_regret_table(page: Page, part: dict[str, Any], marks: list[str]) -> None:
    page.add_table(
        f"{part['dataset']}: regret by trainings",
        ["strategy", *(f"at {mark}" for mark in marks)],
        [
            [item["strategy"], *(_with_range(item["regret_at"][mark], ".3f") for mark in marks)]
            for item in part["strategies"]
        ],
    )


def _add_volume_table(page: Page, part: dict[str, Any]) -> None:
    volume = part["hypervolume"]
    form, scale = (".2f", 100 / volume["whole"]) if volume["whole"] else (".5g", 1.0)
    marks = [str(mark) for mark in checkpoints(part["budget"])]
    head = ["strategy", "runs", *(f"hypervolume at {mark}" for mark in marks), "p (Holm)"]
    rows = []
    for item in part["strategies"]:
        cells = [item["strategy"], str(item["runs"])]
        for mark in marks:
            mean, ends = item["hypervolume_at"][mark]["mean"], item["hypervolume_at"][mark]["ci95"]
            scaled = [None if end is None else scale * end for end in ends]
            cells.append(_with_range({"mean": scale * mean, "ci95": scaled}, form))
        rows.append([*cells, number_or_dash(item.get("wilcoxon", {}).get("p_holm"), ".2g")])
    page.add_table(
        f"{part['dataset']}: the front of score and {' and '.join(volume['objectives'])}",
        head,
        rows,
    )
    corner = ", ".join(f"{name} {value:.5g}" for name, value in volume["reference"].items())
    unit = " in % of what the whole space dominates," if volume["whole"] else ""
    page.add_text(
        f"Hypervolume: what the trainings so far dominate,{unit} measured from {corner}."
        " Intervals: 95 % bootstrap of the mean. p: Wilcoxon's signed-rank test of the last"
        " volume against the first strategy, paired by seed; below, too."
    )


def _add_volumes(
    page: Page, panels: dict[str, list[StrategyRuns]], volumes: dict[str, dict[str, Any]]
) -> None:
    page.add_figure(
        "Hypervolume by trainings",
        "hypervolume-by-queries",
        plots.plot_hypervolume(panels, {name: volume["whole"] for name, volume in volumes.items()}),
        "Mean over runs of the volume that the trainings so far dominate; bands: 95 % bootstrap.",
    )


def _to_optimum(item: dict[str, Any]) -> list[str]:
    queries = item["queries_to_optimum"]
    return [
        f"{100 * item['found_rate']:.0f} %",
        _with_range(queries, ".1f"),
        f"{queries['median']:.0f}",
        f"{queries['p90']:.0f}",
    ]


def _add_ranks(page: Page, ranks: dict[str, Any]) -> None:
    order = sorted(ranks["average"].items(), key=lambda item: item[1])
    page.add_table(
        "Average rank over the data sets",
        ["strategy", "rank"],
        [[name, f"{rank:.2f}"] for name, rank in order],
    )
    page.add_text(
        f"Critical difference (Nemenyi, 5 %): {ranks['critical_difference']:.2f};"
        f" Friedman's p: {number_or_dash(ranks['friedman_p'], '.2g')}."
    )


def _add_curves(page: Page, panels: dict[str, list[StrategyRuns]]) -> None:
    if not all(runs.is_known for strategies in panels.values() for runs in strategies):
        page.add_figure(
            "Best score by trainings",
            "best-by-queries",
            plots.plot_best(panels),
            "Mean over runs of the expected score of what would be returned; bands: 95 %"
            " bootstrap.",
        )
        return
    page.add_figure(
        "Regret by trainings",
        "regret-by-queries",
        plots.plot_regret(panels),
        "Mean over runs of the optimum's mean score minus that of the architecture that would be"
        " returned; bands: 95 % bootstrap. A curve that leaves the panel has reached zero in all"
        " runs.",
    )
    if all(np.nanmax(runs.cost) > 0 for strategies in panels.values() for runs in strategies):
        page.add_figure(
            "Regret by training time",
            "regret-by-seconds",
            plots.plot_regret(panels, by="seconds"),
            "The same by the time that the queried architectures took to train, one after the"
            " other. A curve ends where the first of its runs has spent its budget.",
        )
    page.add_figure(
        "Queries to the optimum",
        "queries-to-optimum",
        plots.plot_found(panels),
        "Share of runs that have queried an optimal architecture.",
    )
    page.add_figure(
        "Narrowing of the sampled sub-space",
        "narrowing",
        plots.plot_narrowing(panels),
        "How likely a query is to be among the best architectures of the whole space by mean"
        " score. Dotted: uniform sampling.",
    )


def _add_comparison_map(
    page: Page, config: dict[str, Any], queries: pa.Table, dataset: str
) -> None:
    """Draw the first run of the first strategy."""
    benchmark = load_benchmark(config["datasets"][dataset])
    rows = [
        row
        for row in queries.select(
            ["dataset", "strategy", "run", "round", "architecture", "returned"]
        ).to_pylist()
        if row["dataset"] == dataset
    ]
    if benchmark is None or not rows:
        return
    run = rows[0]["strategy"], rows[0]["run"]
    chosen = [row for row in rows if (row["strategy"], row["run"]) == run]
    architectures = [row["architecture"] for row in chosen]
    title = f"{dataset}: {run[0]}, run {run[1]}"
    rounds = np.array([row["round"] for row in chosen])
    returned = np.array([row["returned"] for row in chosen]) - 1
    truth = Truth(benchmark, config["optimum"])
    add_map(page, title, benchmark.space, truth.scores, (architectures, returned, rounds))


def _with_range(item: dict[str, Any], form: str) -> str:
    ends = range_or_dash(item["ci95"], form)
    return number_or_dash(item["mean"], form) + ("" if ends == "-" else f" ({ends})")
