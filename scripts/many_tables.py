"""Judge the default search on many tables, real and synthetic, beside the strongest baselines.

For every table: the mean number of queries until the best architecture is queried (a run that
does not find it counts its whole budget) of each strategy, and the ratio of each to the better
local search; then the geometric means of these ratios by group, and of how many times the queries
of the default the others need. Runs are kept in a file and not made again:

    WEAKNAS_DATA=... python scripts/many_tables.py --jobs 2

A strategy ``without:BLOCK`` is the default without one block of its features, and
``without:draws`` with the mode of its hyperparameters alone; ``smac`` and
``botorch`` are optimisers of other projects, for tables of plain choices; ``known-process`` knows
the process that a random function is a draw of, and is a bound for those that do not. A strategy
that is none for a table is left out there.
"""

from __future__ import annotations

import json
import multiprocessing
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from _known_process import KnownProcess
from _outside import OUTSIDE
from _shared import parser, save, start
from _tables import Table, available, tables

from weaknas import WeakNAS
from weaknas.components import run_seed
from weaknas.errors import unknown
from weaknas.evaluators import TabularBenchmark
from weaknas.laboratory.experiment import parse_strategy
from weaknas.laboratory.statistics import bootstrap_interval
from weaknas.search.presets import default_encoder, get_preset
from weaknas.spaces import ChoiceSpace, SearchSpace
from weaknas.strategies import Strategy

DEFAULT, WITHOUT, DRAWS, KNOWN = "weaknas", "without:", "draws", "known-process"
LOCAL_SEARCHES = ("local-search", "local-search:first-improvement=true:continue-at-optimum=true")
OTHERS = ("optuna-tpe", "regularized-evolution", "simulated-annealing")

#: Table, strategy and number of a run.
Task = tuple[str, str, int]


def main() -> None:
    """Make the runs that are missing, print a row a table, write the JSON."""
    options = parser(__doc__ or "")
    options.add_argument("--runs", type=int, default=30)
    options.add_argument("--budget", type=int, default=300)
    options.add_argument("--strategies", nargs="+", default=[DEFAULT, *LOCAL_SEARCHES, *OTHERS])
    options.add_argument("--groups", nargs="+", help="default: all")
    options.add_argument("--tables", nargs="+", help="names; default: all")
    options.add_argument("--name", default="many-tables", help="of the results")
    arguments = options.parse_args()
    if arguments.quick:
        arguments.runs, arguments.budget = 2, 20
        arguments.groups = arguments.groups or ["chains", "random"]
        arguments.strategies = [
            DEFAULT,
            LOCAL_SEARCHES[0],
            KNOWN,
            f"{WITHOUT}value-counts",
            WITHOUT + DRAWS,
        ]
    every = tables()
    _check("group", arguments.groups, {table.group for table in every})
    _check("table", arguments.tables, {table.name for table in every})
    chosen = [
        table
        for table in every
        if (not arguments.groups or table.group in arguments.groups)
        and (not arguments.tables or table.name in arguments.tables)
    ]
    chosen = list(available(chosen))
    fitting = {_key(table): fit(table, arguments.strategies) for table in chosen}
    quick = "-quick" if arguments.quick else ""
    kept = Runs(arguments.work / f"many-tables{quick}.jsonl", arguments.budget, arguments.seed)
    kept.complete(fitting, arguments.runs, arguments.jobs)
    rows = [summarize(table, fitting[_key(table)], kept, arguments.runs) for table in chosen]
    groups, times = by_group(rows, "ratio"), by_group(rows, "times_default")
    show(rows, groups, times, arguments.strategies)
    content = {
        "runs": arguments.runs,
        "budget": arguments.budget,
        "groups": groups,
        "times_default": times,
        "tables": rows,
    }
    save(arguments, arguments.name + quick, content)


def _check(kind: str, given: Sequence[str] | None, known: Collection[str]) -> None:
    for name in given or ():
        if name not in known:
            raise unknown(kind, name, sorted(known))


def fit(table: Table, strategies: Sequence[str]) -> list[str]:
    """Return the strategies that are one for a table; see the text above."""
    space = table.benchmark().space
    parts = [*default_encoder(space).split("+"), DRAWS]
    return [
        label
        for label in strategies
        if (label != KNOWN or table.process)
        and (label not in OUTSIDE or isinstance(space, ChoiceSpace))
        and (not label.startswith(WITHOUT) or label.removeprefix(WITHOUT) in parts)
    ]


class Runs:
    """Runs in a file of lines, one a run, made where they are missing.

    Parameters
    ----------
    path : Path
    budget, seed : int
    """

    def __init__(self, path: Path, budget: int, seed: int) -> None:
        self._path, self._budget, self._seed = path, budget, seed
        self._known: dict[Task, list[list[int]]] = {}
        for line in path.read_text().splitlines() if path.is_file() else ():
            run = json.loads(line)
            if (run["budget"], run["seed"]) == (budget, seed):
                self._known[run["table"], run["strategy"], run["run"]] = run["ranks"]

    def complete(self, strategies: Mapping[str, Sequence[str]], runs: int, jobs: int) -> None:
        """Make what is missing, table by table, and append it as it comes."""
        missing = [
            (table, label, run)
            for table, labels in strategies.items()
            for label in labels
            for run in range(runs)
            if (table, label, run) not in self._known
        ]
        if not missing:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        work = [(task, self._budget, self._seed) for task in missing]
        context = multiprocessing.get_context("spawn")
        with context.Pool(jobs) as pool, self._path.open("a") as file:
            for task, ranks in pool.imap_unordered(make_run, work, chunksize=4):
                self._known[task] = ranks
                names = dict(zip(("table", "strategy", "run"), task, strict=True))
                line = names | {"budget": self._budget, "seed": self._seed, "ranks": ranks}
                file.write(json.dumps(line) + "\n")
                file.flush()

    def queries(self, table: Table, strategy: str, runs: int, top: int = 1) -> list[int]:
        """Return of every run the queries until one of the best `top` was queried."""
        found = []
        for run in range(runs):
            ranks = self._known[_key(table), strategy, run]
            found.append(next((query for query, rank in ranks if rank < top), self._budget))
        return found


