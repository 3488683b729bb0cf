"""Vary predictor, acquisition, batch size and encoder of WeakNAS, one or two at a time.

On cifar10 and cifar100 only: the default was chosen on these, imagenet16-120 was
kept apart.

    python scripts/ablation.py --jobs 2
"""

from __future__ import annotations

from typing import Any

from _shared import parser, run, save, start

from weaknas.laboratory.summary import by_dataset
from weaknas.reports import plots

PREDICTORS = ("gp", "bayesian-ridge", "extra-trees", "xgboost")
ACQUISITIONS = ("ei", "ucb", "thompson", "greedy", "top-n")
BATCH_SIZES = (1, 2, 5, 10, 20)
ENCODERS = (
    "one-hot",
    "path",
    "adjacency",
    "one-hot+operation-counts",
    "one-hot+path-counts+operation-counts",
    "one-hot+path-counts+operation-counts+graph-features+operation-pairs",
)
#: What takes seconds a round.
SLOW = {"bayesian-ridge": 10, "extra-trees": 4, "xgboost": 4}


def settings(quick: bool) -> dict[str, list[str]]:
    """Return the strategies of each group."""
    grid = [
        f"weaknas:predictor={predictor}:acquisition={acquisition}"
        for predictor in PREDICTORS
        for acquisition in ACQUISITIONS
    ]
    groups = {
        "default": ["weaknas"],
        "predictor and acquisition": grid,
        "batch size": [f"weaknas:batch_size={size}" for size in BATCH_SIZES],
        "encoder": [f"weaknas:encoder={encoder}" for encoder in ENCODERS],
    }
    if quick:
        keep = {"weaknas", grid[0], "weaknas:batch_size=10", "weaknas:encoder=one-hot"}
        groups = {group: [s for s in names if s in keep] for group, names in groups.items()}
    return groups


def main() -> None:
    """Run all settings and write a table and a figure."""
    options = parser(__doc__ or "")
    options.add_argument("--runs", type=int, default=30)
    options.add_argument("--budget", type=int, default=100)
    arguments = options.parse_args()
    if arguments.quick:
        arguments.runs, arguments.budget = 2, 20
    groups = settings(arguments.quick)
    names = [name for group in groups.values() for name in group]
    fewer = {
        name: min(count, arguments.runs)
        for name in names
        for predictor, count in SLOW.items()
        if f"predictor={predictor}:" in name
    }
    datasets = ["cifar10"] if arguments.quick else ["cifar10", "cifar100"]
    summary, _ = run(
        arguments,
        "ablation",
        names,
        datasets=datasets,
        runs=arguments.runs,
        budget=arguments.budget,
        runs_of=fewer,
    )
    save(arguments, "ablation", {"groups": groups, "summary": summary})
    parts = by_dataset(summary)
    panels = {group: _rows(names, parts) for group, names in groups.items()}
    figure = plots.plot_intervals(
        {group: rows for group, rows in panels.items() if rows},
        f"queries to the optimum, at most {arguments.budget}: mean and 95 % interval",
    )
    plots.save(figure, arguments.results / "ablation", forms=("png",))


def _rows(
    names: list[str], parts: list[dict[str, Any]]
) -> list[tuple[str, str, float, tuple[float, float]]]:
    rows = []
    for name in names:
        for part in parts:
            for item in part["strategies"]:
                if item["strategy"] == name:
                    queries = item["queries_to_optimum"]
                    low, high = (queries["mean"] if end is None else end for end in queries["ci95"])
                    label = name.removeprefix("weaknas:").replace(":", ", ")
                    rows.append((label, part["dataset"], queries["mean"], (low, high)))
    return rows


if __name__ == "__main__":
    start(main)
