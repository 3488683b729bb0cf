r"""Compare strategies in the MobileNet space of once-for-all, of 10^19 subnets.

Scores are those of once-for-all's accuracy predictor at resolution 224, and every
query has at most 600 M multiply-adds at resolution 236, as in the published ImageNet
search. The best subnet is not known: an evolution with 240,000 evaluations found
one of 0.8504. Run it again to continue where it was cut short:

    WEAKNAS_DATA=... python scripts/search_mobilenet.py --jobs 2

TPE is stronger here where it draws each decision by itself, and then takes minutes a run:

    WEAKNAS_DATA=... python scripts/search_mobilenet.py --runs 10 --budget 200 \
        --strategies optuna-tpe:multivariate=false --name search-mobilenet-tpe
"""

from __future__ import annotations

from functools import partial

from _shared import command, draw, parser, save, start

from weaknas.commands.compare import ComparisonProgress, parse_runs_of, print_summary
from weaknas.laboratory.experiment import Experiment, parse_strategy
from weaknas.laboratory.results import compare
from weaknas.reports import plots
from weaknas.runs.problem import build_problem

SPACE = "mobilenetv3:width=1.2:resolution=236"
EVALUATOR = "ofa-predictor:resolution=224"
LIMIT = "macs<=600e6"
STRATEGIES = (
    "weaknas",
    "weaknas:preset=paper",
    "optuna-tpe",
    "optuna-nsga2",
    "regularized-evolution",
    "random",
)
FIGURES = {"best": plots.plot_best}


def main() -> None:
    """Run the comparison; write its table and a figure."""
    options = parser(__doc__ or "")
    options.add_argument("--runs", type=int, default=20)
    options.add_argument("--runs-of", default="", help="others of some, e.g. optuna-tpe=5")
    options.add_argument("--budget", type=int, default=400)
    options.add_argument("--strategies", nargs="+", default=list(STRATEGIES))
    options.add_argument("--name", default="search-mobilenet", help="of the results")
    arguments = options.parse_args()
    runs_of = parse_runs_of(arguments.runs_of)
    if arguments.quick:
        arguments.runs, arguments.budget, runs_of = 2, 20, {}
        arguments.strategies = ["weaknas", "random"]
    name = arguments.name
    problem = partial(build_problem, SPACE, EVALUATOR, constraints=(LIMIT,))
    experiment = Experiment(
        SPACE,
        {"ofa-predictor": problem},
        {label: parse_strategy(label) for label in arguments.strategies},
        arguments.runs,
        arguments.budget,
        arguments.seed,
        runs_of=runs_of,
    )
    folder = arguments.work / f"{name}-quick" if arguments.quick else arguments.work / name
    with ComparisonProgress(experiment, arguments.jobs) as progress:
        summary = compare(
            experiment, folder, jobs=arguments.jobs, command=command(), progress=progress
        )
    print_summary(summary)
    save(arguments, name, {"constraint": LIMIT, "evaluator": EVALUATOR, "summary": summary})
    draw(arguments, name, summary, folder, FIGURES)


if __name__ == "__main__":
    start(main)
