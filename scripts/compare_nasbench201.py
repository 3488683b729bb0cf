"""Compare strategies on the three data sets of NAS-Bench-201.

Two protocols: a query shows the accuracy of one training, or the mean over
trainings. Slow strategies have fewer runs, as the results say. Run it again to
continue where it was cut short:

    python scripts/compare_nasbench201.py --jobs 2
"""

from __future__ import annotations

from _shared import parser, run, save, start

from weaknas import plots
from weaknas.results import read_queries
from weaknas.summary import by_dataset, collect

STRATEGIES = (
    "weaknas",
    "weaknas:preset=paper:predictor=xgboost",
    "weaknas:preset=paper:predictor=random-forest",
    "weaknas:preset=paper:predictor=mlp",
    "local-search",
    "regularized-evolution",
    "optuna-tpe",
    "optuna-gp",
    "random",
)
#: Runs of what takes minutes a run.
FEWER = {
    "weaknas:preset=paper:predictor=xgboost": 20,
    "weaknas:preset=paper:predictor=random-forest": 10,
    "weaknas:preset=paper:predictor=mlp": 5,
    "optuna-gp": 10,
    "optuna-tpe": 50,
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
        queries = read_queries(folder)
        panels = {}
        for part in by_dataset(summary):
            found = [
                collect(queries, part["dataset"], item["strategy"], arguments.budget)
                for item in part["strategies"]
            ]
            panels[part["dataset"]] = [runs for runs in found if runs is not None]
        for kind, figure in (
            ("regret", plots.plot_regret(panels)),
            ("queries-to-optimum", plots.plot_found(panels)),
            ("narrowing", plots.plot_narrowing(panels)),
        ):
            plots.save(figure, arguments.results / f"{name}-{kind}", forms=("png",))


if __name__ == "__main__":
    start(main)
