"""Methods that share weights, judged by the tables: relative improvement over random cells.

Yang, Esperanca and Carlucci, "NAS evaluation is frustratingly hard", ICLR 2020
(arXiv:1912.12522, table 1): eight runs of a method against eight random cells of its space. Here
supernets are trained on digits, or on some small images of Fashion-MNIST, the cells are of
NAS-Bench-201, and what they are worth stands in its tables of three data sets. Beside it the
published table, computed again from the authors' raw accuracies, which are read from
`darts/nas_benchmark_performance.csv` in WEAKNAS_DATA where they are.

    python scripts/oneshot_table.py
    python scripts/oneshot_table.py --published    # the published table alone, at once
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _one_shot import QUICK, SETTINGS, Setting, Study, random_cells, run_all, worth
from _shared import DATASETS, parser, save, start
from scipy import stats

from weaknas.files import data_folders, read_csv
from weaknas.laboratory.statistics import bootstrap_interval, relative_improvement
from weaknas.reports import plots

#: How each method derives a cell, by name.
METHODS: dict[str, Callable[[Study, int], str]] = {
    "uniform + weaknas": lambda study, seed: study.searched("uniform", seed),
    "ENAS": lambda study, seed: study.sampled("enas", seed),
    "ENAS with memory": lambda study, seed: study.sampled("memory", seed),
    "MANAS": lambda study, seed: study.sampled("manas-ls", seed),
    "DARTS, first order": lambda study, seed: study.magnitude("darts", seed),
    "DARTS, second order": lambda study, seed: study.magnitude("darts-2", seed),
    "DARTS-PT": lambda study, seed: study.decided("darts", seed, "perturbation"),
    "DARTS-PT, fixed": lambda study, seed: study.decided("blank", seed, "perturbation"),
    "StacNAS": lambda study, seed: study.magnitude("stacnas", seed),
    "P-DARTS": lambda study, seed: study.magnitude("p-darts", seed),
    "weaknas on trainings": lambda study, seed: study.trained(seed),
}
#: What table 1 of the paper has where the authors' raw accuracies give another number.
PRINTED = {
    ("PDARTS", "CIFAR100"): 1.20,
    ("DARTS", "Flowers102"): 0.25,
    ("PDARTS", "Flowers102"): 0.20,
    ("StacNAS", "CIFAR100"): 2.87,  # of which there are no raw accuracies
}
_RANDOM = 8  # cells at least, as in the paper
_RAW = Path("darts") / "nas_benchmark_performance.csv"


def main() -> None:
    """Derive all cells, compare them with random ones, print and write the tables."""
    options = parser(__doc__ or "")
    options.add_argument("--runs", type=int, default=8, help="seeds")
    options.add_argument("--dataset", default="digits", choices=SETTINGS)
    options.add_argument("--published", action="store_true", help="no methods, no training")
    arguments = options.parse_args()
    if arguments.published:
        table = published()
        show_table(table)
        save(arguments, "oneshot-published", {"published": table})
        return
    setting = QUICK if arguments.quick else SETTINGS[arguments.dataset]
    if arguments.quick:
        arguments.runs = 2
    seeds = range(arguments.seed, arguments.seed + arguments.runs)
    work = partial(one_seed, setting, arguments.work / "one-shot")
    rows = run_all(work, seeds, arguments.jobs)
    cells = {name: [row["cells"][name] for row in rows] for name in METHODS}
    random = random_cells(max(arguments.runs, _RANDOM), arguments.seed)
    average = random_cells(1000, arguments.seed + 1)
    content: dict[str, Any] = {
        "setting": asdict(setting),
        "seeds": list(seeds),
        "cpu_seconds": {
            name: round(sum(row["cpu_seconds"][name] for row in rows) / len(rows), 1)
            for name in METHODS
        },
        "cells": cells,
        "random": random,
        "table": {
            name: {dataset: judged(chosen, random, average, dataset) for dataset in DATASETS}
            for name, chosen in cells.items()
        },
        "published": published(),
    }
    show_table(content["table"])
    show_table(content["published"])
    digits = setting.dataset == "digits"
    name = "oneshot-table" if digits else f"oneshot-table-{setting.dataset}"
    save(arguments, name, content)
    plots.save(figure(content["table"]), arguments.results / name, forms=("png",))


def one_seed(setting: Setting, folder: Path, seed: int) -> dict[str, Any]:
    """Return the cell of each method, and the seconds that it took."""
    cells, seconds = {}, {}
    for name, derive in METHODS.items():
        study = Study(setting, folder)
        cells[name] = derive(study, seed)
        seconds[name] = sum(study.seconds.values())
    return {"cells": cells, "cpu_seconds": seconds}


def judged(cells: list[str], random: list[str], average: list[str], dataset: str) -> dict[str, Any]:
    """Return how much better cells are than random ones on a data set."""
    found, base = worth(cells, dataset), worth(random, dataset)
    mean = float(np.mean(worth(average, dataset)))
    improvements = [relative_improvement(value, mean) for value in found]
    return compared(found, base) | {
        "accuracies": found,
        "space_mean": mean,
        "over_the_space": float(np.mean(improvements)),
        "over_the_space_ci95": list(bootstrap_interval(improvements)),
    }


def compared(found: Sequence[float], base: Sequence[float]) -> dict[str, Any]:
    """Return the relative improvement in percent and the one-sided Mann-Whitney test."""
    test = stats.mannwhitneyu(found, base, alternative="greater")
    return {
        "mean": float(np.mean(found)),
        "relative_improvement": relative_improvement(float(np.mean(found)), float(np.mean(base))),
        "p_value": float(test.pvalue),
    }


def published() -> dict[str, Any]:
    """Return the published table from its raw accuracies; empty where they are not."""
    file = next((folder / _RAW for folder in data_folders() if (folder / _RAW).exists()), None)
    if file is None:
        print(f"{_RAW} is not in WEAKNAS_DATA; the published table is left out")
        return {}
    columns = read_csv(file)
    accuracies: dict[tuple[str, str], dict[str, list[float]]] = {}
    lines = (columns[name] for name in ("method", "dataset", "kind", "test_acc"))
    for method, dataset, kind, accuracy in zip(*lines, strict=True):
        row = accuracies.setdefault((method, dataset), {"method": [], "random": []})
        row[kind].append(float(accuracy))
    table: dict[str, Any] = {}
    for (method, dataset), row in accuracies.items():
        facts = compared(row["method"], row["random"]) if row["method"] else {}
        if (method, dataset) in PRINTED:
            facts["in_the_paper"] = PRINTED[method, dataset]
        table.setdefault(method, {})[dataset] = facts
    return table


def show_table(table: dict[str, Any]) -> None:
    """Print relative improvements; a star: better than random cells, p < .05."""
    datasets = {dataset: None for row in table.values() for dataset in row}
    print(" " * 22 + "".join(f"{dataset:>16s}" for dataset in datasets))
    for method, row in table.items():
        print(f"{method:22s}" + "".join(f"{entry(row.get(d, {})):>16s}" for d in datasets))
    facts = [facts for row in table.values() for facts in row.values() if "p_value" in facts]
    print(f"{sum(f['p_value'] < 0.05 for f in facts)} of {len(facts)} significant\n")


def figure(table: dict[str, Any]) -> Any:
    """Draw the accuracies of all cells of each method, and what a random cell has."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(9.6, 3.6), layout="constrained")
    axes = drawn.subplots(1, len(DATASETS), sharey=True)
    for axis, dataset in zip(axes, DATASETS, strict=True):
        for place, row in enumerate(table.values()):
            values = row[dataset]["accuracies"]
            axis.plot(values, [place] * len(values), "C0o", ms=3, alpha=0.5)
            axis.plot(np.mean(values), place, "ks", ms=4)
        axis.axvline(row[dataset]["space_mean"], color="#888888", ls=":", lw=1)
        axis.set_title(dataset, fontsize=10)
        axis.set_xlabel("accuracy, %; dotted: a random cell")
        axis.grid(color="#dddddd", lw=0.6)
    axes[0].set_yticks(range(len(table)), list(table))
    axes[0].invert_yaxis()
    return drawn


def entry(facts: dict[str, Any]) -> str:
    """Return one number of a table, with what the paper prints where that differs."""
    other = f" ({facts['in_the_paper']:.2f})" if "in_the_paper" in facts else ""
    if "relative_improvement" not in facts:
        return other.strip() or "-"
    star = "*" if facts["p_value"] < 0.05 else " "
    return f"{facts['relative_improvement']:.2f}{star}{other}"


if __name__ == "__main__":
    start(main)
