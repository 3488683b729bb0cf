"""Derive recurrent cells from supernets on the text that Python ships, and retrain them.

Two supernets of the same space are trained: one draws cells uniformly, the other by ENAS'
controller. WeakNAS searches the first one; of the second the best of some draws of the
controller is taken, and for comparison the best of as many uniform draws under the uniform
weights. DARTS learns the weights of a sum of all cells, with a seed each, and derives the
strongest. What is derived, and random cells, are then trained alone, from scratch; the
perplexity is that of the last tenth of the text, by which nothing was chosen. The means of
draws of the trained controller and of uniform ones under both sets of weights separate what
the controller learnt from what sharing does to the weights (after Adam and Lorraine, 2019,
arXiv:1904.00438, experiment 1).

    python scripts/recurrent_text.py
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from _shared import parser, save, start

import weaknas
from weaknas.evaluators.supernet import SupernetEvaluator
from weaknas.evaluators.train import TrainEvaluator
from weaknas.laboratory.statistics import bootstrap_interval, kendall_tau
from weaknas.spaces import Architecture, Genotypes
from weaknas.spaces.recurrent import Recurrent
from weaknas.supernets.files import save_supernet
from weaknas.supernets.mixed.trainer import MixedTrainer
from weaknas.supernets.samplers.enas import ENAS
from weaknas.supernets.trainer import SupernetTrainer
from weaknas.training import Dataset, Protocol
from weaknas.training.checkpoints import Checkpoint
from weaknas.training.data.text import read_pydoc

NODES = 6
PROTOCOL = Protocol(
    batch_size=128,
    optimizer="adamw",
    learning_rate=8e-3,
    weight_decay=0.01,
    decay_all=False,
    warmup=0.5,
    gradient_clipping=1.0,
)
#: What --quick runs instead.
QUICK = {
    "epochs": 1,
    "epochs_alone": 1,
    "lessons": 1,
    "budget": 6,
    "derived": 2,
    "random": 2,
    "draws": 2,
    "width": 8,
    "fraction": 0.05,
}


def main() -> None:
    """Train both supernets, derive, retrain, and write a table."""
    options = parser(__doc__ or "")
    options.add_argument("--epochs", type=int, default=6, help="of each supernet")
    options.add_argument("--epochs-alone", type=int, default=3, help="of a cell alone")
    options.add_argument("--lessons", type=int, default=5, help="of the controller, an epoch")
    options.add_argument("--budget", type=int, default=16, help="queries of a search")
    options.add_argument("--derived", type=int, default=6, help="cells of each method")
    options.add_argument("--random", type=int, default=20, help="cells")
    options.add_argument("--draws", type=int, default=6, help="one of which is derived")
    options.add_argument("--alpha-rate", type=float, default=3e-3, help="of DARTS, as published")
    options.add_argument("--width", type=int, default=32)
    options.add_argument("--length", type=int, default=16, help="tokens of a window")
    options.add_argument("--fraction", type=float, default=1.0, help="of the training windows")
    arguments = options.parse_args()
    if arguments.quick:
        vars(arguments).update(QUICK)
    study = Study(arguments)
    begin = time.process_time()
    uniform, drawn = study.supernet("uniform"), study.supernet("enas")
    rng = np.random.default_rng([arguments.seed, 1])
    cells = {
        "weaknas": study.search(uniform),
        "enas": study.best_of_draws(drawn, drawn.draw),
        "uniform draws": study.best_of_draws(uniform, lambda n: study.space.sample(n, rng)),
        "darts": study.darts(),
        "random": study.space.architectures(study.space.sample(arguments.random, rng)),
    }
    facts = {name: study.retrain(found) for name, found in cells.items()}
    for name, part in facts.items():
        part["minus_random"] = difference(part["perplexities"], facts["random"]["perplexities"])
        low, high = part["ci95"]
        print(f"{name:>14}: {part['mean']:.2f} [{low:.2f}, {high:.2f}], n {len(part['cells'])}")
    everything = [cell for found in cells.values() for cell in found]
    alone = [value for part in facts.values() for value in part["perplexities"]]
    content = {
        "text": study.data.describe(),
        "space": study.space.describe(),
        "protocol": PROTOCOL.describe(),
        "settings": {name: vars(arguments)[name] for name in QUICK if name != "fraction"},
        "cells": facts,
        "controller": study.two_by_two(uniform, drawn),
        "kendall_tau_of_shared_weights": {
            name: float(kendall_tau(-np.array(alone), judge.scores(everything)))
            for name, judge in (("uniform", uniform), ("enas", drawn))
        },
        "cpu_seconds": time.process_time() - begin,
    }
    print(f"mean perplexity of draws under shared weights: {content['controller']}")
    print(f"Kendall's tau of shared weights: {content['kendall_tau_of_shared_weights']}")
    save(arguments, "recurrent-text", content)


class Shared:
    """A trained supernet: what scores cells, and who drew them."""

    def __init__(self, evaluator: SupernetEvaluator, sampler: Any) -> None:
        self.evaluator, self.sampler = evaluator, sampler

    def draw(self, n: int) -> Genotypes:
        """Draw from the controller as it is after the training."""
        drawn: Genotypes = self.sampler.draws(n)
        return drawn

    def scores(self, cells: Sequence[Architecture]) -> Any:
        """Return the scores of cells under the shared weights, shape (n,)."""
        return self.evaluator.scores(self.evaluator.space.genotypes(cells))


class Study:
    """Text, space and folder of the study."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.space = Recurrent(NODES)
        self.data = read_pydoc(length=arguments.length).part(arguments.fraction)
        name = "recurrent-text-quick" if arguments.quick else "recurrent-text"
        self.work: Path = arguments.work / name

    def supernet(self, method: str) -> Shared:
        """Train a supernet, or go on with it."""
        arguments, folder = self.arguments, self.work / method
        folder.mkdir(parents=True, exist_ok=True)
        sampler = ENAS(self.space, seed=arguments.seed, lessons=arguments.lessons)
        trainer = SupernetTrainer(
            self.space,
            self.data,
            PROTOCOL.with_options({"epochs": arguments.epochs}),
            sampler=sampler if method == "enas" else None,
            seed=arguments.seed,
            skeleton={"width": arguments.width},
            threads=1,
        )
        trainer.checkpoint = Checkpoint(folder / "checkpoint.pt", trainer.describe())
        training = trainer.run(
            progress=lambda so_far: print(method, len(so_far.losses), so_far.losses[-1], flush=True)
        )
        about = {"skeleton": trainer.skeleton}
        save_supernet(folder / "supernet.pt", training.network, about)
        judge = SupernetEvaluator(
            self.space, checkpoint=folder / "supernet.pt", dataset=self.data, device="cpu"
        )
        # What is drawn now does not depend on whether the training was cut short before.
        drawing: Any = training.sampler
        drawing.begin(arguments.epochs + 1)
        return Shared(judge, drawing)

    def darts(self) -> list[Architecture]:
        """Return the cells of the strongest activations of DARTS, with a seed each."""
        arguments, found = self.arguments, []
        for seed in range(arguments.seed, arguments.seed + arguments.derived):
            trainer = MixedTrainer(
                self.space,
                self.data,
                PROTOCOL.with_options({"epochs": arguments.epochs}),
                alpha_rate=arguments.alpha_rate,
                seed=seed,
                skeleton={"width": arguments.width},
                threads=1,
            )
            folder = self.work / f"darts-{seed}"
            folder.mkdir(parents=True, exist_ok=True)
            trainer.checkpoint = Checkpoint(folder / "checkpoint.pt", trainer.describe())
            training = trainer.run()
            print("darts", seed, training.probes, training.derived, flush=True)
            found.append(self.space.architecture(training.derived[-1]))
        return found

    def search(self, shared: Shared) -> list[Architecture]:
        """Return what WeakNAS derives, with a seed each."""
        found = []
        for seed in range(self.arguments.derived):
            strategy = weaknas.WeakNAS(self.space, seed=self.arguments.seed + seed)
            result = weaknas.run(strategy, shared.evaluator, self.arguments.budget)
            found.append(result.best.architecture)
        return found

    def best_of_draws(self, shared: Shared, draw: Any) -> list[Architecture]:
        """Return the best of some draws under the shared weights, several times."""
        found = []
        for _ in range(self.arguments.derived):
            rows = draw(self.arguments.draws)
            best = int(np.argmax(shared.evaluator.scores(rows)))
            found += self.space.architectures(rows[best : best + 1])
        return found

    def retrain(self, cells: Sequence[Architecture]) -> dict[str, Any]:
        """Train cells alone; return their perplexities on the test part, and the mean."""
        # Nothing is chosen by the test part: it takes the place of the validation part.
        tested: Dataset = replace(self.data, validation=self.data.test)
        evaluator = TrainEvaluator(
            self.space,
            dataset=tested,
            protocol=PROTOCOL.with_options(
                {"epochs": self.arguments.epochs_alone, "skeleton.width": self.arguments.width}
            ),
            device="cpu",
            folder=self.work / "alone",
        )
        values = []
        for cell in cells:
            evaluation = evaluator.evaluate(cell, seed=self.arguments.seed)
            values.append(evaluation.metrics.get("perplexity", float("nan")))
            print(cell.text, f"{values[-1]:.2f}", flush=True)
        return {
            "cells": [cell.text for cell in cells],
            "perplexities": values,
            "mean": float(np.mean(values)),
            "ci95": list(bootstrap_interval(values)),
        }

    def two_by_two(self, uniform: Shared, drawn: Shared) -> dict[str, dict[str, Any]]:
        """Return the mean validation perplexity of draws of both kinds under both weights."""
        count = 2 * self.arguments.draws
        rng = np.random.default_rng([self.arguments.seed, 2])
        rows = {"trained": drawn.draw(count), "uniform": self.space.sample(count, rng)}
        return {
            f"{kind} draws": {
                f"{name} weights": mean_perplexity(judge.evaluator.scores(part))
                for name, judge in (("uniform", uniform), ("enas", drawn))
            }
            | {"different": len(np.unique(self.space.fingerprint(part)))}
            for kind, part in rows.items()
        }


def mean_perplexity(scores: Any) -> dict[str, Any]:
    """Return mean and interval of the perplexities that scores are made of."""
    values = np.exp(-np.asarray(scores))
    return {"mean": float(values.mean()), "ci95": list(bootstrap_interval(values))}


def difference(found: Sequence[float], others: Sequence[float]) -> dict[str, Any]:
    """Return the difference of two means with its bootstrap interval of 95 %."""
    rng = np.random.default_rng(0)
    first, second = np.array(found), np.array(others)
    again = [
        rng.choice(first, len(first)).mean() - rng.choice(second, len(second)).mean()
        for _ in range(2000)
    ]
    low, high = np.quantile(again, [0.025, 0.975]).tolist()
    return {"mean": float(first.mean() - second.mean()), "ci95": [low, high]}


if __name__ == "__main__":
    start(main)
