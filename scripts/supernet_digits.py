"""Train supernets on digits, search one under a limit of MACs, and train what it found alone.

An elastic MobileNetV3 for 8 x 8 pixels is trained by the sandwich rule. WeakNAS searches
it in a narrow window of multiply-adds, with several seeds. The winners and random
architectures of the same window are then trained alone, in the same way, and tested; with
random architectures of any size this also tells how weight sharing ranks. For
NAS-Bench-201 a single-path supernet on digits is compared with the benchmark's table.

    python scripts/supernet_digits.py
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from _shared import parser, save, start

import weaknas
from weaknas.evaluators.supernet import SupernetEvaluator
from weaknas.files import write_json
from weaknas.laboratory.statistics import bootstrap_interval, kendall_tau
from weaknas.reports import plots
from weaknas.spaces import Architecture, ConstrainedSpace, SearchSpace
from weaknas.spaces.mobilenetv3 import MobileNetV3
from weaknas.spaces.nasbench201 import NASBench201
from weaknas.supernets.files import save_supernet
from weaknas.supernets.trainer import DEFAULT, SupernetTrainer
from weaknas.training import Dataset, Protocol, load_dataset
from weaknas.training.checkpoints import Checkpoint

DATASET = "digits"
CELLS = {"channels": 16, "cells": 1}
ALONE = Protocol(
    epochs=6,
    batch_size=64,
    weight_decay=3e-5,
    decay_all=False,
    warmup=1.0,
    gradient_clipping=1.0,
    channels_last=True,
)
#: What --quick runs instead.
QUICK = {
    "epochs": 1,
    "epochs_cells": 1,
    "epochs_alone": 1,
    "budget": 6,
    "random": 3,
    "searches": 2,
    "trainings": 1,
    "width": 0.1,
    "scored": 8,
    "limit": 6e5,
}


def main() -> None:
    """Run all parts, each kept in the folder of runs, and write a table and a figure."""
    options = parser(__doc__ or "")
    options.add_argument("--epochs", type=int, default=30, help="of the elastic supernet")
    options.add_argument("--epochs-cells", type=int, default=200, help="of that of cells")
    options.add_argument("--epochs-alone", type=int, default=ALONE.epochs)
    options.add_argument("--budget", type=int, default=30, help="queries of the search")
    options.add_argument("--random", type=int, default=30, help="architectures of each kind")
    options.add_argument("--searches", type=int, default=10, help="each has a winner")
    options.add_argument("--trainings", type=int, default=3, help="of an architecture alone")
    options.add_argument("--width", type=float, default=0.25)
    options.add_argument("--scored", type=int, default=100, help="cells compared with the table")
    options.add_argument(
        "--limit", type=float, default=2e6, help="of multiply-adds; at least 90 %% of it are used"
    )
    arguments = options.parse_args()
    if arguments.quick:
        vars(arguments).update(QUICK)
    work = arguments.work / ("supernet-digits-quick" if arguments.quick else "supernet-digits")
    part = elastic(arguments, work)
    cells = single_path(arguments, work)
    save(arguments, "supernet-digits", {"mobilenetv3": part, "nasbench201": cells})
    plots.save(figure(part, cells), arguments.results / "supernet-digits", forms=("png",))


# -- the elastic MobileNetV3 ----------------------------------------------------------------


def elastic(arguments: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Train, search, train alone."""
    space = MobileNetV3(arguments.width, 8, classes=10, channels=1)
    training = train_supernet(space, work / "mobilenetv3", arguments.epochs, arguments.seed, {})
    judge = SupernetEvaluator(
        space, checkpoint=work / "mobilenetv3" / "supernet.pt", calibration=500
    )
    window = f"{0.9 * arguments.limit:.0f}<=macs<={arguments.limit:.0f}"
    limited = ConstrainedSpace(space, [window])
    begin = time.perf_counter()
    winners = search(limited, judge, arguments, work / "searches")
    seconds = (time.perf_counter() - begin) / arguments.searches

    rng = np.random.default_rng([arguments.seed, 1])
    alike = draw(limited, arguments.random, rng)
    anything = draw(space, arguments.random, rng)
    alone = Alone(space, replace(ALONE, epochs=arguments.epochs_alone), work / "alone")

    def tested(architectures: Sequence[Architecture]) -> list[float]:
        seeds = range(arguments.seed, arguments.seed + arguments.trainings)
        return [float(np.mean([alone(a, seed) for seed in seeds])) for a in architectures]

    best, same, other = tested(winners), tested(alike), tested(anything)
    gain, gain_interval = difference(best, same)
    facts: dict[str, Any] = {
        "space": space.describe(),
        "supernet": training,
        "search": {"window": window, "budget": arguments.budget, "seconds": seconds},
        "alone": {
            "protocol": alone.protocol.describe(),
            "trainings": arguments.trainings,
            "test_images": len(alone.data.test),
        },
        "winners": {
            "architectures": [architecture.text for architecture in winners],
            "macs": space.macs(space.genotypes(winners)).tolist(),
        }
        | summary(best),
        "random_of_the_same_macs": summary(same),
        "winners_minus_random": {"mean": gain, "ci95": gain_interval},
    }
    for name, kind, accuracies in (
        ("ranking_of_the_same_macs", alike, same),
        ("ranking_of_any_macs", anything, other),
    ):
        scores = judge.scores(space.genotypes(kind)).tolist()
        tau, interval = correlation(scores, accuracies)
        by_macs, _ = correlation(space.macs(space.genotypes(kind)).tolist(), accuracies)
        facts[name] = {
            "kendall_tau": tau,
            "ci95": interval,
            "kendall_tau_of_macs": by_macs,
            "shared": scores,
            "alone": accuracies,
        }
        print(f"{name}: Kendall's tau {tau:.2f} [{interval[0]:.2f}, {interval[1]:.2f}]")
    print(
        f"winners {np.mean(best):.4f}, random of the same MACs {np.mean(same):.4f},"
        f" difference {gain:.4f} [{gain_interval[0]:.4f}, {gain_interval[1]:.4f}]"
    )
    return facts


