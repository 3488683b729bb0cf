"""Tell what a controller learns apart from what sharing weights does, on cells of NAS-Bench-201.

The two by two that Adam and Lorraine ("Understanding neural architecture search techniques",
arXiv:1904.00438) argue for: architectures are drawn by the controller that ENAS has trained, or
by one with the same first weights that was never taught, and are scored with the shared
weights that were trained under the controller, or under uniform sampling. With and without
the memory that regularises the controller. The benchmark's table is the truth.

    python scripts/controllers.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from _shared import parser, save, start

import weaknas
from weaknas.laboratory.statistics import bootstrap_interval, spearman_rho
from weaknas.laboratory.workers import run_tasks
from weaknas.spaces.nasbench201 import NASBench201
from weaknas.training import load_dataset

if TYPE_CHECKING:
    from weaknas.supernets.samplers.enas import ENAS
    from weaknas.supernets.trainer import SupernetTraining

Floats = npt.NDArray[np.float64]
DATASET, TABLE = "digits", "cifar10"
SKELETON = {"channels": 8, "cells": 1}
METHODS = ("enas", "memory")
PAIRED = 100  # architectures whose states are compared, as in the paper


@dataclass(frozen=True)
class Study:
    """One seed: three supernets, and what is drawn from the controllers of two."""

    work: Path
    epochs: int
    lessons: int
    draws: int

    def run(self, seed: int) -> dict[str, Any]:
        """Train, draw, score; return the facts of a seed."""
        trainings = {name: self._train(name, seed) for name in ("uniform", *METHODS)}
        facts: dict[str, Any] = {
            "seed": seed,
            "seconds": {name: training.seconds for name, training in trainings.items()},
        }
        for method in METHODS:
            taught: Any = trainings[method].sampler
            controllers = {"trained": taught, "untrained": self._sampler(method, seed)}
            networks = {"own": trainings[method], "uniform": trainings["uniform"]}
            facts[method] = {
                name: self._look(sampler, networks, seed) for name, sampler in controllers.items()
            }
        return facts

    def _sampler(self, method: str, seed: int) -> ENAS | None:
        from weaknas.supernets.samplers.enas import ENAS, MemoryENAS

        if method == "uniform":
            return None
        if method == "enas":
            return ENAS(NASBench201(), seed=seed, lessons=self.lessons)
        # As published, and earlier where there are few epochs.
        first = {"store_from": min(5, self.epochs // 2), "replay_from": min(10, self.epochs // 2)}
        return MemoryENAS(NASBench201(), seed=seed, lessons=self.lessons, **first)

    def _train(self, method: str, seed: int) -> SupernetTraining:
        from weaknas.supernets.trainer import DEFAULT, SupernetTrainer
        from weaknas.training.checkpoints import Checkpoint

        trainer = SupernetTrainer(
            NASBench201(),
            load_dataset(DATASET),
            replace(DEFAULT, epochs=self.epochs, warmup=min(DEFAULT.warmup, self.epochs)),
            method="single-path",
            sampler=self._sampler(method, seed),
            seed=seed,
            device="cpu",
            threads=1,
            skeleton=SKELETON,
        )
        path = self.work / f"{method}-{seed}.pt"
        trainer.checkpoint = Checkpoint(path, trainer.describe() | {"method": method})
        return trainer.run()

    def _look(
        self, sampler: Any, networks: dict[str, SupernetTraining], seed: int
    ) -> dict[str, Any]:
        """Return what there is to say of a controller."""
        sampler.begin(self.epochs + 1)
        drawn = sampler.draws(self.draws)
        truth = weaknas.get_benchmark("nasbench201", dataset=TABLE).true_scores(drawn)
        facts = {
            "mean_in_table": float(truth.mean()),
            "diversity": diversity(drawn),
            **states(sampler.controller, drawn, truth),
        }
        for name, training in networks.items():
            shared = score(training.network, drawn, seed)
            facts[f"weights_{name}"] = {
                "mean": float(shared.mean()),
                "best": float(shared.max()),
                "best_in_table": float(truth[shared.argmax()]),
                "spearman_with_table": spearman_rho(truth, shared),
            }
        return facts


def score(network: Any, genotypes: npt.NDArray[np.integer], seed: int) -> Floats:
    """Return accuracies on all validation images, shape (n,); equal genotypes are scored once."""
    import torch

    from weaknas.supernets.judging import Judge
    from weaknas.supernets.trainer import DEFAULT
    from weaknas.training.distributed import ALONE

    data = load_dataset(DATASET)
    whole = replace(DEFAULT, batch_size=len(data.validation))
    judge = Judge(data, torch.device("cpu"), whole, ALONE)
    rows, places = np.unique(genotypes, axis=0, return_inverse=True)
    found = judge.scores(network, rows, np.random.default_rng(seed))
    return np.asarray(found[places.reshape(-1)])


def diversity(genotypes: npt.NDArray[np.integer]) -> float:
    """Return the mean number of decisions in which two drawn genotypes, shape (n, d), differ."""
    rows = np.asarray(genotypes)
    total = 0.0
    for column in rows.T:
        shares = np.bincount(column) / len(rows)
        total += 1 - float((shares**2).sum())
    return total * len(rows) / (len(rows) - 1)


def states(controller: Any, genotypes: npt.NDArray[np.integer], truth: Floats) -> dict[str, Any]:
    """Return how much decisions depend on those before, and what the last states know.

    Dependence is the mean over decisions of the mutual information with those before in
    nats: of the divergence of ``p(a_t | a_<t)`` from its mean over drawn genotypes. The
    distance of the states after the last choice is correlated with the number of
    equal decisions, and with the difference of accuracy in the table.
    """
    import torch

    rows = torch.from_numpy(np.asarray(genotypes, dtype=np.int64))
    with torch.no_grad():
        chances = controller.log_probabilities(rows).exp().double()
        last = controller.states(rows[:PAIRED])[:, -1].double().numpy()
    marginal = chances.mean(0, keepdim=True)
    ratio = torch.where(chances > 0, chances / marginal, 1.0)
    dependence = float((chances * ratio.log()).sum(2).mean())
    one, two = np.triu_indices(len(last), 1)
    distances = np.linalg.norm(last[one] - last[two], axis=1)
    some = genotypes[:PAIRED]
    equal = (some[one] == some[two]).sum(axis=1)
    return {
        "dependence": dependence,
        "state_distance": float(distances.mean()),
        "distance_and_equal_decisions": spearman_rho(equal, distances),
        "distance_and_accuracy_difference": spearman_rho(
            np.abs(truth[one] - truth[two]), distances
        ),
    }


def summarize(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean of each figure over seeds, with its bootstrap interval."""

    def mean(values: list[Any]) -> Any:
        if isinstance(values[0], dict):
            return {name: mean([value[name] for value in values]) for name in values[0]}
        interval = [round(bound, 6) for bound in bootstrap_interval(values)]
        known = interval if np.isfinite(interval).all() else None
        return {"mean": round(float(np.mean(values)), 6), "ci95": known}

    return {method: mean([row[method] for row in rows]) for method in METHODS} | {
        "memory_less_enas": mean(
            [
                {
                    name: row["memory"]["trained"][name] - row["enas"]["trained"][name]
                    for name in ("distance_and_equal_decisions", "dependence", "diversity")
                }
                for row in rows
            ]
        ),
        "trained_less_untrained_in_table": mean(
            [
                {
                    method: row[method]["trained"]["mean_in_table"]
                    - row[method]["untrained"]["mean_in_table"]
                    for method in METHODS
                }
                for row in rows
            ]
        ),
    }


