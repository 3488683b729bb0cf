"""Reproduce how DARTS collapses on NAS-Bench-201, and what chooses better from the same weights.

Mixed supernets are trained on digits, or on some small images of Fashion-MNIST. After each
epoch the cell of the operations that weigh most is looked up in the benchmark's table. From the
final weights of each seed cells are derived by magnitude, by magnitude with tuning, by
perturbation (DARTS-PT) with the weights of operations as learnt and made uniform, and by a search
of WeakNAS whose evaluations are accuracies of single cells; and by perturbation and by WeakNAS
from a supernet of the same seed whose operations always weighed the same. No choice sees the
table.

    python scripts/collapse.py
    WEAKNAS_DATA=... python scripts/collapse.py --dataset fashion-mnist
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _one_shot import QUICK, SETTINGS, Setting, Study, random_cells, run_all, worth
from _shared import DATASETS, parser, save, start

from weaknas.laboratory.statistics import bootstrap_interval, wilcoxon
from weaknas.reports import plots

#: Ways to derive a cell, by name; the first is what the others are compared with.
WAYS: dict[str, Callable[[Study, int], str]] = {
    "magnitude": lambda study, seed: study.magnitude("darts", seed),
    "magnitude, tuned": lambda study, seed: study.decided("darts", seed, "magnitude"),
    "perturbation": lambda study, seed: study.decided("darts", seed, "perturbation"),
    "perturbation, made uniform": lambda study, seed: study.decided(
        "darts", seed, "perturbation", uniform=True
    ),
    "weaknas": lambda study, seed: study.searched("darts", seed),
    "blank: perturbation": lambda study, seed: study.decided("blank", seed, "perturbation"),
    "blank: weaknas": lambda study, seed: study.searched("blank", seed),
}
#: Pairs of ways that the papers, or we, ask about.
PAIRS = [
    *(("magnitude", way) for way in list(WAYS)[1:]),
    ("magnitude, tuned", "perturbation"),
    ("perturbation", "weaknas"),
    ("blank: perturbation", "blank: weaknas"),
]


def main() -> None:
    """Train, derive, look up, compare; print a table and write JSON and a figure."""
    options = parser(__doc__ or "")
    options.add_argument("--runs", type=int, default=10, help="seeds")
    options.add_argument("--dataset", default="digits", choices=SETTINGS)
    arguments = options.parse_args()
    setting = QUICK if arguments.quick else SETTINGS[arguments.dataset]
    if arguments.quick:
        arguments.runs = 2
    folder = arguments.work / "one-shot"
    seeds = range(arguments.seed, arguments.seed + arguments.runs)
    rows = run_all(partial(one_seed, setting, folder), seeds, arguments.jobs)
    cells = {way: [row["cells"][way] for row in rows] for way in WAYS}
    curves = [row["derived"] for row in rows]
    content = {
        "setting": asdict(setting),
        "seeds": list(seeds),
        "cpu_seconds": round(sum(row["cpu_seconds"] for row in rows)),
        "by_epoch": by_epoch(curves),
        "ways": {way: judged(chosen) for way, chosen in cells.items()},
        "random": judged(random_cells(1000, arguments.seed), listing=False),
        "pairs": [compared(one, other, cells) for one, other in PAIRS],
    }
    show(content)
    name = "collapse" if setting.dataset == "digits" else f"collapse-{setting.dataset}"
    save(arguments, name, content)
    plots.save(figure(content), arguments.results / name, forms=("png",))


def one_seed(setting: Setting, folder: Path, seed: int) -> dict[str, Any]:
    """Return the cells of one seed, and those by weights after each epoch."""
    study = Study(setting, folder)
    derived = study.mixed("darts", seed)["derived"]
    study.mixed("blank", seed)
    cells = {way: derive(study, seed) for way, derive in WAYS.items()}
    return {"derived": derived, "cells": cells, "cpu_seconds": sum(study.seconds.values())}


def by_epoch(curves: list[list[str]]) -> dict[str, Any]:
    """Return skip connections and table accuracy of the derived cell after each epoch."""
    skips = np.array([[cell.count("skip_connect") for cell in curve] for curve in curves])
    accuracies = np.array([worth(curve) for curve in curves])
    return {
        name: {
            "mean": values.mean(axis=0).tolist(),
            "ci95": [list(bootstrap_interval(column)) for column in values.T],
            "runs": values.tolist(),
        }
        for name, values in (("skip_connections", skips), ("cifar10", accuracies))
    }


def judged(cells: list[str], *, listing: bool = True) -> dict[str, Any]:
    """Return accuracies of cells on all data sets, and their skip connections."""
    facts: dict[str, Any] = {"cells": cells} if listing else {"count": len(cells)}
    facts["skip_connections"] = float(np.mean([cell.count("skip_connect") for cell in cells]))
    for dataset in DATASETS:
        values = worth(cells, dataset)
        kept = {"runs": values} if listing else {}
        interval = list(bootstrap_interval(values))
        facts[dataset] = {"mean": float(np.mean(values)), "ci95": interval, **kept}
    return facts


def compared(one: str, other: str, cells: dict[str, list[str]]) -> dict[str, Any]:
    """Return by how much the second way is better on each data set, paired by seed."""
    facts: dict[str, Any] = {"from": one, "to": other}
    for dataset in DATASETS:
        first, second = (np.array(worth(cells[way], dataset)) for way in (one, other))
        facts[dataset] = {
            "gain": float((second - first).mean()),
            "ci95": list(bootstrap_interval(second - first)),
            "p_value": wilcoxon(second, first),
        }
    return facts


def show(content: dict[str, Any]) -> None:
    """Print what was found."""
    epochs = content["by_epoch"]
    last = len(epochs["cifar10"]["mean"]) - 1
    for epoch in sorted({0, last // 4, last // 2, 3 * last // 4, last}):
        skips, accuracy = (epochs[name]["mean"][epoch] for name in ("skip_connections", "cifar10"))
        print(f"epoch {epoch + 1}: {skips:.1f} skip connections, {accuracy:.2f} % on CIFAR-10")
    for way, facts in {**content["ways"], "random": content["random"]}.items():
        columns = [
            f"{facts[d]['mean']:6.2f} [{facts[d]['ci95'][0]:.2f}, {facts[d]['ci95'][1]:.2f}]"
            for d in DATASETS
        ]
        print(f"{way:28s}{'  '.join(columns)}  {facts['skip_connections']:.1f} skips")
    for pair in content["pairs"]:
        facts = pair[DATASETS[0]]
        low, high = facts["ci95"]
        print(
            f"{pair['from']} -> {pair['to']}: {facts['gain']:+.2f} [{low:.2f}, {high:.2f}],"
            f" p = {facts['p_value']:.3f}"
        )


def figure(content: dict[str, Any]) -> Any:
    """Draw skips and accuracy by epoch, and the accuracies of all ways."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(9.6, 3.2), layout="constrained")
    left, middle, right = drawn.subplots(1, 3, width_ratios=(1, 1, 1.4))
    panels = ((left, "skip_connections", "skip connections"), (middle, "cifar10", "CIFAR-10, %"))
    for axis, name, label in panels:
        curve = content["by_epoch"][name]
        epochs, band = np.arange(1, len(curve["mean"]) + 1), np.array(curve["ci95"])
        axis.plot(epochs, curve["mean"], "C0")
        axis.fill_between(epochs, *band.T, color="C0", alpha=0.2, lw=0)
        axis.set(xlabel="epoch", ylabel=label)
    for place, facts in enumerate(content["ways"].values()):
        values = facts["cifar10"]
        right.plot(values["runs"], [place] * len(values["runs"]), "C0o", ms=3, alpha=0.5)
        right.plot(values["mean"], place, "ks", ms=4)
    right.axvline(content["random"]["cifar10"]["mean"], color="#888888", ls=":", lw=1)
    right.set_yticks(range(len(content["ways"])), list(content["ways"]))
    right.invert_yaxis()
    right.set_xlabel("CIFAR-10, %; dotted: a random cell")
    for axis in (left, middle, right):
        axis.grid(color="#dddddd", lw=0.6)
    return drawn


if __name__ == "__main__":
    start(main)
