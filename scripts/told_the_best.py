"""What somebody would return who was told the best cells and had only to tell them apart.

A yardstick for `answer.py --studies resampled`: of NAS-Bench-201 the 5, 10, 20 or 40 best cells are
told, of 8,765, and the size of the noise with them. No bound: a search that knows of features
may tell cells apart sooner than by their labels alone. Each is trained once, then top-two
Thompson sampling (Russo, Operations Research 68, 2020) says which is trained again, by means that
are known but for the noise; the largest mean is returned:

    WEAKNAS_DATA=... python scripts/told_the_best.py
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from _shared import DATASETS, SPACE, by_marks, parser, save, start

import weaknas

Floats = npt.NDArray[np.float64]

TOLD = (5, 10, 20, 40)
MARKS = (50, 100, 150, 300)
_DRAWS = 64  # of the scores, until another cell than the first is the best of one


def best_cells(dataset: str, count: int) -> tuple[Floats, Floats]:
    """Return mean scores of the best cells, descending, and the deviation of their trainings."""
    benchmark = weaknas.get_benchmark(SPACE, dataset=dataset, labels="resampled")
    cells = benchmark.space.enumerate()
    cells = cells[np.unique(benchmark.space.fingerprint(cells), return_index=True)[1]]
    scores = benchmark.true_scores(cells)
    best = np.argsort(-scores, kind="stable")[:count]
    return scores[best], benchmark.noise(cells[best])


def regrets(
    scores: Floats, noise: Floats, marks: Sequence[int], rng: np.random.Generator
) -> Floats:
    """Return the regret of one run after so many trainings, at least one a cell, shape (marks,)."""
    counts = np.ones(len(scores))
    sums = scores + noise * rng.standard_normal(len(scores))
    behind: list[float] = []
    for training in range(len(scores), marks[-1] + 1):
        means = sums / counts
        if training in marks:
            behind.append(float(scores.max() - scores[np.argmax(means)]))
        place = choose(means, noise / np.sqrt(counts), rng)
        sums[place] += scores[place] + noise[place] * rng.standard_normal()
        counts[place] += 1
    return np.array(behind)


def choose(means: Floats, errors: Floats, rng: np.random.Generator) -> int:
    """Return what is trained next: the best of a draw, or as often the best one but that."""
    first = int(np.argmax(means + errors * rng.standard_normal(len(means))))
    if rng.random() < 0.5:
        return first
    winners = np.argmax(means + errors * rng.standard_normal((_DRAWS, len(means))), axis=1)
    others = winners[winners != first]
    return int(others[0]) if len(others) else first


def main() -> None:
    """Print a row a data set and number of cells, write the JSON."""
    options = parser(__doc__ or "")
    options.add_argument("--runs", type=int, default=1000)
    arguments = options.parse_args()
    told: Sequence[int] = TOLD
    marks: Sequence[int] = MARKS
    datasets: Sequence[str] = DATASETS
    if arguments.quick:
        arguments.runs, told, marks, datasets = 20, TOLD[:2], (20, 40), DATASETS[:1]
    rows: list[dict[str, Any]] = []
    for dataset in datasets:
        for count in told:
            scores, noise = best_cells(dataset, count)
            runs = np.array(
                [
                    regrets(scores, noise, marks, np.random.default_rng([arguments.seed, run]))
                    for run in range(arguments.runs)
                ]
            )
            returned = {str(m): float(s) for m, s in zip(marks, (runs == 0).mean(0), strict=True)}
            regret = by_marks(runs, marks)
            rows.append(
                {
                    "dataset": dataset,
                    "told": count,
                    "regret_at": regret,
                    "optimum_returned_at": returned,
                }
            )
            cells = [
                f"{mark}: {item['mean']:.3f} ({100 * returned[mark]:.0f} %)"
                for mark, item in regret.items()
            ]
            print(f"{dataset:15} told the {count:3} best  {'  '.join(cells)}")
    save(arguments, "told-the-best", {"runs": arguments.runs, "rows": rows})


if __name__ == "__main__":
    start(main)
