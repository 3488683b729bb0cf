"""Search the front of ImageNet accuracy and multiply-adds among measured MobileNets.

The architectures are subnets of once-for-all whose top-1 accuracy was measured. The
volume that the queries dominate is taken up to the largest multiply-adds and down to
the lowest accuracy of the table; its regret is what is missing of the volume of the
whole table, in percent. The search knows the multiply-adds of all architectures, but
neither that volume nor any accuracy it has not queried. Moves of evolution end at the most
similar subnet of the table that is new, those of pymoo's NSGA-II, where it is installed, too.
Optuna's is left out: what it proposes is hardly ever in the table, and is then drawn at random.

    WEAKNAS_DATA=... python scripts/pareto_mobilenet.py
"""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
from _shared import parser, save, start

from weaknas.components import run_seed
from weaknas.evaluators import TabularBenchmark
from weaknas.laboratory.statistics import bootstrap_interval
from weaknas.registry import get_benchmark, get_strategy
from weaknas.reports import plots
from weaknas.runs.runner import run
from weaknas.search.pareto import hypervolume
from weaknas.spaces import Costs

SPACE, COST = "mobilenetv3", "macs"
POPULATION = 20
#: Those that take objectives search the front, the others the best score.
STRATEGIES: dict[str, dict[str, Any]] = {
    "weaknas": {"objectives": (COST,)},
    "nsga2": {"objectives": (COST,), "population": POPULATION, "batch_size": POPULATION},
    "regularized-evolution": {},
    "random": {},
}
PYMOO = "pymoo-nsga2"
MARKS = (10, 20, 25, 50, 75, 100, 150, 200)


def main() -> None:
    """Run the searches; write the regret of each, and a figure."""
    options = parser(__doc__ or "")
    options.add_argument("--runs", type=int, default=30)
    options.add_argument("--budget", type=int, default=200)
    arguments = options.parse_args()
    names = list(STRATEGIES)
    if importlib.util.find_spec("pymoo"):
        names.insert(2, PYMOO)
    if arguments.quick:
        arguments.runs, arguments.budget, names = 2, 20, ["weaknas", "random"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the table is a part of the space
        benchmark = get_benchmark(SPACE)
    regrets = {name: measure(benchmark, name, arguments) for name in names}
    rows = [{"strategy": name, **summary(curves)} for name, curves in regrets.items()]
    for row in rows:
        means = {mark: item["mean"] for mark, item in row["regret_percent_at"].items()}
        print(row["strategy"], means)
    facts = {"cost": COST, "architectures": benchmark.space.size, "runs": arguments.runs}
    save(arguments, "pareto-mobilenet", {**facts, "rows": rows})
    title = f"accuracy against {COST}, {benchmark.space.size} measured subnets"
    drawn = plots.plot_curves(regrets, title, "hypervolume regret (%)")
    plots.save(drawn, arguments.results / "pareto-mobilenet", forms=("png",))


def measure(benchmark: TabularBenchmark, name: str, arguments: Any) -> npt.NDArray[np.float64]:
    """Return the regret in percent after each query, shape (runs, budget)."""
    costs, rows = Costs(benchmark.space, (COST,)), benchmark.space.enumerate()
    accuracy = benchmark.true_scores(rows)
    reference = float(accuracy.min()), costs.worst
    whole = hypervolume(accuracy, costs(rows), *reference)
    curves = np.empty((arguments.runs, arguments.budget))
    for number, curve in enumerate(curves):
        seed = run_seed(arguments.seed, number)
        if name == PYMOO:
            from _pymoo import search

            scores, prices = search(benchmark, costs, arguments.budget, seed, POPULATION)
        else:
            strategy = get_strategy(name, benchmark.space, seed=seed, **STRATEGIES[name])
            trials = run(strategy, benchmark, arguments.budget).trials
            scores, prices = trials.scores, costs(trials.genotypes)
        for n in range(arguments.budget):
            volume = hypervolume(scores[: n + 1], prices[: n + 1], *reference)
            curve[n] = 100 * (1 - volume / whole)
    return curves


def summary(curves: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Return mean and 95 % bootstrap interval of the regret at some numbers of queries."""
    marks = [mark for mark in MARKS if mark <= curves.shape[1]]
    return {
        "regret_percent_at": {
            str(mark): {
                "mean": round(float(curves[:, mark - 1].mean()), 4),
                "ci95": [round(end, 4) for end in bootstrap_interval(curves[:, mark - 1])],
            }
            for mark in marks
        }
    }


if __name__ == "__main__":
    start(main)
