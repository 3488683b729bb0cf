"""From the queries of many runs to the numbers of a comparison."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from weaknas.laboratory.fronts import complete_reference, cost_rows, volume_curve
from weaknas.laboratory.statistics import (
    Floats,
    bootstrap_interval,
    compare_ranks,
    holm,
    queries_to_optimum,
    relative_improvement,
    wilcoxon,
)


def checkpoints(budget: int) -> list[int]:
    """Return the numbers of queries at which regret is reported, the budget being the last."""
    marks = {10, 25, 50, 100, 150, *range(200, budget, 100)}
    return sorted({mark for mark in marks if mark < budget} | {budget})


@dataclass(frozen=True)
class StrategyRuns:
    """The runs of one strategy on one data set, as arrays in the order of runs.

    Parameters
    ----------
    strategy, dataset : str
    budget : int
    runs : ndarray of int, shape (runs,)
    regret : ndarray of float, shape (runs, budget)
        Of what would be returned after each training; a run that ended early keeps its last value.
    to_optimum : ndarray of float, shape (runs,)
        Trainings until the optimum was first trained; NaN where it was not.
    cost : ndarray of float, shape (runs, budget)
        Training seconds spent up to each training; NaN after the end of a run.
    seconds : ndarray of float, shape (runs,)
        Time of the strategy itself.
    top : ndarray of float, shape (runs, budget)
        Share of the space that is at least as good as each query; NaN after the end.
    best : ndarray of float, shape (runs, budget)
        Mean score of what would be returned after each training; a run that ended
        early keeps its last value.
    returned : ndarray of float, shape (runs, budget)
        1 where that is the optimum, else 0; kept alike.
    is_known : bool
        Whether the optimum is; if not, `regret`, `to_optimum` and `top` are NaN.
    volume : ndarray of float, shape (runs, budget), optional
        That the trainings so far dominate, of runs with objectives beside the score; a run that
        ended early keeps its last value.
    """

    strategy: str
    dataset: str
    budget: int
    runs: npt.NDArray[np.int64]
    regret: Floats
    to_optimum: Floats
    cost: Floats
    top: Floats
    seconds: Floats
    best: Floats
    returned: Floats
    is_known: bool = True
    volume: Floats | None = None

    @property
    def last(self) -> Floats:
        """Mean score of what is returned at the end, shape (runs,)."""
        return np.asarray(self.best[:, -1])

    @property
    def loss(self) -> Floats:
        """What runs are tested by, smaller is better, shape (runs,).

        Trainings to the optimum; where it is not known, the negated score at the end; with
        objectives the negated volume at the end. Infinite where nothing has a score.
        """
        loss = self.queries if self.is_known else -self.last
        if self.volume is not None:
            loss = -self.volume[:, -1]
        return np.where(np.isnan(loss), np.inf, loss)

    @property
    def found(self) -> npt.NDArray[np.bool_]:
        """Which runs queried the optimum, shape (runs,)."""
        return np.isfinite(self.to_optimum)

    @property
    def queries(self) -> Floats:
        """Queries to the optimum, shape (runs,); the budget where it was not found."""
        return np.where(self.found, self.to_optimum, self.budget)


def collect(
    queries: pa.Table,
    dataset: str,
    strategy: str,
    budget: int,
    reference: Mapping[str, float] | None = None,
) -> StrategyRuns | None:
    """Return the runs of one strategy on one data set, None where there are none.

    With objectives, `reference` is from where their volume is measured, see
    `weaknas.laboratory.fronts.volume_curve`.
    """
    chosen = pc.and_(pc.equal(queries["dataset"], dataset), pc.equal(queries["strategy"], strategy))
    table = queries.filter(chosen)
    if len(table) == 0:
        return None
    column = {
        name: table[name].to_numpy()
        for name in (
            "run",
            "query",
            "regret",
            "is_optimum",
            "cost",
            "top",
            "seconds",
            "returned_score",
            "optimum_returned",
        )
    }
    starts = np.flatnonzero(column["query"] == 1)
    runs = [slice(*ends) for ends in zip(starts, [*starts[1:], len(table)], strict=True)]
    volume = None
    if reference is not None:
        scores, costs = table["mean_score"].to_numpy(), cost_rows(table)
        curves = [volume_curve(scores[part], costs[part], reference) for part in runs]
        volume = _rows(runs, np.concatenate(curves), budget, extend=True)
    hits = [queries_to_optimum(column["is_optimum"][part]) for part in runs]
    return StrategyRuns(
        strategy,
        dataset,
        budget,
        column["run"][starts].astype(np.int64),
        _rows(runs, column["regret"], budget, extend=True),
        np.array([math.nan if hit is None else hit for hit in hits]),
        _rows(runs, np.concatenate([column["cost"][part].cumsum() for part in runs]), budget),
        _rows(runs, column["top"], budget),
        column["seconds"][starts],
        _rows(runs, column["returned_score"], budget, extend=True),
        _rows(runs, column["optimum_returned"].astype(np.float64), budget, extend=True),
        not (np.isfinite(column["returned_score"]) & np.isnan(column["regret"])).any(),
        volume,
    )


def _rows(runs: list[slice], values: Floats, width: int, *, extend: bool = False) -> Floats:
    rows = np.full((len(runs), width), np.nan)
    for row, part in zip(rows, runs, strict=True):
        run = values[part][:width]
        row[: len(run)] = run
        if extend:
            row[len(run) :] = run[-1]
    return rows


def summarize(
    config: dict[str, Any], queries: pa.Table | None, failures: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """Return the summary of a comparison as plain JSON types.

    For one data set: ``space, dataset, runs, budget, budget_cost, seed, labels,
    optimum, optimum_score, random_score, strategies, failures``. Each of
    ``strategies`` has ``strategy, runs, found_rate, queries_to_optimum {mean, median,
    p90, ci95}, regret_at {"50": {mean, ci95}, ...}, best_at (the same of the
    mean score of what is returned), optimum_returned_at {"50": share, ...},
    seconds_per_run, relative_improvement, wilcoxon``, and with objectives beside the score
    ``hypervolume_at {"50": {mean, ci95}, ...}``, by which runs are then tested; ``hypervolume``
    of the data set is as `weaknas.laboratory.experiment.Truth.describe` has it.
    A run that did not find the optimum counts as its full budget. Where the optimum
    is not known, what is said by it is None, and runs are tested by the last score.
    For several data sets: ``space, datasets``, a list of these, and ``ranks`` over them.

    Parameters
    ----------
    config : dict
        The description of the experiment, see `weaknas.laboratory.experiment.Experiment.describe`.
    queries : pyarrow.Table or None
        See `weaknas.laboratory.experiment.query_table`.
    failures : sequence of dict
        Runs that raised: ``dataset, strategy, run, error``.
    """
    datasets = [_dataset(config, name, queries, failures) for name in config["datasets"]]
    if len(datasets) == 1:
        return datasets[0]
    return {"space": config["space"], "datasets": datasets, "ranks": _ranks(datasets)}


def by_dataset(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the summaries of the single data sets."""
    return list(summary["datasets"]) if "datasets" in summary else [summary]