def search(
    space: SearchSpace, judge: SupernetEvaluator, arguments: argparse.Namespace, work: Path
) -> list[Architecture]:
    """Return the winner of each search."""
    winners = []
    for run in range(arguments.searches):
        strategy = weaknas.WeakNAS(
            space, initial=min(20, arguments.budget // 2), seed=arguments.seed + run
        )
        result = weaknas.run(strategy, judge, arguments.budget, output=work / str(run))
        winners.append(result.best.architecture)
        print(f"search {run}: {result.best.score:.4f} {winners[-1].text}", flush=True)
    return winners


class Alone:
    """Trains architectures by themselves and tests them; what is done is kept in a folder."""

    def __init__(
        self, space: SearchSpace, protocol: Protocol, folder: Path, data: Dataset | None = None
    ) -> None:
        self.space, self.protocol, self.folder = space, protocol, folder
        self.data = load_dataset(DATASET) if data is None else data

    def __call__(self, architecture: Architecture, seed: int) -> float:
        """Return the accuracy on the test split, a fraction."""
        from weaknas.training.measure import Examination
        from weaknas.training.trainer import Trainer

        made = [architecture.text, self.space.describe(), self.protocol.describe(), seed]
        name = hashlib.blake2b(json.dumps(made).encode(), digest_size=8).hexdigest()
        file = self.folder / f"{name}.json"
        if not file.exists():
            data = self.data
            trainer = Trainer(
                lambda: self.space.network(architecture, classes=data.classes, shape=data.shape),
                data,
                self.protocol,
                seed=seed,
                threads=1,
            )
            training = trainer.run()
            examination = Examination(data.test, data, trainer.device)
            accuracy = examination.accuracy(training.network)
            write_json(file, {"architecture": architecture.text, "accuracy": accuracy})
            print(f"alone: {accuracy:.4f} {architecture.text}", flush=True)
        return float(json.loads(file.read_text())["accuracy"])


# -- cells of NAS-Bench-201 -----------------------------------------------------------------


def single_path(arguments: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Train a single-path supernet on digits; compare its ranking with the table's."""
    space = NASBench201()
    folder = work / "nasbench201"
    training = train_supernet(space, folder, arguments.epochs_cells, arguments.seed, CELLS)
    judge = SupernetEvaluator(space, checkpoint=folder / "supernet.pt")
    rng = np.random.default_rng([arguments.seed, 2])
    cells = space.genotypes(draw(space, arguments.scored, rng))
    scores = judge.scores(cells).tolist()
    facts: dict[str, Any] = {"supernet": training, "cells": len(cells)}
    for dataset in ("cifar10", "cifar100", "imagenet16-120"):
        table = weaknas.get_benchmark("nasbench201", dataset=dataset)
        tau, interval = correlation(scores, table.true_scores(cells).tolist())
        facts[dataset] = {"kendall_tau": tau, "ci95": interval}
        print(f"NAS-Bench-201, {dataset}: tau {tau:.2f} [{interval[0]:.2f}, {interval[1]:.2f}]")
    return facts


# -- shared ---------------------------------------------------------------------------------


def train_supernet(
    space: SearchSpace, folder: Path, epochs: int, seed: int, skeleton: dict[str, Any]
) -> dict[str, Any]:
    """Train a supernet, or continue; return what there is to say of it."""
    protocol = replace(DEFAULT, epochs=epochs, warmup=min(DEFAULT.warmup, epochs))
    data = load_dataset(DATASET)
    options: dict[str, Any] = {"random": 1, "seed": seed, "threads": 1}
    trainer = SupernetTrainer(space, data, protocol, skeleton=skeleton, **options)
    trainer.checkpoint = Checkpoint(folder / "checkpoint.pt", trainer.describe())
    training = trainer.run(progress=lambda t: print(report(space.name, t), flush=True))
    save_supernet(
        folder / "supernet.pt", training.network, {"dataset": DATASET, "skeleton": skeleton}
    )
    return {
        "method": trainer.phases[0].name,
        "epochs": len(training.losses),
        "seconds": training.seconds,
        "probes": {name: curve[-1] for name, curve in training.probes.items()},
    }


def report(name: str, training: Any) -> str:
    """Return a line of progress."""
    accuracies = [f"{curve[-1]:.3f}" for curve in training.probes.values()]
    return f"{name}, epoch {len(training.losses)}: {', '.join(accuracies)}"


def draw(space: SearchSpace, count: int, rng: np.random.Generator) -> list[Architecture]:
    """Return different random architectures."""
    found: dict[str, Architecture] = {}
    while len(found) < count:
        for architecture in space.architectures(space.canonicalize(space.sample(count, rng))):
            found.setdefault(architecture.id, architecture)
    return list(found.values())[:count]


def summary(accuracies: Sequence[float]) -> dict[str, Any]:
    """Return mean, interval and all values."""
    interval = list(bootstrap_interval(accuracies))
    return {"mean": float(np.mean(accuracies)), "ci95": interval, "accuracies": list(accuracies)}


def difference(first: Sequence[float], second: Sequence[float]) -> tuple[float, list[float]]:
    """Return the difference of the means and its bootstrap interval, both sides resampled."""
    one, two = np.array(first), np.array(second)

    def mean(rng: np.random.Generator) -> float:
        return float(rng.choice(one, len(one)).mean() - rng.choice(two, len(two)).mean())

    return float(one.mean() - two.mean()), percentiles(mean)


def correlation(first: Sequence[float], second: Sequence[float]) -> tuple[float, list[float]]:
    """Return Kendall's tau and its bootstrap interval over architectures."""
    one, two = np.array(first), np.array(second)

    def tau(rng: np.random.Generator) -> float:
        rows = rng.integers(len(one), size=len(one))
        return kendall_tau(one[rows], two[rows])

    return kendall_tau(one, two), percentiles(tau)


def percentiles(statistic: Callable[[np.random.Generator], float]) -> list[float]:
    """Return the 95 % percentile interval of what 2,000 resamplings give."""
    rng = np.random.default_rng(0)
    low, high = np.percentile([statistic(rng) for _ in range(2000)], [2.5, 97.5])
    return [float(low), float(high)]


def figure(part: dict[str, Any], cells: dict[str, Any]) -> Any:
    """Draw accuracy alone over accuracy in the supernet, and the accuracies alone."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(7.4, 3.2), layout="constrained")
    left, right = drawn.subplots(1, 2)
    for name, label in (("any_macs", "any size"), ("the_same_macs", "MACs of the winners")):
        ranking = part[f"ranking_of_{name}"]
        tau = f"{label}, tau {ranking['kendall_tau']:.2f}"
        left.plot(ranking["shared"], ranking["alone"], "o", ms=4, label=tau)
    left.set(xlabel="accuracy in the supernet", ylabel="test accuracy, trained alone")
    rows = {"winners": part["winners"], "random,\nsame MACs": part["random_of_the_same_macs"]}
    for place, row in enumerate(rows.values()):
        right.plot([place] * len(row["accuracies"]), row["accuracies"], "o", ms=3, alpha=0.5)
        low, high = row["ci95"]
        right.errorbar(
            place + 0.15, row["mean"], [[row["mean"] - low], [high - row["mean"]]], fmt="ks", ms=4
        )
    right.set_xticks(range(len(rows)), list(rows))
    right.set_xlim(-0.5, 1.5)
    right.set_ylabel("test accuracy, trained alone")
    left.legend(frameon=False, fontsize=8)
    for axis in (left, right):
        axis.grid(color="#dddddd", lw=0.6)
    return drawn


if __name__ == "__main__":
    start(main)
