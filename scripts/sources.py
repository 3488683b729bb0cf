"""Queries to the best architecture after what was measured or believed before, right and wrong.

Every source is a search of 100 trainings with the default settings, its seed another one in each
run, or of another space 400 random trainings; false ones are the same with permuted or negated
scores. Beliefs are weights of 3 of the operations of the best cell, or of pooling:

    python scripts/sources.py cells --jobs 2   # NAS-Bench-201, three data sets
    python scripts/sources.py beliefs
    python scripts/sources.py spaces           # NAS-Bench-101 for NAS-Bench-201, and back
    python scripts/sources.py graphs --top 10  # the nine data sets of NAS-Bench-Graph

With `--top` one of so many of the best is enough, where the best is but the luckiest of many alike.
Graphs have many pairs, and few runs of each tell nothing: every source of a target has seeds of its
own there, from zero as many runs as all sources together, and a row for all of them.
Beside every true source of the same space stands how far the whole tables agree: their rank
correlation, and at which place of the source's table the first of those looked for is.
"""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from _shared import DATASETS, SPACE, parser, save, start
from scipy.stats import spearmanr

import weaknas
from weaknas.components import parse_label, run_seed
from weaknas.errors import check_whole
from weaknas.laboratory.statistics import bootstrap_interval
from weaknas.reports import plots
from weaknas.search.sources import Source
from weaknas.spaces.graph.table import DATASETS as GRAPHS

_PAID = 100  # trainings of a source
_SAMPLED = 400  # random ones of a source in another space
_WEIGHT = 3.0  # of what is believed
_DRAWS = 2000  # of a bootstrap
_OTHER = "nasbench101"
_ANY = "any other"
_NO_ONE = ("nothing", _ANY)

#: Architectures and labels.
Pairs = list[tuple[str, float]]


@dataclass(frozen=True)
class Task:
    """One search.

    Parameters
    ----------
    target : str
        A benchmark.
    sources : tuple of str
        Benchmarks.
    kind : str
        ``"true"``, ``"permuted"``, ``"negated"``, or of beliefs ``"right"`` and ``"wrong"``.
    run, budget, seed : int
    top : int
        How many of the best architectures are looked for; one of them is enough.
    known : tuple of pairs
        The labels of each source.
    """

    target: str
    sources: tuple[str, ...]
    kind: str
    run: int
    budget: int
    seed: int
    top: int = 1
    known: tuple[Pairs, ...] = ()

    @property
    def origins(self) -> list[tuple[str, bool, int, int]]:
        """What `measure` takes to measure each source."""
        space = parse_label(self.target)[0]
        return [
            (source, parse_label(source)[0] != space, self.run, self.seed)
            for source in self.sources
        ]


def main() -> None:
    """Run one part, print and draw its matrix, write the JSON."""
    options = parser(__doc__ or "")
    options.add_argument("part", nargs="?", default="cells", choices=list(PARTS))
    options.add_argument("--runs", type=int, default=100)
    options.add_argument("--budget", type=int, default=300)
    options.add_argument("--datasets", nargs="+", help="default: all of the part")
    options.add_argument("--top", type=int, default=1, help="of the best; one is enough")
    arguments = options.parse_args()
    check_whole("--top", arguments.top)
    names = arguments.datasets or (GRAPHS if arguments.part == "graphs" else DATASETS)
    if arguments.quick:
        arguments.runs, arguments.budget, names = 2, 30, names[:2]
    tasks = [
        Task(*searched, run, arguments.budget, arguments.seed, arguments.top)
        for searched, numbers in _numbered(arguments.part, names, arguments.runs)
        for run in numbers
    ]
    with multiprocessing.get_context("spawn").Pool(arguments.jobs) as pool:
        needed = list(dict.fromkeys(origin for task in tasks for origin in task.origins))
        known = dict(zip(needed, pool.starmap(measure, needed, chunksize=1), strict=True))
        ready = [
            replace(task, known=tuple(known[origin] for origin in task.origins)) for task in tasks
        ]
        found = pool.map(count_queries, ready, chunksize=1)
    rows = summarize(tasks, found)
    if arguments.part == "graphs":
        rows += together(tasks, found)
    for row in rows:
        low, high = row["queries"]["ci95"]
        label = f"{row['target']} after {row['source']} ({row['kind']})"
        print(f"{label:64} {row['queries']['mean']:6.1f} [{low:.1f}, {high:.1f}]"
              f"  ratio {row['ratio']:.2f}"
              + (" [{:.2f}, {:.2f}]".format(*row["ratio_ci95"]) if "ratio_ci95" in row else "")
              + (f"  tables {row['correlation']:.2f}, rank {row['rank_in_source']}"
                 if "correlation" in row else ""))  # fmt: skip
    others = [row for row in rows if row["source"] != "nothing" and row["kind"] == "true"]
    pooled = [row for row in others if row["source"] == _ANY]
    told = [row["ratio"] for row in pooled or others]
    name = f"sources-{arguments.part}" + "-quick" * arguments.quick
    content = {
        "runs": arguments.runs,
        "budget": arguments.budget,
        "top": arguments.top,
        "rows": rows,
    }
    if told:
        content["geometric_mean"] = float(np.exp(np.mean(np.log(told))))
        print(f"geometric mean of the ratios after sources: {content['geometric_mean']:.2f}")
        plots.save(draw(rows), arguments.results / name, forms=("png",))
    save(arguments, name, content)


