"""What a search returns after 50, 100, 150 and 300 trainings, and how sure it may be of it.

The default, the default without repeats, and published strategies, each plain, with two more
trainings of each of its five best at the end (`confirm=5`, a run for every budget) and with
repeats at any time (`confirm=auto`), on NAS-Bench-201 by two protocols: a training shows one of
the table's, until none is left, or is resampled without end; and on NAS-Bench-101, whose sample
has one value a cell, with normal noise of 0.2 points. Then, over all runs: how often what was
said to be the best with some probability was the best of those trained.

Run it again to continue where it was cut short:

    WEAKNAS_DATA=... python scripts/answer.py --jobs 2
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from _shared import DATASETS, parser, run, save, start

from weaknas.laboratory.results import read_queries
from weaknas.laboratory.summary import by_dataset
from weaknas.reports import plots

#: Local search in the form that needs the fewest queries here.
BASELINES = ("local-search:first-improvement=true", "regularized-evolution", "optuna-tpe")
ANYTIME = (
    "weaknas",
    "weaknas:repeats=never",
    *BASELINES,
    *(f"{name}:confirm=auto" for name in BASELINES),
    "optuna-gp",
)
AT_THE_END = tuple(f"{name}:confirm=5" for name in BASELINES)
FEWER = {"optuna-gp": 5}  # minutes a run
QUICK = ("weaknas", "local-search", "local-search:confirm=auto", "local-search:confirm=5")
MARKS = (50, 100, 150, 300)
BINS = 10


@dataclass(frozen=True)
class Study:
    """A space, its data sets, and what a training shows."""

    space: str
    datasets: tuple[str, ...]
    labels: str
    noise: float | None = None


STUDIES = {
    "one-seed": Study("nasbench201", DATASETS, "one-seed"),
    "resampled": Study("nasbench201", DATASETS, "resampled"),
    "nasbench101": Study("nasbench101", ("cifar10",), "resampled", 0.2),
}


def compare(
    arguments: argparse.Namespace, name: str, strategies: list[str], budget: int
) -> tuple[list[dict[str, Any]], Path]:
    """Compare strategies in one study; return the summary of each data set, and the runs."""
    study = STUDIES[name]
    summary, folder = run(
        arguments,
        f"answer-{name}-{budget}-{'end' if strategies[0] in AT_THE_END else 'anytime'}",
        strategies,
        space=study.space,
        datasets=study.datasets,
        labels=study.labels,
        noise=study.noise,
        runs=arguments.runs,
        budget=budget,
        runs_of={k: min(n, arguments.runs) for k, n in FEWER.items() if k in strategies},
    )
    return by_dataset(summary), folder


def measure(arguments: argparse.Namespace, name: str) -> tuple[dict[str, Any], pa.Table]:
    """Return what is returned in one study, by data set and strategy, and the anytime runs."""
    marks = arguments.marks
    anytime = [label for label in arguments.strategies if label not in AT_THE_END]
    parts, folder = compare(arguments, name, anytime, marks[-1])
    rows = {part["dataset"]: [answer(item, marks) for item in part["strategies"]] for part in parts}
    at_the_end = [label for label in arguments.strategies if label in AT_THE_END]
    spent = {mark: compare(arguments, name, at_the_end, mark)[0] for mark in marks if at_the_end}
    for place, dataset in enumerate(rows):
        for number, _ in enumerate(at_the_end):
            runs = {mark: parts[place]["strategies"][number] for mark, parts in spent.items()}
            row = answer(runs[marks[-1]], marks[-1:])
            for column in ("regret_at", "optimum_returned_at"):
                row[column] = {str(mark): item[column][str(mark)] for mark, item in runs.items()}
            rows[dataset].append(row)
    return rows, read_queries(folder)


def answer(item: dict[str, Any], marks: list[int]) -> dict[str, Any]:
    """Return what a comparison says of what a strategy returns."""
    at = ("regret_at", "optimum_returned_at")
    names = ("strategy", "runs", "found_rate", "queries_to_optimum", "seconds_per_run")
    return {name: item[name] for name in names} | {
        column: {str(mark): item[column][str(mark)] for mark in marks} for column in at
    }


def calibrate(queries: pa.Table) -> dict[str, list[dict[str, Any]]]:
    """Compare what was said with what was true, after every training, by strategy.

    Intervals resample runs: the trainings of one are no independent cases.
    """
    curves = {}
    for strategy in queries["strategy"].unique().to_pylist():
        table = queries.filter(pc.equal(queries["strategy"], strategy))
        said = table["probability_best"].to_numpy(zero_copy_only=False)
        known = np.isfinite(said) & (table["returned"].to_numpy() > 0)
        if known.any():
            curves[strategy] = _bins(said, is_best(table), owners(table), known)
    return curves


def owners(table: pa.Table) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the number of the run that each training is of, shape (n,)."""
    return np.cumsum(table["query"].to_numpy() == 1) - 1


