"""Search three spaces with every family of predictors: queries to the optimum, seconds.

NAS-Bench-201 on cifar100, NAS-Bench-Graph on cora, and NAS-Bench-101 where its table is
at hand. All searches take ten architectures a round and look at candidates by expected
improvement, which for a predictor without uncertainty is its order. Run it again to
continue where it was cut short:

    python scripts/search_predictors.py --jobs 2
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from _shared import parser, run, save, start

from weaknas.errors import InputError
from weaknas.registry import get_benchmark, get_predictor

#: Space to data set and budget.
SPACES = {
    "nasbench201": ("cifar100", 100),
    "nasbench101": ("cifar10", 100),
    "graph": ("cora", 100),
}
FAMILIES = {
    "Gaussian process": ("gp",),
    "kernels": ("kernel-ridge", "svr"),
    "linear": ("bayesian-ridge", "pairwise-ridge"),
    "neighbours": ("nearest-neighbors",),
    "forests": ("random-forest", "extra-trees"),
    "boosting": ("xgboost", "xgboost-ranking", "histogram-boosting"),
    "networks": ("mlp", "deep-ensemble", "bayesian-last-layer"),
    "graph networks": ("gcn", "graph-transformer", "pairwise-relation"),
    "semi-supervised": ("self-training",),
    "combinations": ("ensemble", "stacking", "auto"),
}
#: What takes seconds a fit.
SLOW = ("mlp", "self-training", *FAMILIES["graph networks"], *FAMILIES["combinations"])


def main() -> None:
    """Run all searches and write one table."""
    options = parser(__doc__ or "")
    options.add_argument("--runs", type=int, default=20)
    options.add_argument("--slow-runs", type=int, default=3, help="of predictors that are slow")
    options.add_argument("--batch-size", type=int, default=10)
    options.add_argument("--budget", type=int, default=None, help="default: by space")
    options.add_argument("--spaces", nargs="+", default=list(SPACES))
    options.add_argument("--predictors", nargs="+", default=sum(FAMILIES.values(), ()))
    arguments = options.parse_args()
    if arguments.quick:
        arguments.runs = arguments.slow_runs = 2
        arguments.budget, arguments.spaces = 20, ["nasbench201"]
        arguments.predictors = ("gp", "bayesian-ridge")
    labels, missing = build(arguments.predictors, arguments.batch_size)
    slow = min(arguments.runs, arguments.slow_runs)
    summaries = []
    for space in arguments.spaces:
        dataset, budget = SPACES[space]
        try:
            get_benchmark(space, dataset=dataset)
        except (ImportError, InputError) as error:
            missing[space] = str(error)
            print(f"{space} is left out: {error}")
            continue
        summary, _ = run(
            arguments,
            f"search-predictors-{space}",
            list(labels),
            space=space,
            datasets=[dataset],
            runs=arguments.runs,
            budget=arguments.budget or budget,
            runs_of={label: slow for label, name in labels.items() if name in SLOW},
        )
        summaries.append(summary)
    content = {"rows": rows(labels, summaries), "summaries": summaries, "missing": missing}
    save(arguments, "search-predictors", {"batch_size": arguments.batch_size, **content})


def build(predictors: Sequence[str], batch_size: int) -> tuple[dict[str, str], dict[str, str]]:
    """Return predictors by label of the search, and why others are left out."""
    labels, missing = {}, {}
    for name in predictors:
        try:
            get_predictor(name)
        except ImportError as error:
            missing[name] = str(error)
        else:
            labels[f"weaknas:predictor={name}:batch_size={batch_size}"] = name
    return labels, missing


def rows(labels: Mapping[str, str], summaries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a row a predictor, with what it needed on each space."""
    family = {name: kind for kind, names in FAMILIES.items() for name in names}
    found: dict[str, dict[str, Any]] = {
        name: {"family": family.get(name, name), "predictor": name, "spaces": {}}
        for name in labels.values()
    }
    for summary in summaries:
        for item in summary["strategies"]:
            cell = {
                key: item[key]
                for key in ("runs", "found_rate", "queries_to_optimum", "seconds_per_run")
            }
            cell["regret"] = item["regret_at"][str(summary["budget"])]["mean"]
            found[labels[item["strategy"]]]["spaces"][summary["space"]] = cell
    return list(found.values())


if __name__ == "__main__":
    start(main)
