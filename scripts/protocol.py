"""Protocol or search? How far tricks of training move accuracy, beside random architectures.

After "NAS evaluation is frustratingly hard" (Yang, Esperanca and Carlucci, ICLR 2020,
arXiv:1912.12522, section 4), at small scale: the same random DARTS cells are trained by
several protocols that differ in one switch, and by one with all of them. If the means of
protocols are further apart than architectures under one protocol, then the score of a
searched architecture says little unless it was trained as its rivals were.

    python scripts/protocol.py --seeds 2
    python scripts/protocol.py --dataset fashion-mnist --path FOLDER
"""

from __future__ import annotations

import multiprocessing
import os
import warnings
from argparse import Namespace
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

# Before numpy is imported, here and in the processes that train.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import numpy as np
import numpy.typing as npt
from _shared import parser, save, start
from scipy import stats

from weaknas.evaluators.train import TrainEvaluator
from weaknas.laboratory.statistics import bootstrap_interval
from weaknas.registry import get_space
from weaknas.reports import plots
from weaknas.spaces import Architecture

Accuracies = npt.NDArray[np.float64]

SPACE = "darts"
#: What all protocols start from: 5 cells of 8 channels, and the published optimiser of DARTS.
BASE: dict[str, Any] = {
    "epochs": 4,
    "channels": 8,
    "cells": 1,
    "batch_size": 64,
    "learning_rate": 0.025,
    "nesterov": False,
    "weight_decay": 3e-4,
    "decay_all": True,
    "gradient_clipping": 5.0,
}
#: What each one switches; lengths are for images of 8 x 8 pixels, see `protocols`.
SWITCHES: dict[str, dict[str, Any]] = {
    "cutout": {"cutout": 3},
    "drop path": {"drop_path": 0.2},
    "auxiliary head": {"auxiliary": 0.4},
    "mixup": {"mixup": 0.2},
    "label smoothing": {"label_smoothing": 0.1},
    "channels x 2": {"channels": 2 * BASE["channels"]},
    "epochs x 2": {"epochs": 2 * BASE["epochs"]},
}
_RESAMPLES = 2000


class Task(NamedTuple):
    """One training, and what its process must know."""

    architecture: Architecture
    protocol: dict[str, Any]
    seed: int
    dataset: str
    path: str | None
    folder: Path


def main() -> None:
    """Train, print both spreads, and write a table and a figure."""
    options = parser(__doc__ or "")
    options.add_argument("--dataset", default="digits", help="a data set of `weaknas train`")
    options.add_argument("--path", help="of the data set")
    options.add_argument("--architectures", type=int, default=8, help="random ones")
    options.add_argument("--seeds", type=int, default=1, help="trainings of each by each protocol")
    arguments = options.parse_args()
    chosen = protocols(arguments.dataset)
    if arguments.quick:
        arguments.architectures = 2
        tiny = {"epochs": 1, "channels": 2, "batch_size": 450}
        names = ("base", "cutout", "all together")
        chosen = {name: chosen[name] | tiny for name in names}
    space = get_space(SPACE)
    rng = np.random.default_rng(arguments.seed)
    # One by one: with more of them, the first ones stay the same.
    drawn = [space.sample(1, rng)[0] for _ in range(arguments.architectures)]
    architectures = space.architectures(np.array(drawn))
    accuracies = train_all(arguments, chosen, architectures)
    result = {
        "space": SPACE,
        "dataset": arguments.dataset,
        "protocols": chosen,
        "architectures": [architecture.text for architecture in architectures],
        # Validation accuracy in percent: by protocol, then architecture, then seed.
        "accuracies": dict(zip(chosen, accuracies.round(3).tolist(), strict=True)),
        "means": {name: summary(row) for name, row in zip(chosen, accuracies, strict=True)},
        "spread": spreads(accuracies, arguments.seed),
    }
    report(result)
    name = f"protocol-{arguments.dataset}"
    save(arguments, name, result)
    plots.save(figure(result), arguments.results / name, forms=("png",))


def protocols(dataset: str) -> dict[str, dict[str, Any]]:
    """Return the switches of each protocol by its name."""
    side = 3 if dataset == "digits" else 10  # of the blanked square, a tenth of the image
    switches = SWITCHES | {"cutout": {"cutout": side}}
    together = {key: value for options in switches.values() for key, value in options.items()}
    every = {"base": {}, **switches, "all together": together}
    return {name: BASE | options for name, options in every.items()}


# -- training -------------------------------------------------------------------------------


