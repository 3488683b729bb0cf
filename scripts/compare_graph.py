"""Compare strategies on the nine data sets of NAS-Bench-Graph.

The regret after few queries is compared: of 26,206 architectures many are as good as
the best up to the noise of a training. Run it again to continue where it was cut short:

    python scripts/compare_graph.py --jobs 2
"""

from __future__ import annotations

from typing import Any

from _shared import draw, parser, run, save, start

from weaknas.laboratory.summary import by_dataset
from weaknas.reports import plots
from weaknas.spaces.graph.table import DATASETS

SPACE = "graph"
STRATEGIES = ("weaknas", "local-search", "regularized-evolution", "random")


def main() -> None:
    """Run the comparison; write its table, the data sets the first strategy wins, and a figure."""
    options = parser(__doc__ or "")
    options.add_argument("--runs", type=int, default=30)
    options.add_argument("--budget", type=int, default=50)
    options.add_argument("--strategies", nargs="+", default=list(STRATEGIES))
    options.add_argument("--datasets", nargs="+", default=list(DATASETS))
    arguments = options.parse_args()
    if arguments.quick:
        arguments.runs, arguments.budget, arguments.datasets = 2, 10, ["cora", "proteins"]
    name = "compare-graph"
    summary, folder = run(
        arguments,
        name,
        arguments.strategies,
        space=SPACE,
        datasets=arguments.datasets,
        runs=arguments.runs,
        budget=arguments.budget,
    )
    regrets = mean_regrets(summary, arguments.budget)
    save(arguments, name, {"regret": regrets, "wins": wins(regrets), "summary": summary})
    draw(arguments, name, summary, folder, {"regret": plots.plot_regret})


def mean_regrets(summary: dict[str, Any], budget: int) -> dict[str, dict[str, float]]:
    """Return the mean regret after all queries, by data set and strategy."""
    return {
        part["dataset"]: {
            item["strategy"]: item["regret_at"][str(budget)]["mean"] for item in part["strategies"]
        }
        for part in by_dataset(summary)
    }


def wins(regrets: dict[str, dict[str, float]]) -> dict[str, int]:
    """Return on how many data sets the first strategy has less regret than each other one."""
    first, *others = next(iter(regrets.values()))
    return {
        other: sum(regret[first] < regret[other] for regret in regrets.values()) for other in others
    }


if __name__ == "__main__":
    start(main)
