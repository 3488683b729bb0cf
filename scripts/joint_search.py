"""Architecture and hyperparameters together: two numbers and six choices, trained on digits.

The space is marked in the code of a perceptron: depth, width, activation, norm, skips and
dropout, and beside them learning rate and weight decay. The default, TPE and random search
get the same budget of trainings, each with its own seed. What they return is trained anew
by seeds that none of them saw; the mean validation accuracy of these trainings is compared.

    python scripts/joint_search.py --quick
    python scripts/joint_search.py --searches 10
"""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import numpy as np
import torch
from _shared import parser, save, start
from torch import nn
from torch.nn import functional as F

import weaknas
from weaknas.laboratory.statistics import bootstrap_interval
from weaknas.spaces import Architecture
from weaknas.spaces.traced import TracedSpace
from weaknas.training.data import load_dataset

STRATEGIES = ("weaknas", "optuna-tpe", "random")
_STEPS = 60
_BATCH = 64


class Layer(nn.Module):
    """A linear layer, perhaps with a norm and a skip."""

    def __init__(self, width: int) -> None:
        super().__init__()
        norm = weaknas.choose("norm", [nn.Identity, nn.LayerNorm], share=True)
        act = weaknas.choose("act", [nn.ReLU, nn.Tanh, nn.GELU], share=True)
        dropout = weaknas.choose("dropout", [0.0, 0.1, 0.3], share=True)
        self.skip = weaknas.choose("skip", [False, True], share=True)
        self.layers = nn.Sequential(
            norm(width), nn.Linear(width, width), act(), nn.Dropout(dropout)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map vectors to vectors of the same length."""
        return self.layers(x) + x if self.skip else self.layers(x)


class Perceptron(nn.Sequential):
    """Layers of one width, and how they are trained."""

    def __init__(self) -> None:
        width = weaknas.choose("width", [16, 32, 64, 128])
        layers = [Layer(width) for _ in range(weaknas.repeat("depth", 1, 4))]
        super().__init__(nn.Flatten(), nn.Linear(64, width), *layers, nn.Linear(width, 10))
        self.rate = weaknas.number("rate", 1e-5, 1e-1, log=True)
        self.decay = weaknas.number("decay", 1e-5, 1.0, log=True)


@cache
def space() -> TracedSpace:
    """Return the space of what is marked above."""
    return weaknas.trace(Perceptron)


@cache
def data() -> tuple[torch.Tensor, ...]:
    """Return images and labels to train on, and those that are held out."""
    digits = load_dataset("digits")
    return *_tensors(digits.train), *_tensors(digits.validation)


def train(architecture: Architecture, seed: int) -> float:
    """Return the validation accuracy, in percent, after a short training."""
    torch.manual_seed(seed % 2**63)
    network = space().build(architecture)
    optimizer = torch.optim.AdamW(network.parameters(), lr=network.rate, weight_decay=network.decay)
    images, labels, held, truth = data()
    for _ in range(_STEPS):
        rows = torch.randint(len(images), (_BATCH,))
        loss = F.cross_entropy(network(images[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()
    with torch.no_grad():
        return 100 * (network(held).argmax(1) == truth).float().mean().item()


def _tensors(split: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(split.pixels).float() / 255, torch.tensor(split.labels).long()


def search(strategy: str, seed: int, budget: int, anew: int) -> dict[str, Any]:
    """Search once; train what is returned anew."""
    begin = time.perf_counter()
    result = weaknas.run(weaknas.get_strategy(strategy, space(), seed=seed), train, budget)
    best = result.best.architecture
    return {
        "accuracy": float(np.mean([train(best, 10**6 * (seed + 1) + k) for k in range(anew)])),
        "architecture": best.text,
        "seconds": time.perf_counter() - begin,
    }


def main() -> None:
    """Search with each strategy and print a table."""
    options = parser(__doc__)
    options.add_argument("--searches", type=int, default=10, help="of each strategy")
    options.add_argument("--budget", type=int, default=40, help="trainings of a search")
    arguments = options.parse_args()
    searches, budget = (2, 6) if arguments.quick else (arguments.searches, arguments.budget)
    torch.set_num_threads(1)
    rows = []
    for strategy in STRATEGIES:
        found = [
            search(strategy, arguments.seed + run, budget, 2 if arguments.quick else 10)
            for run in range(searches)
        ]
        accuracies = np.array([one["accuracy"] for one in found])
        low, high = bootstrap_interval(accuracies)
        row = {"strategy": strategy, "mean": float(accuracies.mean()), "ci95": [low, high]}
        rows.append(row | {"searches": found})
        print(f"{strategy:12} {row['mean']:.2f} [{low:.2f}, {high:.2f}]", flush=True)
    save(arguments, "joint-search", {"budget": budget, "size": space().size, "rows": rows})


if __name__ == "__main__":
    start(main)
