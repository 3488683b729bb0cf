"""What searches return in made-up spaces of a user's choices, where trainings differ.

Each run draws a function of one of six kinds: layers with widths and kernels; layers that
exist by a depth; learning rates and other numbers; bits of which each depends on three others (NK
landscapes, Kauffman and Levin 1987); cells whose accuracy is rounded; and hundreds of backbones
by name. A training adds normal noise to it. Told is by how much the score of what is returned is
below the best that is known, in standard deviations of random architectures: the default, the
default without repeats, and strategies that train contenders again.

    python scripts/noisy_spaces.py --jobs 2
"""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from _shared import by_marks, marks_in_words, parser, save, start

import weaknas
from weaknas.components import run_seed
from weaknas.laboratory.experiment import parse_strategy, returned_after
from weaknas.spaces import Architecture, SearchSpace

Floats: TypeAlias = npt.NDArray[np.float64]
Function: TypeAlias = Callable[[npt.NDArray[np.integer]], Floats]

STRATEGIES = (
    "weaknas",
    "weaknas:repeats=never",
    "local-search:first-improvement=true:confirm=auto",
    "optuna-tpe:confirm=auto",
    "random:confirm=auto",
)
MARKS = (20, 50, 100)
SAMPLE, CLIMBERS, STEPS = 3000, 200, 60


def main() -> None:
    """Make the runs, print a row a space and strategy, write the JSON."""
    options = parser(__doc__ or "")
    options.add_argument("--runs", type=int, default=10)
    options.add_argument("--spaces", nargs="+", default=list(SPACES), choices=list(SPACES))
    options.add_argument("--noise", type=float, default=0.15, help="of a training, in deviations")
    arguments = options.parse_args()
    marks = (8, 12) if arguments.quick else MARKS
    runs = 2 if arguments.quick else arguments.runs
    kinds = ["backbones", "bits"] if arguments.quick else arguments.spaces
    work = [
        (kind, strategy, run_seed(arguments.seed, run), arguments.noise, marks)
        for kind in kinds
        for strategy in STRATEGIES
        for run in range(runs)
    ]
    with multiprocessing.get_context("spawn").Pool(arguments.jobs) as pool:
        made = np.array(pool.starmap(returned_regret, work, chunksize=1))
    rows = []
    by_kind = made.reshape(len(kinds), len(STRATEGIES), runs, -1)
    for kind, by_strategy in zip(kinds, by_kind, strict=True):
        named = dict(zip(STRATEGIES, by_strategy, strict=True))
        named["default less never"] = by_strategy[0] - by_strategy[1]
        regret = {name: by_marks(values, marks) for name, values in named.items()}
        rows.append({"space": kind, "regret": regret})
        show(rows[-1])
    save(arguments, "noisy-spaces", {"runs": runs, "noise": arguments.noise, "spaces": rows})


def returned_regret(
    kind: str, label: str, seed: int, noise: float, marks: tuple[int, ...]
) -> list[float]:
    """Return the regret of what is returned after so many trainings."""
    space, score = SPACES[kind](np.random.default_rng([seed, 1]))
    unit = score(space.sample(SAMPLE, np.random.default_rng(seed))).std()
    best = best_known(space, score, seed)

    def train(architecture: Architecture, seed: int) -> float:
        label = score(space.genotypes([architecture]))[0]
        return float(label + noise * unit * np.random.default_rng(seed).normal())

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a search that has evaluated all of a small space
        result = weaknas.run(parse_strategy(label)(space, seed=seed), train, budget=marks[-1])
    trials = list(result.trials)
    true = score(np.array([trial.architecture.genotype for trial in trials]))
    chosen, _, _ = returned_after(trials, result.returned)
    return [float((best - true[chosen[mark - 1]]) / unit) for mark in marks]