def show(summary: dict[str, Any]) -> None:
    """Print the table of the two by two."""

    def cell(value: dict[str, Any]) -> str:
        low, high = value["ci95"] or (np.nan, np.nan)
        return f"{value['mean']:.3g} [{low:.3g}, {high:.3g}]"

    for method in METHODS:
        for name, part in summary[method].items():
            print(f"{method}, {name} controller")
            for figure, value in part.items():
                if figure.startswith("weights_"):
                    for detail, each in value.items():
                        print(f"  {figure} {detail:22} {cell(each)}")
                else:
                    print(f"  {figure:38} {cell(value)}")
    for name in ("memory_less_enas", "trained_less_untrained_in_table"):
        for figure, value in summary[name].items():
            print(f"{name}: {figure} {cell(value)}")


def main() -> None:
    """Run the study, kept in the folder of runs, and print it."""
    options = parser(__doc__ or "")
    options.add_argument("--seeds", type=int, default=5)
    options.add_argument("--epochs", type=int, default=30)
    options.add_argument("--lessons", type=int, default=5, help="of ten draws, after each epoch")
    options.add_argument("--draws", type=int, default=1000, help="of each controller")
    arguments = options.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.epochs = 1, 2
        arguments.lessons, arguments.draws = 1, 10
    name = "controllers-quick" if arguments.quick else "controllers"
    study = Study(arguments.work / name, arguments.epochs, arguments.lessons, arguments.draws)
    seeds = [arguments.seed + number for number in range(arguments.seeds)]
    rows = sorted(run_tasks(study.run, seeds, arguments.jobs), key=lambda row: int(row["seed"]))
    summary = summarize(rows)
    show(summary)
    settings = {
        "dataset": DATASET,
        "table": TABLE,
        "skeleton": SKELETON,
        "epochs": study.epochs,
        "lessons": study.lessons,
        "draws": study.draws,
        "seeds": len(rows),
    }
    save(arguments, "controllers", {"settings": settings, "summary": summary, "runs": rows})


if __name__ == "__main__":
    start(main)