#: Target, sources and kind.
Searched = tuple[str, tuple[str, ...], str]


def _cells(names: Sequence[str]) -> Iterable[Searched]:
    labels = [f"{SPACE}:dataset={name}" for name in names]
    for target in labels:
        others = [label for label in labels if label != target]
        yield target, (), "true"
        for source in others:
            for kind in ("true", "permuted", "negated"):
                yield target, (source,), kind
        if len(others) > 1:
            yield target, tuple(others), "true"


def _beliefs(names: Sequence[str]) -> Iterable[Searched]:
    for dataset in names:
        for kind in ("true", "right", "wrong"):
            yield f"{SPACE}:dataset={dataset}", (), kind


def _spaces(names: Sequence[str]) -> Iterable[Searched]:
    pairs = [(f"{SPACE}:dataset={dataset}", _OTHER) for dataset in names]
    for target, source in [*pairs, (_OTHER, pairs[0][0])]:
        yield target, (), "true"
        yield target, (source,), "true"


def _graphs(names: Sequence[str]) -> Iterable[Searched]:
    labels = [f"graph:dataset={name}" for name in names]
    for target in labels:
        yield target, (), "true"
        for source in labels:
            if source != target:
                yield target, (source,), "true"


PARTS: dict[str, Callable[[Sequence[str]], Iterable[Searched]]] = {
    "cells": _cells,
    "beliefs": _beliefs,
    "spaces": _spaces,
    "graphs": _graphs,
}


def _numbered(part: str, names: Sequence[str], runs: int) -> Iterable[tuple[Searched, range]]:
    """Return what is searched and the numbers of its runs: one number is one seed."""
    others = Counter[str]()
    for searched in PARTS[part](names):
        target, sources, _ = searched
        if part != "graphs":
            yield searched, range(runs)
        elif not sources:
            yield searched, range(runs * max(len(names) - 1, 1))
        else:
            yield searched, range(runs * others[target], runs * (others[target] + 1))
            others[target] += 1


@cache
def _benchmark(label: str) -> Any:
    name, options = parse_label(label)
    return weaknas.get_benchmark(name, **options)


@cache
def _best(label: str, top: int) -> Any:
    """Return the fingerprints of the best architectures by mean score, of at least so many."""
    if top == 1:
        return _benchmark(label).optimum().fingerprints
    codes, scores = _table(label)
    return codes[scores >= np.partition(scores, -top)[-top]]


@cache
def _table(label: str) -> tuple[Any, Any]:
    """Return the fingerprints of all architectures, ascending, and their mean scores."""
    benchmark = _benchmark(label)
    codes, index = np.unique(
        benchmark.space.fingerprint(rows := benchmark.space.enumerate()), return_index=True
    )
    return codes, benchmark.true_scores(rows[index])


def agreement(target: str, source: str, top: int) -> dict[str, float]:
    """Return how far two tables agree on the architectures that both have.

    Spearman's correlation, and the rank in the source of the first of the best ones of the target;
    tables may lack what others have.
    """
    (codes, scores), (others, known) = _table(target), _table(source)
    _, own, theirs = np.intersect1d(codes, others, assume_unique=True, return_indices=True)
    best = known[theirs][np.argsort(-scores[own], kind="stable")[:top]].max()
    return {
        "correlation": round(float(spearmanr(scores[own], known[theirs]).statistic), 3),
        "rank_in_source": int((known > best).sum()) + 1,
    }


def _dataset(label: str) -> str:
    return str(parse_label(label)[1].get("dataset", label))


def measure(label: str, sample: bool, run: int, seed: int) -> Pairs:
    """Return architectures and labels of a search of a benchmark, or of random trainings."""
    benchmark = _benchmark(label)
    strategy = "random" if sample else "weaknas"
    search = weaknas.get_strategy(strategy, benchmark.space, seed=run_seed(seed + 2, run))
    result = weaknas.run(search, benchmark, budget=_SAMPLED if sample else _PAID)
    return [(trial.architecture.text, trial.score) for trial in result.trials]


def count_queries(task: Task) -> int:
    """Return the queries of one search until one of the best, at most the budget."""
    benchmark = _benchmark(task.target)
    space, best = benchmark.space, _best(task.target, task.top)
    given = [_source(*each, task) for each in zip(task.sources, task.known, strict=True)]
    prior = _prior(task.kind, space, _best(task.target, 1))
    seed = run_seed(task.seed, task.run)
    search = weaknas.WeakNAS(space, seed=seed, sources=given, prior=prior, repeats="never")
    queries, seed = 0, run_seed(task.seed + 1, task.run)
    while queries < task.budget:
        asked = search.ask(min(search.round_size, task.budget - queries))
        met = np.isin(space.fingerprint(space.genotypes(asked)), best)
        if met.any():
            return queries + 1 + int(np.argmax(met))
        queries += len(asked)
        search.tell(asked, [benchmark.evaluate(one, seed=seed).score for one in asked])
    return task.budget


