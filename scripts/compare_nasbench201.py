"""Compare strategies on the three data sets of NAS-Bench-201.

Two protocols: a training shows one of those in the table, or the mean over
them. Slow strategies have fewer runs, as the results say. Run it again to
continue where it was cut short:

    python scripts/compare_nasbench201.py --jobs 2
"""

from __future__ import annotations

from _shared import draw, parser, run, save, start

from weaknas.reports import plots

STRATEGIES = (
    "weaknas",
    "weaknas:repeats=never",
    "weaknas:preset=paper:predictor=xgboost",
    "weaknas:preset=paper:predictor=random-forest",
    "weaknas:preset=paper:predictor=mlp",
    # Each as it finds the best soonest: on the strings of cells, all neighbours from the
    # best of ten as in the authors' code.
    "local-search:canonical=false:starts=10",
    "local-search:canonical=false:first-improvement=true",
    "simulated-annealing",
    "regularized-evolution",
    "optuna-tpe",
    "optuna-gp",
    "random",
)
#: Runs of what takes minutes a run.
FEWER = {
    "weaknas:preset=paper:predictor=xgboost": 10,
    "weaknas:preset=paper:predictor=random-forest": 5,
    "weaknas:preset=paper:predictor=mlp": 1,
    "optuna-gp": 5,
}
FIGURES = {
    "regret": plots.plot_regret,
    "queries-to-optimum": plots.plot_found,
    "narrowing": plots.plot_narrowing,
}
QUICK = ("weaknas", "local-search", "random")


def main() -> None:
    """Run both protocols and write tables and figures."""
    options = parser(__doc__ or "")
    options.add_argument("--runs", type=int, default=100)
    options.add_argument("--budget", type=int, default=300)
    options.add_argument("--labels", nargs="+", default=["one-seed", "mean"])
    options.add_argument("--strategies", nargs="+", default=list(STRATEGIES))
    arguments = options.parse_args()
    if arguments.quick:
        arguments.runs, arguments.budget, arguments.strategies = 2, 20, list(QUICK)
    runs_of = {
        name: min(count, arguments.runs)
        for name, count in FEWER.items()
        if name in arguments.strategies
    }
    for labels in arguments.labels:
        name = f"compare-nasbench201-{labels}"
        summary, folder = run(
            arguments,
            name,
            arguments.strategies,
            labels=labels,
            runs=arguments.runs,
            budget=arguments.budget,
            runs_of=runs_of,
        )
        save(arguments, name, {"summary": summary})
        draw(arguments, name, summary, folder, FIGURES)


if __name__ == "__main__":
    start(main)
