"""How often the winner of a search exceeds a latency limit, on 27 devices with several limits each.

Each device is left out with all batch sizes of its card; ten cells of NAS-Bench-201 are
measured on it, the others are sources. A limit is a quantile of the device's latencies. Four
searches are compared on it: one whose limit holds with 95 % confidence by the model; one that
measures, as ``--verify`` does, what this limit is in doubt of before it is trained; one
whose predicted latency is within the limit; and one that knows the true latencies. The
winner of each is looked up: whether it exceeds the limit, and its mean validation accuracy.
Of the third search the first five contenders are measured as well: the
best that is within the limit is its winner then, or the fastest where none is.

That the second search looks among all that is predicted to be within the limit, and not
at what is less likely too, was decided on the card in ``CHOSEN_ON``; the others confirm it.
``latency-limits.json`` has the ways that measure nothing before they train, with all limits;
``latency-limits-measured.json`` has all ways, with six limits.

    WEAKNAS_DATA=... python scripts/latency_limits.py --quick
    WEAKNAS_DATA=... python scripts/latency_limits.py
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from _devices import SPACE, Floats, Table, card_of
from _shared import parser, save, start

from weaknas.costs import CostModel, MeasuredCost
from weaknas.evaluators import TabularBenchmark
from weaknas.files import read_json, write_json
from weaknas.laboratory.statistics import bootstrap_interval
from weaknas.registry import get_benchmark
from weaknas.runs.runner import run
from weaknas.search.strategy import WeakNAS
from weaknas.spaces import ConstrainedSpace, Genotypes

#: Quantiles of the latencies of a device that are its limits.
LIMITS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
MEASURED = "with confidence, measured in doubt"
#: The way of each search, and the end of its limit.
SEARCHES = {
    "with confidence": "ms @95%",
    MEASURED: "ms @95%",
    "plain": "ms",
    "true latencies": "",
}
WAYS = (*SEARCHES, "plain, contenders measured")
CHOSEN_ON = "1080ti"
CONTENDERS = 5


def look_up(table: Table, device: str) -> Callable[[Genotypes], Floats]:
    """Return the function that knows the latencies of a device."""
    codes = SPACE.cardinalities[0] ** np.arange(SPACE.n_variables)
    known = np.empty(SPACE.size)
    known[table.cells @ codes] = table.latencies[device]
    return lambda rows: known[np.asarray(rows) @ codes]


def search(
    benchmark: TabularBenchmark, cost: Callable[[Any], Any], limit: str, budget: int, seed: int
) -> Genotypes:
    """Return the first contenders of a search within the limit, the best first, shape (m, 6)."""
    part = ConstrainedSpace(benchmark.space, limit, {"latency": cost})
    result = run(WeakNAS(part, seed=seed), benchmark.within(part), budget)
    first = [contender.architecture for contender in result.contenders[:CONTENDERS]]
    return part.canonicalize(part.genotypes(first))


def describe(
    benchmark: TabularBenchmark, truth: Callable[[Genotypes], Floats], winner: Genotypes
) -> dict[str, float]:
    """Return latency and mean score of one cell."""
    return {
        "latency": round(float(truth(winner[None])[0]), 4),
        "score": round(float(benchmark.true_scores(winner[None])[0]), 3),
    }


def main() -> None:
    """Search on every device, and print how often the winners exceed the limits."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--dataset", default="cifar100")
    arguments.add_argument("--budget", type=int, default=40)
    arguments.add_argument("--limits", type=float, nargs="+", default=LIMITS, help="quantiles")
    arguments.add_argument("--devices", nargs="+", help="default: all")
    arguments.add_argument("--name", default="latency-limits", help="of the results")
    options = arguments.parse_args()
    table, limits = Table.read(), options.limits
    devices = options.devices or list(table.latencies)
    if options.quick:
        devices, limits, options.budget = ["fpga", "pixel2"], (0.4,), 15
    benchmark = get_benchmark(SPACE.name, dataset=options.dataset)
    models = {device: learn(table, device, options.seed) for device in devices}
    kept = options.work / f"latency-limits{'-quick' if options.quick else ''}.json"
    known = read_json(kept) if kept.exists() else []
    rows: list[dict[str, Any]] = []
    for quantile in limits:
        for device, model in models.items():
            truth = look_up(table, device)
            limit = float(f"{np.quantile(table.latencies[device], quantile):.4g}")
            row: dict[str, Any] = {"device": device, "limit": limit}
            for before in known:  # the searches of a run that was cut short
                if (before["device"], before["limit"]) == (device, limit):
                    row |= before
            measured_cost = MeasuredCost(model, truth)
            costs: dict[str, Callable[[Any], Any]] = {
                "true latencies": truth,
                MEASURED: measured_cost,
            }
            for way in [way for way in SEARCHES if way not in row]:
                text, cost = f"latency<={limit:g}{SEARCHES[way]}", costs.get(way, model)
                found = search(benchmark, cost, text, options.budget, options.seed)
                row[way] = describe(benchmark, truth, found[0])
                if way == MEASURED:
                    row["measurements"] = measured_cost.count
                if way == "plain":
                    measured = truth(found)
                    within = np.flatnonzero(measured <= limit)
                    best = int(within[0]) if len(within) else int(measured.argmin())
                    row[f"{way}, contenders measured"] = describe(benchmark, truth, found[best])
            rows.append(row)
            write_json(kept, [*rows, *known])
        print(quantile, *(summary(rows, way) for way in WAYS), flush=True)
    facts = {"dataset": options.dataset, "budget": options.budget, "winners": len(rows)}
    ways = {way: summary(rows, way) for way in WAYS}
    for way, told in ways.items():
        print(f"{way}: {told}")
    confirming = [row for row in rows if card_of(row["device"]) != CHOSEN_ON]
    parts: dict[str, Any] = {
        "measurements": describe_counts([row["measurements"] for row in rows]),
        "confirming_winners": len(confirming),
        "confirming": {way: summary(confirming, way) for way in WAYS},
    }
    print(f"measurements of a search in doubt: {parts['measurements']}")
    for way, told in parts["confirming"].items():
        print(f"without {CHOSEN_ON}, {way}: {told}")
    save(options, options.name, {**facts, "ways": ways, **parts, "rows": rows})


