"""Epochs that a child needs from its parent's weights and from none, on digits.

For each seed a random cell of NAS-Bench-201 is trained, the parent. Two children of it, each
different in one edge, are trained as long: one that has all of its parent (a convolution
where nothing was, or a larger kernel), which computes the same at first, and a random
mutation. Each is trained from the parent's weights and from random ones. What is counted is
the epochs until the validation accuracy is 95 %; a training that never has it counts as one
epoch more than it had.

    python scripts/inheritance.py --quick
    python scripts/inheritance.py
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _shared import parser, save, start

from weaknas.evaluators.inheritance import InheritingEvaluator
from weaknas.evaluators.train import TrainEvaluator, curve_of
from weaknas.laboratory.statistics import bootstrap_interval
from weaknas.registry import get_space
from weaknas.spaces import Architecture
from weaknas.training.checkpoints import Checkpoint
from weaknas.training.devices import choose_device
from weaknas.training.inheritance import inherit
from weaknas.training.measure import Examination

ENOUGH = 0.95
#: Operations that have all of another, by their indices: skips and pools nothing has.
_LARGER = {0: 3, 2: 3}


@dataclass(frozen=True)
class Study:
    """Trainings of parents and children, kept in a folder and continued from there.

    Parameters
    ----------
    work : Path
    epochs : int
    fraction : float
        Of the training images.
    """

    work: Path
    epochs: int
    fraction: float

    def run(self, seed: int) -> dict[str, Any]:
        """Train a parent and its children."""
        space, rng = get_space("nasbench201"), np.random.default_rng(seed)
        row = space.sample(1, rng)[0]
        while not set(_LARGER) & set(row.tolist()) or space.canonicalize(row[None])[0, 3] == 0:
            row = space.sample(1, rng)[0]
        larger = row.copy()
        place = int(rng.choice(np.flatnonzero(np.isin(row, list(_LARGER)))))
        larger[place] = _LARGER[int(row[place])]
        rows = {"larger": larger, "mutant": space.mutate(row[None], rng)[0]}
        (parent,) = space.architectures(row[None])
        folder = self.work / str(seed)
        first = self._evaluator(InheritingEvaluator, folder / "parent").evaluate(parent, seed=seed)
        found: dict[str, Any] = {"seed": seed, "parent": parent.text, "accuracy": first.score}
        for name, child in rows.items():
            (chosen,) = space.architectures(child[None])
            found[name] = {"architecture": chosen.text, **self._child(chosen, seed, folder, name)}
        return found

    def _child(self, child: Architecture, seed: int, folder: Path, name: str) -> dict[str, Any]:
        if not (folder / name).exists():
            shutil.copytree(folder / "parent", folder / name)
        inheriting = self._evaluator(InheritingEvaluator, folder / name)
        scratch = self._evaluator(TrainEvaluator, folder / f"{name}-scratch")
        at_first = self._accuracy_at_first(
            child, self._evaluator(TrainEvaluator, folder / "parent")
        )
        curves = [curve_of(each.evaluate(child, seed=seed + 1)) for each in (inheriting, scratch)]
        return {
            "at_first": at_first,
            "inherited": curves[0],
            "scratch": curves[1],
            "epochs": [self._epochs(curve) for curve in curves],
        }

    def _epochs(self, curve: list[float]) -> int:
        return next((e for e, value in enumerate(curve, 1) if value >= ENOUGH), self.epochs + 1)

    def _accuracy_at_first(self, child: Architecture, evaluator: TrainEvaluator) -> float:
        data = evaluator.dataset
        network = evaluator.space.network(
            child, classes=data.classes, shape=data.shape, **evaluator.protocol.skeleton()
        )
        (weights,) = evaluator.folder.glob("*.pt")
        saved = Checkpoint(weights, {"training": weights.stem}).load() or {}
        inherit(network, saved["network"])
        return Examination(data.validation, data, choose_device("cpu")).accuracy(network.eval())

    def _evaluator(self, kind: type[TrainEvaluator], folder: Path) -> TrainEvaluator:
        return kind(
            get_space("nasbench201"),
            epochs=self.epochs,
            fraction=self.fraction,
            folder=folder,
            device="cpu",
        )


def main() -> None:
    """Run the study and print it."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--seeds", type=int, default=8)
    arguments.add_argument("--epochs", type=int, default=8)
    options = arguments.parse_args()
    torch.set_num_threads(1)
    quick = options.quick
    work = options.work / ("inheritance-quick" if quick else "inheritance")
    study = Study(work, 1 if quick else options.epochs, 0.1 if quick else 1.0)
    seeds = range(options.seed, options.seed + (1 if quick else options.seeds))
    runs, summary = [study.run(seed) for seed in seeds], {}
    for name in ("larger", "mutant"):
        epochs = np.array([run[name]["epochs"] for run in runs])
        saved = epochs[:, 1] - epochs[:, 0]
        low, high = bootstrap_interval(saved)
        lost = max(abs(run[name]["at_first"] - run["accuracy"]) for run in runs)
        known = [None if np.isnan(bound) else round(float(bound), 2) for bound in (low, high)]
        summary[name] = {
            "inherited": float(epochs[:, 0].mean()),
            "scratch": float(epochs[:, 1].mean()),
            "saved": {"mean": float(saved.mean()), "ci95": known},
            "largest_change_at_first": lost,
        }
        print(
            f"{name:7} epochs to {ENOUGH:.0%}: {epochs[:, 0].mean():.2f} inherited,"
            f" {epochs[:, 1].mean():.2f} from scratch, {saved.mean():.2f} {known} saved;"
            f" accuracy at first is within {100 * lost:.1f} points of the parent's"
        )
    settings = {"epochs": study.epochs, "enough": ENOUGH}
    save(options, "inheritance", {**settings, "summary": summary, "runs": runs})


if __name__ == "__main__":
    start(main)