def _dataset(
    config: dict[str, Any],
    dataset: str,
    queries: pa.Table | None,
    failures: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    facts, budget = config["datasets"][dataset], config["budget"]
    volume = read_volume(config, dataset, queries)
    reference = None if volume is None else volume["reference"]
    collected = {
        name: None if queries is None else collect(queries, dataset, name, budget, reference)
        for name in config["strategies"]
    }
    found = {name: runs for name, runs in collected.items() if runs is not None}
    items = {name: _strategy(runs, facts.get("random_score")) for name, runs in found.items()}
    for name, test in _tests(list(found.values())).items():
        items[name]["wilcoxon"] = test
    failed = [
        {key: value for key, value in failure.items() if key != "dataset"}
        for failure in failures
        if failure["dataset"] == dataset
    ]
    return {
        "space": config["space"],
        "dataset": dataset,
        "runs": config["runs"],
        "budget": budget,
        "budget_cost": config.get("budget_cost"),
        "seed": config["seed"],
        "labels": facts.get("labels"),
        "optimum": config["optimum"],
        "optimum_score": (facts.get("optimum") or {}).get("score"),
        "random_score": facts.get("random_score"),
        **({} if volume is None else {"hypervolume": volume}),
        "strategies": list(items.values()),
        "failures": failed,
    }


def read_volume(
    config: Mapping[str, Any], dataset: str, queries: pa.Table | None
) -> dict[str, Any] | None:
    """Return from where volumes on a data set are measured; None without objectives."""
    described = config["datasets"][dataset].get("hypervolume")
    if described is None:
        return None
    own = None if queries is None else queries.filter(pc.equal(queries["dataset"], dataset))
    return complete_reference(described, own)


def _strategy(runs: StrategyRuns, random_score: float | None) -> dict[str, Any]:
    improvement = (
        relative_improvement(float(runs.last.mean()), random_score)
        if random_score is not None and random_score > 0
        else math.nan
    )
    return {
        "strategy": runs.strategy,
        "runs": len(runs.runs),
        **_by_optimum(runs),
        "best_at": _at_checkpoints(runs.best),
        **({} if runs.volume is None else {"hypervolume_at": _at_checkpoints(runs.volume)}),
        "seconds_per_run": _number(runs.seconds.mean()),
        "relative_improvement": _number(improvement),
    }


def _by_optimum(runs: StrategyRuns) -> dict[str, Any]:
    """Return what is said by the optimum, None where it is not known."""
    if not runs.is_known:
        names = ("found_rate", "queries_to_optimum", "regret_at", "optimum_returned_at")
        return dict.fromkeys(names)
    queries = runs.queries
    return {
        "found_rate": _number(runs.found.mean()),
        "queries_to_optimum": {
            "mean": _number(queries.mean()),
            "median": _number(np.median(queries)),
            "p90": _number(np.quantile(queries, 0.9, method="inverted_cdf")),
            "ci95": _interval(queries),
        },
        "regret_at": _at_checkpoints(runs.regret),
        "optimum_returned_at": {
            str(mark): _number(runs.returned[:, mark - 1].mean())
            for mark in checkpoints(runs.budget)
        },
    }


def _at_checkpoints(curves: Floats) -> dict[str, Any]:
    """Return mean and interval of curves, shape (runs, budget), at some numbers of queries."""
    return {
        str(mark): {
            "mean": _number(curves[:, mark - 1].mean()),
            "ci95": _interval(curves[:, mark - 1]),
        }
        for mark in checkpoints(curves.shape[1])
    }


def _tests(strategies: list[StrategyRuns]) -> dict[str, dict[str, Any]]:
    """Test the first strategy against each other one, in the runs that both have."""
    if len(strategies) < 2:
        return {}
    reference, others = strategies[0], strategies[1:]
    p_values, pairs = [], []
    for other in others:
        _, a, b = np.intersect1d(reference.runs, other.runs, return_indices=True)
        p_values.append(wilcoxon(reference.loss[a], other.loss[b]))
        pairs.append(len(a))
    return {
        other.strategy: {"against": reference.strategy, "pairs": count, "p_holm": _number(p)}
        for other, count, p in zip(others, pairs, holm(p_values), strict=True)
    }


def _ranks(datasets: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Rank the strategies that have runs on every data set, by mean queries to the optimum.

    Where it is not known, by the mean of the last score; with objectives, of the last volume.
    """
    means = [{item["strategy"]: _loss(item) for item in part["strategies"]} for part in datasets]
    names = [name for name in means[0] if all(name in mean for mean in means)]
    if len(names) < 2:
        return None
    result = compare_ranks([[mean[name] for name in names] for mean in means])
    return {
        "average": {name: _number(rank) for name, rank in zip(names, result.ranks, strict=True)},
        "friedman_p": _number(result.p_value),
        "critical_difference": _number(result.critical_difference),
    }


def _loss(item: dict[str, Any]) -> float:
    if "hypervolume_at" in item:
        return -float(list(item["hypervolume_at"].values())[-1]["mean"])
    if item["queries_to_optimum"] is not None:
        return float(item["queries_to_optimum"]["mean"])
    last = list(item["best_at"].values())[-1]["mean"]
    return math.inf if last is None else -float(last)


def _interval(values: Floats) -> list[float | None]:
    return [_number(end) for end in bootstrap_interval(values)]


def _number(value: Any) -> float | None:
    """Return a plain number of 10 digits, None for what is not defined."""
    number = float(value)
    return float(f"{number:.10g}") if math.isfinite(number) else None