def best_known(space: SearchSpace, score: Function, seed: int) -> float:
    """Return the best score of all, or of a climb of many from the best of a large sample."""
    if space.is_listable:
        return float(score(space.enumerate()).max())
    rng = np.random.default_rng(seed)
    rows = space.sample(SAMPLE, rng)
    for _ in range(STEPS):
        rows = np.unique(np.vstack([rows, space.mutate(np.repeat(rows, 10, axis=0), rng)]), axis=0)
        rows = rows[np.argsort(-score(rows))[:CLIMBERS]]
    return float(score(rows[:1])[0])


# -- spaces ------------------------------------------------------------------------------


def layers(rng: np.random.Generator) -> tuple[SearchSpace, Function]:
    """Return six layers with a best width each, kernels, and a liking for alike neighbours."""
    depth, kernels, widths = 6, [3, 5, 7], [16, 24, 32, 48, 64, 96]
    parts = {"k": kernels, "w": widths}
    choices: dict[str, list[Any]] = {
        f"{name}{layer}": values for layer in range(depth) for name, values in parts.items()
    }
    space = weaknas.ChoiceSpace(choices | {"act": ["relu", "silu", "gelu"], "se": ["no", "yes"]})
    weights, tops = rng.uniform(0.06, 0.26, depth), np.sort(rng.uniform(1, 5, depth))
    by_kernel, by_head = rng.normal(0, 0.3, (depth, 3)), rng.normal(0, 0.2, (3, 2))

    def score(rows: npt.NDArray[np.integer]) -> Floats:
        kernel, width = rows[:, 0 : 2 * depth : 2], rows[:, 1 : 2 * depth : 2].astype(float)
        total = by_kernel[np.arange(depth), kernel].sum(axis=1)
        total -= (weights * np.abs(width - tops) ** 1.5).sum(axis=1)
        alike = kernel[:, 1:] == kernel[:, :-1]
        total -= 0.15 * (alike * np.abs(np.diff(width, axis=1))).sum(axis=1)
        return np.asarray(np.tanh((total + by_head[rows[:, -2], rows[:, -1]] + 1) / 2))

    return space, score


def depths(rng: np.random.Generator) -> tuple[SearchSpace, Function]:
    """Return up to five layers of an operation and a width each; pairs of layers interact."""
    most = 5
    choices: dict[str, list[Any]] = {"depth": list(range(1, most + 1))}
    choices |= {f"op{layer}": ["conv3", "conv5", "mbconv", "attention"] for layer in range(most)}
    choices |= {f"width{layer}": [16, 32, 64, 128] for layer in range(most)}
    conditions = {
        f"{name}{layer}": {"depth": list(range(layer + 1, most + 1))}
        for name in ("op", "width")
        for layer in range(1, most)
    }
    space = weaknas.ChoiceSpace(choices, conditions=conditions)
    effects, pairs = rng.normal(0, 0.6, (most, 4)), rng.normal(0, 0.5, (most - 1, 4, 4))
    tops, best = rng.uniform(0, 3, most), rng.integers(2, most + 1)

    def score(rows: npt.NDArray[np.integer]) -> Floats:
        depth, op, width = rows[:, :1] + 1, rows[:, 1 : most + 1], rows[:, most + 1 :]
        is_on, places = depth > np.arange(most), np.arange(most)
        single = effects[places, op] - 0.25 * np.abs(width - tops)
        both = pairs[places[:-1], op[:, :-1], op[:, 1:]]
        total = (is_on * single).sum(axis=1) + (is_on[:, 1:] * both).sum(axis=1)
        return np.asarray(np.tanh((total - 0.4 * (depth[:, 0] - best) ** 2.0) / 3))

    return space, score


