"""How far a ranking of cells outlives another seed, another depth, another operation.

After "NAS evaluation is frustratingly hard" (Yang, Esperanca and Carlucci, ICLR 2020,
arXiv:1912.12522), at small scale: the same random cells of NAS-Bench-201 are
trained alone on digits, again with another seed, deeper, and with every 3x3 convolution
replaced by a 1x1. Beside it, what the benchmark's table says of two of its own seeds.

    python scripts/depth_and_seed.py
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from _shared import parser, save, start

import weaknas
from weaknas.evaluators.train import TrainEvaluator
from weaknas.laboratory.statistics import bootstrap_interval, kendall_tau
from weaknas.laboratory.workers import run_tasks
from weaknas.spaces import Genotypes
from weaknas.spaces.nasbench201 import NASBench201
from weaknas.spaces.nasbench201.cell import OPERATIONS

Floats = npt.NDArray[np.float64]
DATASET, TABLE = "digits", "cifar10"
#: As the paper says, and as the authors' files give it: Kendall's tau and pairs.
PUBLISHED = {
    "seed": {"text": 0.48, "pairs": 32, "files": 0.58, "pairs_in_files": 24},
    "depth": {"text": 0.54, "pairs": 32, "files": 0.535, "pairs_in_files": 32},
}
#: Cells in each of the three stages.
DEPTHS = {"shallow": 1, "deep": 2}
#: Depth and seed of the trainings of each cell.
TRAININGS = (("shallow", 0), ("shallow", 1), ("deep", 0))
_RESAMPLES = 2000


@dataclass(frozen=True)
class Study:
    """Trainings of cells, kept in a folder."""

    work: Path
    epochs: int

    def run(self, task: tuple[str, str, int]) -> tuple[tuple[str, str, int], float]:
        """Train a cell at a depth with a seed; return the task and the validation accuracy."""
        cell, depth, seed = task
        evaluator = self.evaluator(depth)
        architecture = evaluator.space.architecture(cell)
        return task, evaluator.evaluate(architecture, seed=seed).score

    def evaluator(self, depth: str) -> TrainEvaluator:
        """Return what trains at a depth."""
        return TrainEvaluator(
            NASBench201(),
            dataset=DATASET,
            epochs=self.epochs,
            channels=8,
            cells=DEPTHS[depth],
            batch_size=64,
            device="cpu",
            folder=self.work / depth,
        )


def draw(count: int, seed: int) -> Genotypes:
    """Return different cells whose output gets something, canonical, shape (count, 6)."""
    space = NASBench201()
    drawn = space.canonicalize(space.sample(20 * count, np.random.default_rng(seed)))
    empty = int(space.fingerprint(np.zeros((1, 6), dtype=np.int16))[0])
    codes = space.fingerprint(drawn)
    _, first = np.unique(codes, return_index=True)
    kept = [place for place in np.sort(first).tolist() if codes[place] != empty]
    # A 3x3 convolution somewhere, so that there is one to replace.
    some = [place for place in kept if (drawn[place] == OPERATIONS.index("nor_conv_3x3")).any()]
    return drawn[some[:count]]


def agreement(first: Floats, second: Floats) -> dict[str, Any]:
    """Return Kendall's tau of two rankings of cells, and the mean change, with intervals."""
    change = second - first
    rng = np.random.default_rng(0)
    rows = rng.integers(len(first), size=(_RESAMPLES, len(first)))
    taus = [kendall_tau(first[r], second[r]) for r in rows]
    return {
        "kendall_tau": kendall_tau(first, second),
        "ci95": np.percentile(taus, [2.5, 97.5]).tolist(),
        "mean_change": float(change.mean()),
        "mean_change_ci95": list(bootstrap_interval(change)),
        "mean_absolute_change": float(np.abs(change).mean()),
    }


def table_agreement(cells: npt.NDArray[np.integer], count: int) -> dict[str, Any]:
    """Return how two trainings of the table agree, of these cells and of many."""
    table = weaknas.get_benchmark("nasbench201", dataset=TABLE, labels="one-seed")
    many = table.space.sample(count, np.random.default_rng(0))

    def scores(genotypes: npt.NDArray[np.integer], seed: int) -> Floats:
        architectures = table.space.architectures(genotypes)
        return np.array([table.evaluate(a, seed=seed).score for a in architectures])

    return {
        "these_cells": agreement(scores(cells, 0), scores(cells, 1)),
        f"{count}_random_cells": kendall_tau(scores(many, 0), scores(many, 1)),
    }


def main() -> None:
    """Train what is not trained yet, and print how rankings agree."""
    options = parser(__doc__ or "")
    options.add_argument("--cells", type=int, default=16)
    options.add_argument("--epochs", type=int, default=3)
    options.add_argument("--table-cells", type=int, default=300, help="random ones, of the table")
    arguments = options.parse_args()
    if arguments.quick:
        arguments.cells, arguments.epochs, arguments.table_cells = 2, 1, 20
    name = "depth-and-seed-quick" if arguments.quick else "depth-and-seed"
    study = Study(arguments.work / name, arguments.epochs)
    space, cells = NASBench201(), draw(arguments.cells, arguments.seed)
    conv3, conv1 = OPERATIONS.index("nor_conv_3x3"), OPERATIONS.index("nor_conv_1x1")
    swapped = np.where(cells == conv3, conv1, cells)
    texts = [space.format(cell) for cell in cells]
    others = [space.format(cell) for cell in swapped]
    tasks = []  # one cell after the other: with more of them, the first ones stay the same
    for cell, other in zip(texts, others, strict=True):
        tasks += [(cell, depth, seed) for depth, seed in TRAININGS] + [(other, *TRAININGS[0])]
    done = dict(run_tasks(study.run, list(dict.fromkeys(tasks)), arguments.jobs))

    def accuracies(names: list[str], depth: str, seed: int) -> Floats:
        return np.array([done[cell, depth, seed] for cell in names])

    first, again, deep = (accuracies(texts, depth, seed) for depth, seed in TRAININGS)
    swap = accuracies(others, *TRAININGS[0])
    result: dict[str, Any] = {
        "seed": agreement(first, again),
        "depth": agreement(first, deep),
        "conv_3x3_to_1x1": agreement(first, swap),
    }
    for label, found in result.items():
        low, high = found["ci95"]
        print(
            f"{label:18} tau {found['kendall_tau']:.2f} [{low:.2f}, {high:.2f}],"
            f" change {100 * found['mean_change']:.2f} points"
        )
    result["table"] = table_agreement(cells, arguments.table_cells)
    print(f"table, two seeds: tau {result['table']['these_cells']['kendall_tau']:.2f}")
    for label, numbers in PUBLISHED.items():
        print(f"published, {label}: {numbers['text']} in the text, {numbers['files']} by its files")
    save(
        arguments,
        "depth-and-seed",
        {
            "evaluator": {depth: study.evaluator(depth).describe() for depth in DEPTHS},
            "depths": DEPTHS,
            "cells": texts,
            "accuracies": {
                "first": first.tolist(),
                "other_seed": again.tolist(),
                "deep": deep.tolist(),
                "conv_3x3_to_1x1": swap.tolist(),
            },
            "agreement": result,
            "published": PUBLISHED,
        },
    )


if __name__ == "__main__":
    start(main)
