"""Augmentation policies and activations searched on digits, alone and together with a network.

Validation and test images are digits that were turned by up to 20 degrees and shifted by up
to a pixel of eight either way; those trained on were not.

- Policies: for each seed a search for two sub-policies, one for RandAugment's two numbers
  with as many trainings, and none, in the same residual network.
- Activations: one search; what it returns, ReLU and SiLU are trained with ten seeds.
- Together: for each seed a search for a cell of NAS-Bench-201 and RandAugment's numbers at
  once, against half of the trainings for the cell and then half for the numbers.

Everything that is compared is trained anew, with a seed of its own that no search used, and
tested on images that no search saw.

    python scripts/policies.py --quick
    python scripts/policies.py
    python scripts/policies.py --parts together    # one part alone, in a file of its own
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _shared import parser, save, start

from weaknas.evaluators.train import TrainEvaluator
from weaknas.files import write_json
from weaknas.laboratory.statistics import bootstrap_interval
from weaknas.registry import get_space
from weaknas.runs.runner import run
from weaknas.search.strategy import WeakNAS
from weaknas.spaces import ProductSpace, SearchSpace, SubsetSpace
from weaknas.training import Dataset, load_dataset
from weaknas.training.data import Images
from weaknas.training.export import read_card
from weaknas.training.final import train_final
from weaknas.training.policies import transform_affinely

PARTS = ("policies", "activations", "together")
ANGLE, SHIFT = 20.0, 1.0  # degrees, pixels
_FINAL = 1000  # added to the seed of a search for the training of what it returns
RELU, SILU = "a=x,b=max(x;0),binary=max(a;b)", "a=x,b=x,binary=sigmoid(a)*b"


@cache
def moved_digits() -> Dataset:
    """Return digits whose validation and test images are turned and shifted at random."""
    digits = load_dataset("digits")
    validation, test = _moved(digits.validation, 1), _moved(digits.test, 2)
    return replace(digits, name="digits-moved", validation=validation, test=test)


def _moved(split: Any, seed: int) -> Images:
    rng = np.random.default_rng(seed)
    count = len(split)
    angle = torch.tensor(np.radians(rng.uniform(-ANGLE, ANGLE, count)), dtype=torch.float32)
    right, down = torch.tensor(rng.uniform(-SHIFT, SHIFT, (2, count)), dtype=torch.float32)
    matrix = ((angle.cos(), -angle.sin(), right), (angle.sin(), angle.cos(), down))
    pixels = transform_affinely(torch.tensor(split.pixels).float(), matrix)
    return Images(pixels.round().to(torch.uint8).numpy(), split.labels)


@dataclass(frozen=True)
class Study:
    """Searches and trainings, kept in a folder and continued from there.

    Parameters
    ----------
    work : Path
    budget : int
        Trainings of a search for a policy; of one together with a cell, half as many more.
    epochs : int
        Of each training.
    """

    work: Path
    budget: int
    epochs: int

    def evaluator(self, space: SearchSpace) -> TrainEvaluator:
        """Return what trains on the moved digits."""
        return TrainEvaluator(
            space, dataset=moved_digits(), epochs=self.epochs, channels=6, cells=1, device="cpu"
        )

    def search(self, space: SearchSpace, seed: int, name: str, budget: int) -> str:
        """Return the architecture that a search returns."""
        folder = self.work / f"{name}-{seed}"
        found = run(WeakNAS(space, seed=seed), self.evaluator(space), budget, output=folder)
        return found.best.architecture.text

    def test(self, space: SearchSpace, chosen: str, seed: int, name: str) -> float:
        """Return the test accuracy of a training with a new seed."""
        folder = self.work / "final" / f"{name}-{seed}"
        done = read_card(folder)
        if done is None:
            protocol = self.evaluator(space).protocol
            done = train_final(
                space, chosen, moved_digits(), protocol, seed=seed + _FINAL, device="cpu", threads=1
            )
            write_json(folder / "card.json", done)
        return float(done["test_accuracy"])

    def policies(self, seed: int) -> dict[str, Any]:
        """Search for a policy and in RandAugment's grid; test both and none."""
        policies = get_space("augmentation", subpolicies=2)
        none = policies.architecture(
            ",".join(f"probability{place}=0.0" for place in ("1.1", "1.2", "2.1", "2.2"))
        ).text
        grid = get_space("randaugment")
        policy = self.search(policies, seed, "policy", self.budget)
        numbers = self.search(grid, seed, "randaugment", self.budget)
        return {
            "seed": seed,
            "policy": policies.training_options(policy)["auto_augment"],
            "numbers": numbers,
            "test": {
                "none": self.test(policies, none, seed, "none"),
                "RandAugment": self.test(grid, numbers, seed, "randaugment"),
                "policy": self.test(policies, policy, seed, "policy"),
            },
        }

    def activations(self, found: str, seed: int) -> dict[str, Any]:
        """Test an activation, ReLU and SiLU."""
        space = get_space("activation")
        named = {"ReLU": RELU, "SiLU": SILU, "found": found}
        tests = {name: self.test(space, text, seed, name.lower()) for name, text in named.items()}
        return {"seed": seed, "test": tests}

    def together(self, seed: int) -> dict[str, Any]:
        """Search for cell and augmentation at once, and one after the other."""
        cells, grid = get_space("nasbench201"), get_space("randaugment")
        both = ProductSpace([cells, grid])
        joint = self.search(both, seed, "joint", self.budget + self.budget // 2)
        half = (self.budget + self.budget // 2) // 2
        cell = self.search(cells, seed, "cell", half)
        # The cell stays; a space of one architecture.
        fixed = ProductSpace([SubsetSpace(cells, cells.genotypes([cell])), grid])
        then = self.search(fixed, seed, "after-cell", half)
        return {
            "seed": seed,
            "joint": joint,
            "separate": then,
            "test": {
                "separate": self.test(both, then, seed, "separate"),
                "joint": self.test(both, joint, seed, "joint"),
            },
        }


def summarize(rows: Sequence[dict[str, Any]], baseline: str) -> dict[str, Any]:
    """Return mean accuracies, and differences to a baseline of the same seeds, in percent."""
    summary = {}
    for name in rows[0]["test"]:
        values = np.array([100 * row["test"][name] for row in rows])
        gains = values - [100 * row["test"][baseline] for row in rows]
        summary[name] = {
            "mean": round(float(values.mean()), 2),
            "ci95": _interval(values),
            f"over {baseline}": {"mean": round(float(gains.mean()), 2), "ci95": _interval(gains)},
        }
    return summary


def _interval(values: Any) -> list[float | None]:
    bounds = bootstrap_interval(values)
    return [None if np.isnan(bound) else round(float(bound), 2) for bound in bounds]


def show(title: str, rows: Sequence[dict[str, Any]], baseline: str) -> dict[str, Any]:
    """Print a comparison and return it."""
    summary = summarize(rows, baseline)
    print(f"{title}: test accuracy in %, {len(rows)} seeds")
    for name, item in summary.items():
        gain = item[f"over {baseline}"]
        print(
            f"  {name:12} {item['mean']:6.2f} {item['ci95']!s:18}"
            f" over {baseline}: {gain['mean']:+6.2f} {gain['ci95']}",
            flush=True,
        )
    return {"summary": summary, "runs": list(rows)}


def main() -> None:
    """Run the study and print it."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--seeds", type=int, default=5)
    arguments.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    arguments.add_argument("--budget", type=int, default=12, help="trainings of a search")
    arguments.add_argument("--epochs", type=int, default=5)
    options = arguments.parse_args()
    torch.set_num_threads(1)
    name = "policies-quick" if options.quick else "policies"
    budget, epochs = (2, 1) if options.quick else (options.budget, options.epochs)
    seeds = range(options.seed, options.seed + (1 if options.quick else options.seeds))
    study = Study(options.work / name, budget, epochs)
    measured: dict[str, Any] = {}
    if "policies" in options.parts:
        measured["policies"] = show("policies", [study.policies(seed) for seed in seeds], "none")
    if "activations" in options.parts:
        found = study.search(get_space("activation"), options.seed, "activation", 2 * budget)
        print(f"activation found: {found}")
        ten = range(options.seed, options.seed + 2 * len(seeds))
        rows = [study.activations(found, seed) for seed in ten]
        measured["activations"] = {"found": found, **show("activations", rows, "ReLU")}
    if "together" in options.parts:
        rows = [study.together(seed) for seed in seeds]
        measured["together"] = show("together", rows, "separate")
    whole = set(options.parts) == set(PARTS)
    save(
        options,
        "policies" if whole else "-".join(["policies", *measured]),
        {
            "budget": budget,
            "evaluator": study.evaluator(get_space("randaugment")).describe(),
            "moved": {"degrees": ANGLE, "pixels": SHIFT},
            **measured,
        },
    )


if __name__ == "__main__":
    start(main)