def _source(label: str, pairs: Pairs, task: Task) -> Source:
    """Return what was measured, as true or false as said."""
    texts, scores = zip(*pairs, strict=True)
    told = {
        "permuted": np.random.default_rng(task.run).permutation(scores),
        "negated": -np.array(scores),
    }.get(task.kind, np.array(scores))
    return Source.of_pairs(_benchmark(label).space, zip(texts, told, strict=True), label)


def _prior(kind: str, space: Any, best: Any) -> dict[str, dict[str, float]] | None:
    """Return weights of the operations of the best cell, or of pooling, where that is asked for."""
    if kind not in ("right", "wrong"):
        return None
    rows = space.canonicalize(space.enumerate())
    row = rows[np.isin(space.fingerprint(rows), best)][0]
    names = [values[index] for values, index in zip(space.value_names, row, strict=True)]
    if kind == "wrong":
        names = ["avg_pool_3x3"] * len(names)
    return {edge: {name: _WEIGHT} for edge, name in zip(space.variables, names, strict=True)}


def summarize(tasks: list[Task], found: list[int]) -> list[dict[str, Any]]:
    """Return a row a target, sources and kind: mean queries, and the ratio to nothing known."""
    groups: dict[tuple[str, tuple[str, ...], str], list[int]] = {}
    for task, queries in zip(tasks, found, strict=True):
        groups.setdefault((task.target, task.sources, task.kind), []).append(queries)
    rows = []
    for (target, sources, kind), group in groups.items():
        low, high = bootstrap_interval(group)
        mean = float(np.mean(group))
        zero = float(np.mean(groups[target, (), "true"]))
        rows.append(
            {
                "target": target,
                "source": " and ".join(sources) or "nothing",
                "kind": kind,
                "runs": len(group),
                "queries": {"mean": mean, "ci95": [low, high]},
                "ratio": mean / zero,
            }
        )
        space = parse_label(target)[0]
        if kind == "true" and [parse_label(source)[0] for source in sources] == [space]:
            rows[-1] |= agreement(target, sources[0], tasks[0].top)
    return rows


def together(tasks: list[Task], found: list[int]) -> list[dict[str, Any]]:
    """Return a row a target: the runs of all sources together, and their ratio to from zero."""
    apart: dict[str, tuple[list[int], list[int]]] = {}
    for task, queries in zip(tasks, found, strict=True):
        apart.setdefault(task.target, ([], []))[bool(task.sources)].append(queries)
    rng, rows = np.random.default_rng(0), []
    for target, (zero, told) in apart.items():
        low, high = bootstrap_interval(told)
        drawn = [
            rng.choice(told, len(told)).mean() / rng.choice(zero, len(zero)).mean()
            for _ in range(_DRAWS)
        ]
        rows.append(
            {
                "target": target,
                "source": _ANY,
                "kind": "true",
                "runs": len(told),
                "queries": {"mean": float(np.mean(told)), "ci95": [low, high]},
                "ratio": float(np.mean(told) / np.mean(zero)),
                "ratio_ci95": np.quantile(drawn, [0.025, 0.975]).round(3).tolist(),
            }
        )
    return rows


def draw(rows: list[dict[str, Any]]) -> Any:
    """Draw the matrix of ratios, source by target."""
    from matplotlib.figure import Figure

    ratios = {
        (_dataset(row["source"]), _dataset(row["target"])): row["ratio"]
        for row in rows
        if row["kind"] == "true" and " and " not in row["source"] and row["source"] not in _NO_ONE
    }
    targets = list(dict.fromkeys(target for _, target in ratios))
    sources = sorted({source for source, _ in ratios}, key=[*targets, _OTHER].index)
    matrix = np.array([[ratios.get((s, t), np.nan) for t in targets] for s in sources])
    drawn = Figure(figsize=(1.8 + 0.6 * len(targets), 1.4 + 0.45 * len(sources)), dpi=90)
    axis = drawn.subplots()
    axis.imshow(np.log2(matrix), cmap="RdYlGn_r", vmin=-2, vmax=2, aspect="auto")
    for (row, column), ratio in np.ndenumerate(matrix):
        if np.isfinite(ratio):
            axis.text(column, row, f"{ratio:.2f}", ha="center", va="center", fontsize=8)
    axis.set_xticks(range(len(targets)), targets, rotation=45, ha="right", fontsize=8)
    axis.set_yticks(range(len(sources)), sources, fontsize=8)
    axis.set(title="queries after a source / from zero", xlabel="searched", ylabel="source")
    return drawn


if __name__ == "__main__":
    start(main)
