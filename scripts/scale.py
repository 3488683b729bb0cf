"""Measure time and memory of a round of the default, from 10 k to all cells of NAS-Bench-101.

No labels are needed: cells are scored by a formula of their parameters with noise
from their fingerprints. Every measurement has a process of its own, so that its peak
of memory is known, and one core; seconds are of that processor, not of the clock.

    python scripts/scale.py
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

# Before numpy is imported, here and in the processes of the measurements.
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

import numpy as np
import numpy.typing as npt
from _shared import parser, save, start

from weaknas.reports import plots
from weaknas.search.strategy import WeakNAS
from weaknas.spaces import Architecture, SearchSpace, SubsetSpace
from weaknas.spaces.nasbench101 import NASBench101

CANDIDATES = (10_000, 50_000, 100_000, 200_000, 300_000, 423_624)
TRAINING = (50, 100, 150, 200, 300, 400, 500)
TYPICAL = 150  # training points where candidates vary
#: What is measured, and how the figure calls it.
SECONDS = {
    "encode": "encoding, once a search",
    "refit": "round with a new fit",
    "update": "round without",
}


def main() -> None:
    """Measure, print a line each, and write a table and a figure."""
    options = parser(__doc__ or "")
    options.add_argument("--candidates", type=int, nargs="+", default=list(CANDIDATES))
    options.add_argument("--training", type=int, nargs="+", default=list(TRAINING))
    arguments = options.parse_args()
    if arguments.quick:
        arguments.candidates, arguments.training = [1000, 2000], [20, TYPICAL]
    largest = max(arguments.candidates)
    pairs = {(cells, TYPICAL) for cells in arguments.candidates}
    pairs |= {(largest, points) for points in arguments.training}
    NASBench101().enumerate()  # cached before anything is timed
    rounds = []
    for cells, points in sorted(pairs):
        rounds.append(apart(measure_round, cells, points))
        print(rounds[-1])
    search = apart(measure_search, largest, TYPICAL)
    print(search)
    save(arguments, "scale", {"machine": machine(), "rounds": rounds, "search": search})
    plots.save(figure(rounds, largest), arguments.results / "scale", forms=("png",))


# -- measuring ------------------------------------------------------------------------------


def apart(measure: Callable[[int, int], dict[str, Any]], cells: int, points: int) -> dict[str, Any]:
    """Measure in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        return executor.submit(measure, cells, points).result()


def measure_round(cells: int, points: int) -> dict[str, Any]:
    """Measure a round that fits `points` labels and ranks so many cells, and the next one."""
    search = WeakNAS(part_of_space(cells), initial=points, seed=0)
    result: dict[str, Any] = {"candidates": cells, "training": points}
    for name in ("encode", "refit", "update"):  # the first round draws the initial sample
        begin = time.process_time()
        asked = search.ask()
        result[f"seconds_{name}"] = round(time.process_time() - begin, 3)
        search.tell(asked, scores(search.space, asked))
    return result | {"peak_memory_mb": peak_memory()}


def measure_search(cells: int, points: int, rounds: int = 15) -> dict[str, Any]:
    """Measure a whole search of so many queries in equal rounds."""
    begin = time.process_time()
    size = points // rounds
    search = WeakNAS(part_of_space(cells), initial=size, batch_size=size, seed=0)
    for _ in range(rounds):
        asked = search.ask()
        search.tell(asked, scores(search.space, asked))
    return {
        "candidates": cells,
        "queries": len(search.history),
        "rounds": rounds,
        "seconds": round(time.process_time() - begin, 3),
        "peak_memory_mb": peak_memory(),
    }


def part_of_space(cells: int) -> SearchSpace:
    """Return the space, or so many of its cells."""
    space = NASBench101()
    rows = space.enumerate()
    if cells >= len(rows):
        return space
    return SubsetSpace(space, np.random.default_rng(0).permutation(rows)[:cells])


def scores(space: SearchSpace, architectures: list[Architecture]) -> npt.NDArray[np.float64]:
    """Return a score with a peak at about 16 million parameters, and noise of each cell."""
    rows = space.genotypes(architectures)
    parameters = np.log2(NASBench101().parameters(rows))
    # Fibonacci hashing (Knuth, TAOCP 3, 6.4)
    noise = (space.fingerprint(rows) * 2654435769 % 2**32) / 2**32
    return np.asarray(-np.square(parameters - 24.0) + 0.3 * noise)


def peak_memory() -> int:
    """Return the most memory this process has had, in megabytes."""
    import resource  # where the system has it

    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6)


def machine() -> dict[str, Any]:
    """Return what the seconds depend on."""
    model = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.is_file():
        lines = information.read_text(encoding="utf-8").splitlines()
        model = next((x.partition(":")[2].strip() for x in lines if "model name" in x), model)
    return {"cpu": model, "cores": os.cpu_count(), "used": 1, "system": platform.system()}


# -- the figure -----------------------------------------------------------------------------


def figure(rounds: list[dict[str, Any]], largest: int) -> Any:
    """Draw seconds and memory over candidates and over training points."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(7.4, 5.2), layout="constrained")
    axes = drawn.subplots(2, 2, sharey="row")
    over = {
        "candidates": [row for row in rounds if row["training"] == TYPICAL],
        "training": [row for row in rounds if row["candidates"] == largest],
    }
    labels = {
        "candidates": f"candidates ({TYPICAL} training points)",
        "training": f"training points ({largest:,} candidates)",
    }
    for column, (name, rows) in zip(axes.T, over.items(), strict=True):
        places = [row[name] for row in rows]
        for key, label in SECONDS.items():
            values = [row[f"seconds_{key}"] for row in rows]
            column[0].plot(places, values, marker="o", ms=3, label=label)
        memory = [row["peak_memory_mb"] / 1000 for row in rows]
        column[1].plot(places, memory, marker="o", ms=3, color="black")
        column[1].set_xlabel(labels[name])
        for axis in column:
            axis.set_xlim(left=0)
            axis.xaxis.set_major_formatter("{x:,.0f}")
            axis.grid(color="#dddddd", lw=0.6)
    for axis in axes.flat:  # after all is drawn: rows share their scale
        axis.set_ylim(bottom=0)
    axes[0, 0].set_ylabel("seconds on one core")
    axes[1, 0].set_ylabel("peak memory (GB)")
    axes[0, 0].legend(frameon=False)
    return drawn


if __name__ == "__main__":
    start(main)
