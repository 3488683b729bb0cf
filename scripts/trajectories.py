"""Print what seeded searches propose, to compare before and after a change of the code.

Each line has the name of a search, the number of its trials, a digest of their genotypes
in order, and the seconds of the strategy. Two outputs of the same machine and versions
differ only where the behaviour does:

    WEAKNAS_DATA=... python scripts/trajectories.py > before.txt
"""

from __future__ import annotations

import argparse
import hashlib
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import optuna

import weaknas

MOBILENET = "mobilenetv3:width=1.2:resolution=236"


def searched(
    space: Any, evaluator: Any, budget: int, strategy: str = "weaknas", **options: Any
) -> list[Sequence[int]]:
    """Return the genotypes that a strategy proposes, in order."""
    made = weaknas.get_strategy(strategy, space, seed=3, **options)
    trials = weaknas.run(made, evaluator, budget).trials
    return [trial.architecture.genotype for trial in trials]


def table(name: str, dataset: str, budget: int, **options: Any) -> list[Sequence[int]]:
    """Search a benchmark."""
    benchmark = weaknas.get_benchmark(name, dataset=dataset)
    return searched(benchmark.space, benchmark, budget, **options)


def mobilenet(budget: int, **options: Any) -> list[Sequence[int]]:
    """Search the MobileNet space by once-for-all's accuracy predictor, with a limit."""
    from weaknas.runs.problem import build_problem

    problem = build_problem(MOBILENET, "ofa-predictor:resolution=224", constraints=("macs<=600e6",))
    return searched(problem.space, problem.evaluator, budget, **options)


def weighted(architecture: Any) -> float:
    """Score an architecture by a smooth function of its decisions."""
    values = np.array(architecture.genotype, dtype=float)
    return float(np.cos(values[:-1] - values[1:]).sum() - 0.1 * abs(values - 1.5).sum())


def choices(decisions: int, values: int, budget: int) -> list[Sequence[int]]:
    """Search a plain product of choices."""
    space = weaknas.ChoiceSpace({f"x{i}": range(values) for i in range(decisions)}, name="made-up")
    return searched(space, weighted, budget)


def sampler(budget: int) -> list[tuple[str, ...]]:
    """Search with the sampler for Optuna, in a space with a condition."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=weaknas.WeakNASSampler(seed=3))

    def objective(trial: Any) -> float:
        depth = trial.suggest_int("depth", 1, 4)
        rate = trial.suggest_float("rate", 1e-4, 1e-1, log=True)
        kinds = [trial.suggest_categorical(f"kind{i}", ["a", "b", "c"]) for i in range(4)]
        return float(depth + kinds.count("b") - np.log10(rate) ** 2)

    study.optimize(objective, n_trials=budget)
    return [tuple(map(str, trial.params.items())) for trial in study.trials]


SEARCHES: Mapping[str, Callable[[], Iterable[Any]]] = {
    "nasbench201-cifar10": lambda: table("nasbench201", "cifar10", 60),
    "nasbench201-cifar100": lambda: table("nasbench201", "cifar100", 60),
    "nasbench201-imagenet16-120": lambda: table("nasbench201", "imagenet16-120", 60),
    "nasbench101": lambda: table("nasbench101", "cifar10", 60),
    "graph": lambda: table("graph", "cora", 40),
    "mobilenetv3-limit": lambda: mobilenet(60),
    "choices-listed": lambda: choices(5, 4, 40),
    "choices-huge": lambda: choices(30, 5, 60),
    "objectives": lambda: table("nasbench201", "cifar100", 40, objectives=["macs"]),
    "objectives-mobilenetv3": lambda: mobilenet(60, objectives=["macs"]),
    "paper-xgboost": lambda: table(
        "nasbench201", "cifar100", 40, preset="paper", predictor="xgboost"
    ),
    "paper-mobilenetv3": lambda: mobilenet(250, preset="paper", predictor="bayesian-ridge"),
    "optuna-sampler": lambda: sampler(40),
    "top-n-decay": lambda: table(
        "nasbench201", "cifar10", 60, acquisition="top-n-decay", predictor="bayesian-ridge"
    ),
    "halved-top": lambda: table("nasbench201", "cifar10", 60, acquisition="halved-top"),
    "thompson": lambda: table("nasbench201", "cifar10", 40, acquisition="thompson"),
    "ucb": lambda: table("nasbench201", "cifar10", 40, acquisition="ucb"),
    "local-search": lambda: table("nasbench201", "cifar10", 100, strategy="local-search"),
    "regularized-evolution": lambda: table(
        "nasbench201", "cifar10", 100, strategy="regularized-evolution"
    ),
    "bananas": lambda: table("graph", "cora", 40, strategy="npenas"),
    "hyperband": lambda: table("nasbench101", "cifar10", 100, strategy="hyperband"),
    "optuna-tpe": lambda: table("nasbench201", "cifar10", 60, strategy="optuna-tpe"),
}


def main() -> None:
    """Run every search, or those that are named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("searches", nargs="*", help=f"default: all of {', '.join(SEARCHES)}")
    warnings.simplefilter("ignore")
    for name in parser.parse_args().searches or SEARCHES:
        started = time.process_time()
        genotypes = list(SEARCHES[name]())
        digest = hashlib.sha256(repr(genotypes).encode()).hexdigest()[:16]
        print(f"{name:28} {len(genotypes):4} {digest} {time.process_time() - started:7.2f} s")


if __name__ == "__main__":
    main()