def numbers(rng: np.random.Generator) -> tuple[SearchSpace, Function]:
    """Return four numbers with a best place, which an optimiser moves, and two choices."""
    space = weaknas.ChoiceSpace(
        {
            "rate": weaknas.number(1e-4, 1.0, log=True),
            "decay": weaknas.number(1e-6, 0.1, log=True),
            "momentum": weaknas.number(0.5, 0.999),
            "dropout": weaknas.number(0.0, 0.7),
            "optimizer": ["sgd", "adam", "lamb"],
            "depth": [2, 3, 4, 6, 8],
        }
    )
    tops, weights = rng.uniform(0.2, 0.8, 4), rng.uniform(1, 4, 4) * [4, 1, 1, 1]
    moves, effects = rng.uniform(-0.2, 0.2, 3), rng.normal(0, 0.15, 3)
    last = np.asarray(space.cardinalities, dtype=np.float64) - 1

    def score(rows: npt.NDArray[np.integer]) -> Floats:
        ranks, optimizer = rows / last, rows[:, 4]
        away = ranks[:, :4] - tops
        away[:, 1] += 0.3 * away[:, 0]
        away[:, 0] -= moves[optimizer]
        loss = away**2 @ weights + 0.1 * (ranks[:, 5] - 0.6) ** 2
        return np.asarray(np.tanh(effects[optimizer] - loss))

    return space, score


def bits(rng: np.random.Generator) -> tuple[SearchSpace, Function]:
    """Return an NK landscape of twelve bits, each of which depends on three others."""
    count, others = 12, 3
    space = weaknas.ChoiceSpace({f"bit{place}": ["off", "on"] for place in range(count)})
    partners = [
        [place, *rng.choice(np.delete(np.arange(count), place), others, replace=False)]
        for place in range(count)
    ]
    table, powers = rng.random((count, 2 ** (others + 1))), 2 ** np.arange(others + 1)

    def score(rows: npt.NDArray[np.integer]) -> Floats:
        parts = [values[rows[:, who] @ powers] for values, who in zip(table, partners, strict=True)]
        return np.asarray(np.mean(parts, axis=0))

    return space, score


def cells(rng: np.random.Generator) -> tuple[SearchSpace, Function]:
    """Return six edges with effects and pairs, as a percentage that is rounded."""
    names = ["none", "skip", "conv1", "conv3", "pool"]
    space = weaknas.ChoiceSpace({f"edge{place}": names for place in range(6)})
    effects, pairs = rng.normal(size=(6, 5)), rng.normal(0, 0.35, (6, 6, 5, 5))
    left, right = np.triu_indices(6, 1)

    def score(rows: npt.NDArray[np.integer]) -> Floats:
        total = effects[np.arange(6), rows].sum(axis=1)
        total += pairs[left, right, rows[:, left], rows[:, right]].sum(axis=1)
        return np.asarray(np.round(60 + 30 / (1 + np.exp(-total / 2))))

    return space, score


def backbones(rng: np.random.Generator) -> tuple[SearchSpace, Function]:
    """Return 300 backbones without an order, heads, and sizes that help the weak ones more."""
    names = [f"model{number}" for number in range(300)]
    heads, sizes = ["linear", "mlp", "attention", "gated"], [128, 160, 192, 224]
    space = weaknas.ChoiceSpace({"backbone": names, "head": heads, "size": sizes})
    worth, by_head = rng.normal(size=300), rng.normal(0, 0.3, 4)

    def score(rows: npt.NDArray[np.integer]) -> Floats:
        backbone, size = worth[rows[:, 0]], rows[:, 2]
        return np.asarray(backbone + by_head[rows[:, 1]] + 0.3 * size - 0.02 * size**2 * backbone)

    return space, score


SPACES: dict[str, Callable[[np.random.Generator], tuple[SearchSpace, Function]]] = {
    "layers": layers,
    "depths": depths,
    "numbers": numbers,
    "bits": bits,
    "cells": cells,
    "backbones": backbones,
}


# -- results -----------------------------------------------------------------------------


def show(row: dict[str, Any]) -> None:
    """Print what is returned in one space."""
    print(f"{row['space']}: regret of what is returned, in deviations")
    for name, by_mark in row["regret"].items():
        print(f"  {name:50} " + marks_in_words(by_mark))


if __name__ == "__main__":
    start(main)