def is_best(table: pa.Table) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Tell whether what would be returned is the best of those trained by then, shape (n,)."""
    means, run = table["mean_score"].to_numpy(), owners(table)
    best = np.concatenate(
        [np.fmax.accumulate(means[run == number]) for number in range(run[-1] + 1)]
    )
    return np.asarray(table["returned_score"].to_numpy() >= best - 1e-9)


def _bins(said: Any, true: Any, run: Any, known: Any) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    place = np.minimum((np.nan_to_num(said) * BINS).astype(int), BINS - 1)
    drawn = rng.integers(run[-1] + 1, size=(1000, run[-1] + 1))
    bins = []
    for number in range(BINS):
        chosen = known & (place == number)
        if not chosen.any():
            continue
        cases = np.bincount(run[chosen], minlength=run[-1] + 1)
        hits = np.bincount(run[chosen], true[chosen], minlength=run[-1] + 1)
        total = cases[drawn].sum(axis=1)
        shares = hits[drawn].sum(axis=1)[total > 0] / total[total > 0]
        bins.append(
            {
                "said": round(float(said[chosen].mean()), 4),
                "true": round(float(true[chosen].mean()), 4),
                "ci95": [round(float(end), 4) for end in np.quantile(shares, (0.025, 0.975))],
                "trainings": int(chosen.sum()),
                "runs": int((cases > 0).sum()),
            }
        )
    return bins


def show(name: str, rows: dict[str, Any], marks: list[int]) -> None:
    """Print what is returned, a line a strategy: regret, and how many runs return the best."""
    for dataset, items in rows.items():
        print(f"\n{name}, {dataset}: regret of what is returned after {marks} trainings")
        for item in items:
            cells = [
                f"{item['regret_at'][str(mark)]['mean']:7.3f}"
                f" ({100 * item['optimum_returned_at'][str(mark)]:3.0f} %)"
                for mark in marks
            ]
            print(f"{item['strategy']:36} {item['runs']:4} runs {'  '.join(cells)}")


def main() -> None:
    """Run all studies and write their tables, and the calibration with its figure."""
    options = parser(__doc__ or "")
    options.add_argument("--runs", type=int, default=100)
    options.add_argument("--studies", nargs="+", default=list(STUDIES), choices=list(STUDIES))
    options.add_argument("--strategies", nargs="+", default=[*ANYTIME, *AT_THE_END])
    options.add_argument("--marks", nargs="+", type=int, default=list(MARKS))
    arguments = options.parse_args()
    if arguments.quick:
        arguments.runs, arguments.marks = 2, [10, 20]
        arguments.strategies = list(QUICK)
    answers, calibration = {}, {}
    for name in arguments.studies:
        rows, queries = measure(arguments, name)
        answers[name], calibration[name] = rows, calibrate(queries)
        show(name, rows, arguments.marks)
    print("\nsaid to be the best of those trained, and was: mean, share, trainings")
    for name, curves in calibration.items():
        for strategy, bins in curves.items():
            text = ", ".join(f"{b['said']:.2f} {b['true']:.2f} ({b['trainings']})" for b in bins)
            print(f"{name:12} {strategy:30} {text}")
    studies = {name: vars(STUDIES[name]) for name in arguments.studies}
    save(
        arguments,
        "answer",
        {"studies": studies, "answers": answers, "calibration": calibration},
    )
    panels = {
        name: {
            strategy: [(b["said"], b["true"], tuple(b["ci95"])) for b in bins]
            for strategy, bins in curves.items()
        }
        for name, curves in calibration.items()
        if curves
    }
    if panels:
        figure = plots.plot_calibration(panels)
        plots.save(figure, arguments.results / "answer-calibration", forms=("png",))


if __name__ == "__main__":
    start(main)