def make_run(work: tuple[Task, int, int]) -> tuple[Task, list[list[int]]]:
    """Return every improvement of one run: its query, and how many architectures are better."""
    (key, label, run), budget, seed = work
    benchmark, better = _load(key)
    space = benchmark.space
    strategy = build(label, _table(key), space, run_seed(seed, run))
    ranks: list[list[int]] = []
    told = 0
    while told < budget and (not ranks or ranks[-1][1] > 0):
        asked = strategy.ask(min(strategy.round_size, budget - told))
        if not asked:
            break
        scores = benchmark.true_scores(space.genotypes(asked))
        for score in scores.tolist():
            told += 1
            rank = int(len(better) - np.searchsorted(better, score, side="right"))
            if not ranks or rank < ranks[-1][1]:
                ranks.append([told, rank])
        strategy.tell(asked, scores)
    return (key, label, run), ranks


def build(label: str, table: Table, space: SearchSpace, seed: int) -> Strategy:
    """Return a strategy by its label; see the text above."""
    if label == KNOWN:
        return KnownProcess(space, table.process, seed=seed)
    if label in OUTSIDE:
        return OUTSIDE[label](space, seed=seed)
    if not label.startswith(WITHOUT):
        return parse_strategy(label)(space, seed=seed)
    if label == WITHOUT + DRAWS:
        predictor = get_preset("default", space).build_predictor("gp:draws=0")
        return WeakNAS(space, predictor=predictor, seed=seed)
    blocks = default_encoder(space).split("+")
    encoder = "+".join(name for name in blocks if name != label.removeprefix(WITHOUT))
    return WeakNAS(space, encoder=encoder, seed=seed)


@lru_cache(maxsize=1)
def _load(key: str) -> tuple[TabularBenchmark, Any]:
    benchmark = _table(key).benchmark()
    rows = benchmark.space.enumerate()
    codes = benchmark.space.fingerprint(rows)
    rows = rows[np.unique(codes, return_index=True)[1]]
    return benchmark, np.sort(benchmark.true_scores(rows))


def _table(key: str) -> Table:
    return next(table for table in tables() if _key(table) == key)


def _key(table: Table) -> str:
    return f"{table.group}/{table.name}"


def summarize(table: Table, strategies: Sequence[str], kept: Runs, runs: int) -> dict[str, Any]:
    """Return the row of a table: queries by strategy, and their ratios."""
    row: dict[str, Any] = {"group": table.group, "table": table.name, "queries": {}, "top10": {}}
    for strategy in strategies:
        found = kept.queries(table, strategy, runs)
        low, high = bootstrap_interval(found)
        row["queries"][strategy] = {"mean": float(np.mean(found)), "ci95": [low, high]}
        row["top10"][strategy] = float(np.mean(kept.queries(table, strategy, runs, top=10)))
    means = {name: item["mean"] for name, item in row["queries"].items()}
    climbs = [means[name] for name in LOCAL_SEARCHES if name in means]
    if climbs:
        row["ratio"] = {
            name: mean / min(climbs) for name, mean in means.items() if name not in LOCAL_SEARCHES
        }
    if DEFAULT in means:
        row["times_default"] = {
            name: mean / means[DEFAULT] for name, mean in means.items() if name != DEFAULT
        }
    return row


def by_group(rows: Sequence[Mapping[str, Any]], column: str) -> dict[str, dict[str, float]]:
    """Return the geometric mean of a column of ratios, of every group and strategy."""
    ratios: defaultdict[str, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        for strategy, ratio in row.get(column, {}).items():
            ratios[row["group"]][strategy].append(ratio)
    return {
        group: {name: float(np.exp(np.mean(np.log(each)))) for name, each in of.items()}
        for group, of in ratios.items()
    }


def show(
    rows: Sequence[Mapping[str, Any]],
    groups: Mapping[str, Mapping[str, float]],
    times: Mapping[str, Mapping[str, float]],
    strategies: Sequence[str],
) -> None:
    """Print the means of all tables, and the ratios of all groups."""
    print("queries until the best, mean: " + ", ".join(strategies))
    for row in rows:
        means = "".join(
            f"{row['queries'][name]['mean']:9.1f}" if name in row["queries"] else f"{'-':>9}"
            for name in strategies
        )
        ratio = f"   ratio {row['ratio'][DEFAULT]:.2f}" if DEFAULT in row.get("ratio", {}) else ""
        print(f"{row['group'] + '/' + row['table']:32}{means}{ratio}")
    _show_groups("ratio to the better local search", groups)
    _show_groups("times the queries of the default", times)


def _show_groups(title: str, groups: Mapping[str, Mapping[str, float]]) -> None:
    if groups:
        print(f"\n{title}, geometric mean")
    for group, ratios in groups.items():
        print(f"{group:16}" + ", ".join(f"{name} {mean:.3f}" for name, mean in ratios.items()))


if __name__ == "__main__":
    start(main)