def describe_counts(counts: list[int]) -> dict[str, float]:
    """Return how many measurements the searches paid, beside the ten before."""
    low, middle, high = np.quantile(counts, [0.1, 0.5, 0.9])
    named = {"median": middle, "p10": low, "p90": high, "largest": max(counts)}
    return {name: round(float(value), 1) for name, value in named.items()}


def learn(table: Table, device: str, seed: int) -> CostModel:
    """Return the model of ten measurements on a device; other cards are its sources."""
    model = CostModel(SPACE, table.sources(table.others(device)))
    number = list(table.latencies).index(device)
    chosen = model.propose(10, np.random.default_rng([seed, number]))
    return model.fit(chosen, look_up(table, device)(chosen))


def summary(rows: list[dict[str, Any]], way: str) -> dict[str, Any]:
    """Return how many winners exceed the limit, and what they score less than the informed ones."""
    exceeds = [row[way]["latency"] > row["limit"] for row in rows]
    excess = [row[way]["latency"] / row["limit"] - 1 for row in rows]
    loss = [row["true latencies"]["score"] - row[way]["score"] for row in rows]
    return {
        "exceed": int(sum(exceeds)),
        "share": round(float(np.mean(exceeds)), 4),
        "largest_excess": round(max(0.0, *excess), 4),
        "score": round(float(np.mean([row[way]["score"] for row in rows])), 3),
        "score_below_informed": round(float(np.mean(loss)), 3),
        "ci95": [round(end, 3) for end in bootstrap_interval(loss)],
    }


if __name__ == "__main__":
    start(main)
