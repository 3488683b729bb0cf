"""Regret of searches that begin with zero-cost proxies of untrained networks, and from zero.

Proxies are those of 400 random cells of NAS-Bench-201, as small networks, on 32 of the digits: a
stand-in that knows nothing of the data sets that are searched. How well they rank all cells is
measured too, as they are and as the process predicts them that a search is given. Of the returned
cells the mean test accuracy is told as well, where the table of it is in WEAKNAS_DATA, as RoBoT
(He et al., ICLR 2024) reports it:

    python scripts/proxies.py --jobs 2
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from _shared import DATASETS, SPACE, by_marks, marks_in_words, parser, save, start
from _tables import archive201_columns
from scipy.stats import spearmanr

import weaknas
from weaknas.components import run_seed
from weaknas.encoders.zero_cost import PROXIES
from weaknas.errors import InputError
from weaknas.evaluators.zero_cost import MEASURED
from weaknas.registry import get_sources
from weaknas.search.sources import Source, SourcesEncoder

#: Data set, sources, number of the run, seed, and after how many trainings.
Task = tuple[str, str, int, int, tuple[int, ...]]


def main() -> None:
    """Measure the proxies, run the searches, print the tables, write the JSON."""
    options = parser(__doc__ or "")
    options.add_argument("--runs", type=int, default=10)
    options.add_argument("--networks", type=int, default=400)
    options.add_argument("--at", type=int, nargs="+", default=[10, 20, 50])
    arguments = options.parse_args()
    datasets: Sequence[str] = DATASETS
    names = list(PROXIES)
    if arguments.quick:
        arguments.runs, arguments.networks, arguments.at = 2, 12, [8, 12]
        datasets, names = DATASETS[:1], ["naswot", *MEASURED[:1]]
    label = f"proxies:networks={arguments.networks}"
    space = weaknas.get_benchmark(SPACE, dataset=datasets[0]).space
    measured = get_sources(f"{label}:names={'+'.join(names)}", space)
    seconds = sum(source.seconds for source in measured)
    print(f"{len(names)} proxies of {arguments.networks} networks: {seconds:.0f} s")
    cells = space.enumerate()
    cells = cells[np.unique(space.fingerprint(cells), return_index=True)[1]]
    encoder = SourcesEncoder(weaknas.WeakNAS(space).encoder, measured, space).fit(cells)
    predicted = encoder.transform(cells)[:, -len(measured) :]
    ranks = [
        row for dataset in datasets for row in correlations(dataset, measured, cells, predicted)
    ]
    for row in ranks:
        print(
            f"{row['dataset']:15} {row['proxy']:18} {row['measured']:6.2f} {row['predicted']:6.2f}"
        )
    kinds = {"from zero": "", "proxies": f"{label}:names={'+'.join(MEASURED)}"}
    if arguments.quick:
        kinds["proxies"] = f"{label}:names=naswot"
    at = tuple(arguments.at)
    tasks: list[Task] = [
        (dataset, kind, run, arguments.seed, at)
        for dataset in datasets
        for kind in kinds.values()
        for run in range(arguments.runs)
    ]
    with multiprocessing.get_context("spawn").Pool(arguments.jobs) as pool:
        found = pool.map(returned_at, tasks)
    rows = []
    for dataset in datasets:
        for name, kind in kinds.items():
            runs = zip(tasks, found, strict=True)
            values = np.array([each for task, each in runs if task[:2] == (dataset, kind)])
            regret, test = (by_marks(values[:, :, column], at) for column in range(2))
            rows.append({"dataset": dataset, "sources": name, "regret_at": regret, "test_at": test})
            print(f"{dataset:15} {name:10} regret {marks_in_words(regret)}")
            print(f"{dataset:15} {name:10} test   {marks_in_words(test)}")
    content = {
        "runs": arguments.runs,
        "networks": arguments.networks,
        "seconds": round(seconds, 1),
        "ranks": ranks,
        "rows": rows,
    }
    save(arguments, "proxies-quick" if arguments.quick else "proxies", content)


def correlations(
    dataset: str, sources: list[Source], cells: Any, predicted: Any
) -> list[dict[str, Any]]:
    """Return Spearman's correlation of each proxy with the accuracies.

    As it was measured of some cells, and as it is predicted of all of them.
    """
    benchmark = weaknas.get_benchmark(SPACE, dataset=dataset)
    everywhere = benchmark.true_scores(cells)
    return [
        {
            "dataset": dataset,
            "proxy": source.name,
            "measured": _spearman(source.scores, benchmark.true_scores(source.genotypes)),
            "predicted": _spearman(column, everywhere),
        }
        for source, column in zip(sources, predicted.T, strict=True)
    ]


def _spearman(left: Any, right: Any) -> float:
    return float(spearmanr(left, right)[0])


def returned_at(task: Task) -> list[tuple[float, float]]:
    """Return regret and test accuracy of the returned architecture after so many trainings."""
    dataset, kind, run, seed, at = task
    benchmark = weaknas.get_benchmark(SPACE, dataset=dataset)
    sources = [kind] if kind else []
    search = weaknas.WeakNAS(benchmark.space, seed=run_seed(seed, run), sources=sources)
    result = weaknas.run(search, benchmark, max(at))
    best = benchmark.optimum().score
    found = []
    for count in at:
        returned = [each for trainings, each in result.returned if trainings <= count][-1]
        genotype = benchmark.space.genotypes([returned.architecture])
        code = int(benchmark.space.fingerprint(genotype)[0])
        score = float(benchmark.true_scores(genotype)[0])
        found.append((best - score, load_test_accuracy(dataset).get(code, float("nan"))))
    return found


@cache
def load_test_accuracy(dataset: str) -> dict[int, float]:
    """Return mean test accuracies by fingerprint; nothing where their table is not there."""
    try:
        space, columns = archive201_columns(dataset)
    except InputError:
        return {}
    codes = space.fingerprint(columns["genotype"]).tolist()
    return dict(zip(codes, columns["test200_mean"].astype(float).tolist(), strict=True))


if __name__ == "__main__":
    start(main)
