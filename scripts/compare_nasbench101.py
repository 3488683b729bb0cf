"""Compare strategies on NAS-Bench-101, on the whole table or on the part of it that is there.

Where only the sample of 30,001 cells is installed, the search stays inside it: there
only 1.5 of the 19.6 neighbours of a cell are, so that local search is little more
than random search with restarts, and mutation mostly draws anew. Run it again to
continue where it was cut short:

    WEAKNAS_DATA=... python scripts/compare_nasbench101.py --jobs 2
"""

from __future__ import annotations

from _shared import draw, parser, run, save, start

from weaknas.registry import get_benchmark
from weaknas.reports import plots

SPACE = "nasbench101"
STRATEGIES = ("weaknas", "local-search", "regularized-evolution", "random")
FIGURES = {"regret": plots.plot_regret, "queries-to-optimum": plots.plot_found}


def main() -> None:
    """Run the comparison; write its table, how queries compare with the default, and figures."""
    options = parser(__doc__ or "")
    options.add_argument("--runs", type=int, default=100)
    options.add_argument("--budget", type=int, default=300)
    options.add_argument("--strategies", nargs="+", default=list(STRATEGIES))
    arguments = options.parse_args()
    if arguments.quick:
        arguments.runs, arguments.budget = 2, 12
    name = "compare-nasbench101"
    summary, folder = run(
        arguments,
        name,
        arguments.strategies,
        space=SPACE,
        datasets=["cifar10"],
        runs=arguments.runs,
        budget=arguments.budget,
    )
    means = {item["strategy"]: item["queries_to_optimum"]["mean"] for item in summary["strategies"]}
    first = arguments.strategies[0]
    result = {
        "cells": get_benchmark(SPACE).space.size,
        "share_of_queries": {
            other: round(means[first] / mean, 3) for other, mean in means.items() if other != first
        },
        "summary": summary,
    }
    save(arguments, name, result)
    draw(arguments, name, summary, folder, FIGURES)


if __name__ == "__main__":
    start(main)
