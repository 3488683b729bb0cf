"""How well every predictor ranks unseen architectures, by space and sampling regime.

NAS-Bench-201 on cifar100, and NAS-Bench-101 where its table is at hand (see
``weaknas table``). Every predictor has the encoding of a search, and some strong ones
path statistics beside it, too. Predictors whose packages are not installed are left
out and named in the results. Run it again to continue where it was cut short:

    python scripts/rank_predictors.py --jobs 2
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from _shared import command, parser, save, start

from weaknas.commands.rank import RankingProgress, print_ranking
from weaknas.errors import InputError
from weaknas.laboratory.contestants import Contestant, parse_contestant
from weaknas.laboratory.ranking import REGIMES, Ranking, rank
from weaknas.registry import get_benchmark, get_space, list_predictors
from weaknas.reports import plots
from weaknas.spaces import SearchSpace

#: Space to data set and training sizes, those of published comparisons.
TABLES = {
    "nasbench201": ("cifar100", (78, 156, 469)),
    "nasbench101": ("cifar10", (100, 172, 424)),
}
QUICK = ("gp", "bayesian-ridge")
#: What is shown with path statistics, too.
WITH_PATHS = ("gp", "kernel-ridge", "extra-trees", "ensemble", "graph-ensemble")
PATHS = "path-statistics"
#: What takes seconds a fit.
SLOW = (
    "auto",
    "gcn",
    "graph-ensemble",
    "graph-transformer",
    "mlp",
    "pairwise-relation",
    "self-training",
    "stacking",
)


def main() -> None:
    """Rank on each table in each regime and write tables and figures."""
    options = parser(__doc__ or "")
    options.add_argument("--runs", type=int, default=20)
    options.add_argument("--slow-runs", type=int, default=5, help="of predictors that are slow")
    options.add_argument("--labels", default="mean")
    options.add_argument("--regimes", nargs="+", default=list(REGIMES))
    options.add_argument("--spaces", nargs="+", default=list(TABLES))
    options.add_argument("--predictors", nargs="+", default=None, help="default: all")
    arguments = options.parse_args()
    if arguments.quick:
        arguments.runs, arguments.spaces, arguments.predictors = 2, ["nasbench201"], QUICK
    # The default comes first: it is what the others are tested against.
    names = arguments.predictors or sorted(list_predictors(), key=lambda name: name != "gp")
    for space in arguments.spaces:
        dataset, sizes = TABLES[space]
        benchmark = partial(get_benchmark, space, dataset=dataset, labels=arguments.labels)
        try:
            benchmark()
        except InputError as error:
            print(f"{space} is left out: {error}")
            continue
        contestants, missing = build(names, get_space(space))
        slow = min(arguments.runs, arguments.slow_runs)
        for regime in arguments.regimes:
            design = Ranking(
                space,
                benchmark,
                contestants,
                [size // 4 for size in sizes] if arguments.quick else sizes,
                arguments.runs,
                arguments.seed,
                regime,
                runs_of={name: slow for name in contestants if name.partition(",")[0] in SLOW},
            )
            name = f"rank-{space}-{regime}-{arguments.labels}"
            folder = arguments.work / (f"{name}-quick" if arguments.quick else name)
            with RankingProgress(design) as progress:
                summary = rank(
                    design, folder, jobs=arguments.jobs, command=command(), progress=progress
                )
            print_ranking(summary)
            save(arguments, name, {"summary": summary, "not_installed": missing})
            plots.save(plots.plot_ranking(summary), arguments.results / name, forms=("png",))


def build(names: Sequence[str], space: SearchSpace) -> tuple[dict[str, Contestant], dict[str, str]]:
    """Return the contestants, and why those that cannot be built are left out."""
    contestants: dict[str, Contestant] = {}
    missing: dict[str, Any] = {}
    for name in names:
        try:
            contestants[name] = parse_contestant(name)
        except ImportError as error:
            missing[name] = str(error)
            continue
        usual = contestants[name].encoder_name(space)
        if name in WITH_PATHS and PATHS not in usual.split("+"):
            richer = Contestant(contestants[name].predictor, f"{usual}+{PATHS}")
            contestants[f"{name}, {PATHS}"] = richer
    return contestants, missing


if __name__ == "__main__":
    start(main)