def train_all(
    arguments: Namespace, chosen: Mapping[str, dict[str, Any]], architectures: list[Architecture]
) -> Accuracies:
    """Return accuracies in percent, shape (protocols, architectures, seeds)."""
    kind = "-quick" if arguments.quick else ""
    folder = arguments.work / f"protocol-{arguments.dataset}{kind}"
    names = list(chosen)
    order = list(product(range(arguments.seeds), range(len(architectures)), range(len(names))))
    tasks = [
        Task(
            architectures[architecture],
            chosen[names[protocol]],
            arguments.seed + seed,
            arguments.dataset,
            arguments.path,
            folder,
        )
        for seed, architecture, protocol in order
    ]
    found = np.full((len(names), len(architectures), arguments.seeds), np.nan)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(arguments.jobs, mp_context=context) as executor:
        results = executor.map(train, tasks)
        for (seed, architecture, protocol), accuracy in zip(order, results, strict=True):
            found[protocol, architecture, seed] = accuracy
            print(f"{names[protocol]}, cell {architecture}, seed {seed}: {accuracy:.2f} %")
    return found


def train(task: Task) -> float:
    """Return the validation accuracy of one training in percent; one that is there is read."""
    evaluator = TrainEvaluator(
        get_space(SPACE),
        dataset=task.dataset,
        path=task.path,
        folder=task.folder,
        **task.protocol,
    )
    return 100.0 * evaluator.evaluate(task.architecture, seed=task.seed).score


# -- what it says ---------------------------------------------------------------------------


def summary(row: Accuracies) -> dict[str, Any]:
    """Return mean and interval over architectures, shape (architectures, seeds)."""
    means = row.mean(axis=1)
    return {"mean": float(means.mean()), "ci95": list(bootstrap_interval(means))}


def spreads(accuracies: Accuracies, seed: int) -> dict[str, Any]:
    """Return standard deviation and range, in points, of protocols and of architectures.

    Of protocols: of their means over the same architectures. Of architectures: within
    each protocol, averaged over protocols, and under the first alone; it includes the
    noise of a training, divided by the number of seeds. Intervals, of deviations, resample
    architectures.
    """
    cells = accuracies.mean(axis=2)
    tables: dict[str, Callable[[Accuracies], Accuracies]] = {
        "protocols": lambda table: table.mean(axis=1)[None],
        "architectures": lambda table: table,
        "architectures by the base": lambda table: table[:1],
    }
    result: dict[str, Any] = {}
    for name, rows_of in tables.items():
        rows = rows_of(cells)
        result[name] = {
            "deviation": round(_deviation(rows), 3),
            "ci95": _interval(partial(_deviation_of, rows_of), cells, seed),
            "range": round(float(np.ptp(rows, axis=1).mean()), 3),
        }
    if accuracies.shape[2] > 1:
        noise = float(np.sqrt(accuracies.var(axis=2, ddof=1).mean()))
        result["seeds"] = {"deviation": round(noise, 3)}
    return result


def _deviation(rows: Accuracies) -> float:
    """Return the standard deviation within rows, averaged over them."""
    return float(rows.std(axis=1, ddof=1).mean())


def _deviation_of(rows_of: Callable[[Accuracies], Accuracies], table: Accuracies) -> float:
    return _deviation(rows_of(table))


def _interval(
    statistic: Callable[[Accuracies], float],
    cells: Accuracies,
    seed: int,
) -> list[float]:
    """Return the bootstrap interval (BCa; Efron 1987) over architectures, the columns."""
    for method in ("BCa", "percentile"):  # the first is not defined for equal values
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            interval = stats.bootstrap(
                (np.arange(cells.shape[1]),),
                lambda order: statistic(cells[:, order]),
                vectorized=False,
                n_resamples=_RESAMPLES,
                method=method,
                rng=np.random.default_rng(seed),
            ).confidence_interval
        if np.isfinite(interval).all():
            break
    return [round(float(bound), 3) for bound in interval]


def report(result: Mapping[str, Any]) -> None:
    """Print the means and the spreads."""
    for name, row in result["means"].items():
        low, high = row["ci95"]
        print(f"{name:18} {row['mean']:6.2f} %  [{low:.2f}, {high:.2f}]")
    for name, row in result["spread"].items():
        text = f"deviation over {name}: {row['deviation']:.2f} points"
        if "ci95" in row:
            low, high = row["ci95"]
            text += f" [{low:.2f}, {high:.2f}], range {row['range']:.2f}"
        print(text)


def figure(result: Mapping[str, Any]) -> Any:
    """Draw each architecture under each protocol, with the means of the protocols."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(7.4, 3.6), layout="constrained")
    axis = drawn.subplots()
    for place, (name, rows) in enumerate(result["accuracies"].items()):
        cells = np.mean(rows, axis=1)
        shift = np.linspace(-0.2, 0.2, len(cells))
        axis.scatter(place + shift, cells, s=14, c=np.arange(len(cells)), cmap="viridis")
        low, high = result["means"][name]["ci95"]
        axis.plot([place, place], [low, high], color="black", lw=1)
        axis.plot(place, result["means"][name]["mean"], "_", color="black", ms=22)
    axis.set_xticks(range(len(result["accuracies"])), result["accuracies"], rotation=30, ha="right")
    axis.set_ylabel("validation accuracy (%)")
    count = len(result["architectures"])
    axis.set_title(f"{count} random cells (colours), {result['dataset']}", fontsize=10)
    axis.grid(axis="y", color="#dddddd", lw=0.6)
    return drawn


if __name__ == "__main__":
    start(main)
