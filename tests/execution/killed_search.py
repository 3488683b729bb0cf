"""A search with two worker processes, to be killed: folder, mode, budget, most of a process."""

from __future__ import annotations

import sys
from pathlib import Path

from execution_judges import SPACE, Judge, Noisy

import weaknas
from weaknas.execution import ProcessPool
from weaknas.strategies import RandomSearch, RegularizedEvolution, Repeating, Strategy

SECONDS = 0.02


def strategy(mode: str) -> Strategy:
    if mode == "random-asynchronous":
        return RandomSearch(SPACE, seed=3)
    evolution = RegularizedEvolution(SPACE, seed=3, population=12, batch_size=4)
    if mode.startswith("repeats"):  # of two trainings at once, and of the best at the end
        return Repeating(evolution, repeats=2, confirm=10)
    return evolution


def judge(mode: str) -> type[Judge]:
    return Noisy if mode.startswith("repeats") else Judge


def main(folder: Path, mode: str, budget: int, most: float) -> None:
    with ProcessPool(2) as pool:
        weaknas.run(
            strategy(mode),
            judge(mode)(folder, SECONDS, most=most),
            budget,
            executor=pool,
            asynchronous=mode.endswith("asynchronous"),
            output=folder / "run",
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
