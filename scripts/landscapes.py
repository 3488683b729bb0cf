"""Ask of many tables whether their landscape says which strategy to search them with.

For every table of which all neighbours are known: what `weaknas landscape` tells of it and of 30
random trainings, and the queries until its best architecture is queried, by strategy. Those of
the default and of local search are of ``many_tables.py``, which is run before; runs of the
other strategies are kept in a file and not made again:

    WEAKNAS_DATA=... python scripts/landscapes.py

Then each table is left out in turn: rules that are learned on the others choose a strategy for
it, and what they choose is compared with the default and with the best of those measured.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from _shared import parser, save, start
from _tables import Table, available, tables
from many_tables import DEFAULT, LOCAL_SEARCHES, Runs

from weaknas.errors import InputError
from weaknas.laboratory.landscape.graph import NeighborGraph
from weaknas.laboratory.landscape.summary import Settings, describe_table
from weaknas.laboratory.landscape.trainings import Trainings
from weaknas.laboratory.statistics import spearman_rho
from weaknas.reports import plots

#: Features of a table, and of a few trainings.
MEASURES = (
    "correlation_length", "fitness_distance_correlation", "local_optima", "neutrality",
    "additivity",
)  # fmt: skip
TOLD = ("correlation_length", "fitness_distance_correlation", "additivity")
TRAININGS, DRAWS = 30, 3
SAMPLES = ("nasbench101",)  # of which a fifteenth of the neighbours is known
LEAST_HELD = 0.5  # of the neighbours; of fewer a table says little about its space
CLOSE = 1.1  # times the queries of the best strategy
NEAREST = 5  # tables that a rule of neighbours asks

Floats: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = list[dict[str, Any]]
#: Features and queries of known tables, features of another: which strategy to take for it.
Rule: TypeAlias = Callable[[Floats, Floats, Floats], int]


def main() -> None:
    """Measure the tables, judge the rules, write the JSON and the figure."""
    options = parser(__doc__ or "")
    options.add_argument("--others", nargs="+", default=["regularized-evolution", "optuna-tpe"])
    options.add_argument("--runs", type=int, default=2, help="of each of the others")
    options.add_argument("--groups", nargs="+", help="default: all")
    options.add_argument("--tables", nargs="+", help="that the last of the others is run on")
    arguments = options.parse_args()
    if arguments.quick:
        arguments.groups, arguments.others = arguments.groups or ["random"], []
    known = read_queries(arguments.results)
    groups = arguments.groups or dict.fromkeys(t.group for t in tables() if t.group not in SAMPLES)
    chosen = [table for table in tables() if table.group in groups]
    chosen = list(available(chosen[:3] if arguments.quick else chosen))
    chosen = [table for table in chosen if key(table) in known]
    for number, strategy in enumerate(arguments.others):
        is_last = number == len(arguments.others) - 1
        here = [
            t for t in chosen if not (is_last and arguments.tables) or key(t) in arguments.tables
        ]
        add_queries(known, arguments, strategy, here)
    rows = list(measure(chosen, known))
    measured = {row["table"] for row in rows}
    left = [key(table) for table in tables() if key(table) not in measured]
    judged = {
        "of the table": judge(rows, MEASURES, "measures"),
        f"of {TRAININGS} trainings": judge(rows, TOLD, "told"),
    }
    related = {name: relate(rows, name) for name in MEASURES}
    estimates = [relate_estimates(rows, name) for name in TOLD]
    show(rows, judged, related)
    name = "landscapes-quick" if arguments.quick else "landscapes"
    save(arguments, name, {"runs_of_others": arguments.runs, "tables": rows, "left_out": left,
                           "advice": judged, "relations": related,
                           "estimates": estimates})  # fmt: skip
    if not arguments.quick:
        points = [(row["group"], row["measures"]["correlation_length"], ratio(row)) for row in rows]
        figure = plots.plot_relation(
            points, "correlation length", "queries of the default / of local search"
        )
        plots.save(figure, arguments.results / name, forms=("png",))


# -- the queries -----------------------------------------------------------------------------


def key(table: Table) -> str:
    """Return the name of a table."""
    return f"{table.group}/{table.name}"


def read_queries(results: Path) -> dict[str, dict[str, float]]:
    """Return the mean queries until the best of every table, by strategy."""
    path = next(
        (p for p in (results, Path(__file__).parent / "results") if (p / _MANY).is_file()), None
    )
    if path is None:
        raise InputError(f"no {_MANY} in {results}: run scripts/many_tables.py first")
    rows = json.loads((path / _MANY).read_text())["tables"]
    names = (DEFAULT, *LOCAL_SEARCHES)
    return {
        f"{row['group']}/{row['table']}": {name: row["queries"][name]["mean"] for name in names}
        for row in rows
    }


_MANY = "many-tables.json"
_BUDGET = 300  # of many_tables.py


def add_queries(
    known: dict[str, dict[str, float]], arguments: Any, strategy: str, chosen: Sequence[Table]
) -> None:
    """Make the runs of one more strategy on some tables, and add its queries."""
    kept = Runs(arguments.work / "landscapes.jsonl", _BUDGET, arguments.seed)
    kept.complete({key(table): [strategy] for table in chosen}, arguments.runs, arguments.jobs)
    for table in chosen:
        known[key(table)][strategy] = float(np.mean(kept.queries(table, strategy, arguments.runs)))


def ratio(row: Mapping[str, Any]) -> float:
    """Return the queries of the default by those of the better local search."""
    queries = row["queries"]
    return float(queries[DEFAULT] / min(queries[name] for name in LOCAL_SEARCHES))


# -- the landscapes --------------------------------------------------------------------------


def measure(chosen: Sequence[Table], known: Mapping[str, dict[str, float]]) -> Iterator[Any]:
    """Yield the row of each table that holds enough of the neighbours."""
    graph: NeighborGraph | None = None
    for table in chosen:
        benchmark = table.benchmark()
        codes = np.unique(benchmark.space.fingerprint(benchmark.space.enumerate()))
        # Tables of one space one after the other: their neighbours are made once.
        if graph is None or not _is_of(graph, benchmark.space.name, codes):
            graph = NeighborGraph(benchmark.space)
        told = describe_table(benchmark, settings=Settings(walks=20), graph=graph)
        held = told["structure"]["held"]
        if held is None or held < LEAST_HELD:
            continue
        draws = []
        for draw in range(DRAWS):
            drawn = benchmark.space.sample(TRAININGS, np.random.default_rng(draw))
            few = Trainings.of_scores(benchmark.space, drawn, benchmark.true_scores(drawn))
            guessed = few.describe(1)
            draws.append({name: guessed[name] for name in TOLD})
        queries = known[key(table)]
        yield {
            "table": key(table),
            "group": table.group,
            "architectures": len(graph),
            "measures": {name: told[name] for name in MEASURES}
            | {"optima_share": told["local_optima"] / len(graph),
               "best_basin": told["basins"]["best_share"]},
            "told": draws,
            "queries": queries,
            "winner": min(queries, key=queries.__getitem__),
        }  # fmt: skip


def _is_of(graph: NeighborGraph, name: str, codes: npt.NDArray[np.int64]) -> bool:
    return graph.space.name == name and np.array_equal(graph.fingerprints, codes)


# -- the rules -------------------------------------------------------------------------------


def threshold(features: Floats, queries: Floats, feature: Floats) -> int:
    """Split the known tables by one measure, where that costs the fewest queries (a stump)."""
    costs = np.log(queries)
    best = (np.inf, 0, 0.0, 0, 0)
    for column, values in enumerate(features.T):
        for cut in (np.unique(values)[1:] + np.unique(values)[:-1]) / 2:
            sides = [costs[values < cut].sum(axis=0), costs[values >= cut].sum(axis=0)]
            total = sum(side.min() for side in sides)
            below, above = (int(side.argmin()) for side in sides)
            best = min(best, (total, column, cut, below, above))
    _, column, cut, below, above = best
    return below if feature[column] < cut else above


def nearest(features: Floats, queries: Floats, feature: Floats) -> int:
    """Take what costs fewest queries on the tables whose measures are most alike."""
    scale = features.std(axis=0) + 1e-12
    apart = (((features - feature) / scale) ** 2).sum(axis=1)
    near = np.argsort(apart, kind="stable")[:NEAREST]
    return int(np.log(queries[near]).sum(axis=0).argmin())


RULES: dict[str, Rule] = {
    "always the default": lambda features, queries, feature: 0,
    "a threshold": threshold,
    "the nearest tables": nearest,
}


def judge(rows: Rows, names: Sequence[str], source: str) -> dict[str, Any]:
    """Leave out each table, and each group of tables, and let each rule choose for it.

    Rules choose among the strategies that were run on all tables; the best is that of all.
    """
    strategies = [s for s in rows[0]["queries"] if all(s in row["queries"] for row in rows)]
    strategies.sort(key=lambda name: name != DEFAULT)
    queries = np.array([[row["queries"][name] for name in strategies] for row in rows])
    best = np.array([min(row["queries"].values()) for row in rows])
    draws = [row[source] if isinstance(row[source], list) else [row[source]] for row in rows]
    features = np.array([[[_feature(one, n) for n in names] for one in each] for each in draws])
    found: dict[str, Any] = {}
    for left_out in ("table", "group"):
        for label, rule in RULES.items():
            paid = []
            for number, row in enumerate(rows):
                others = np.array([other[left_out] != row[left_out] for other in rows])
                if not others.any():
                    continue
                known = features[others].mean(axis=1), queries[others]
                chosen = [rule(*known, feature) for feature in features[number]]
                paid.append((number, np.exp(np.log(queries[number, chosen]).mean())))
            if paid:
                places = np.array([number for number, _ in paid])
                found.setdefault(f"{left_out} left out", {})[label] = _outcome(
                    np.array([cost for _, cost in paid]), queries[places, 0], best[places]
                )
    return found


def _feature(told: Mapping[str, Any], name: str) -> float:
    value = told[name]
    if value is None:
        return 0.0
    return float(np.log1p(value)) if name == "local_optima" else float(value)


def _outcome(paid: Floats, default: Floats, best: Floats) -> dict[str, Any]:
    """Return how near the chosen strategies are to the best, and to the default."""
    logs = np.log(paid / default)
    low, high = _interval(logs, lambda drawn: float(np.exp(drawn.mean())))
    return {
        "within_10_percent": float((paid <= CLOSE * best).mean()),
        "ratio_to_best": float(np.exp(np.log(paid / best).mean())),
        "ratio_to_default": float(np.exp(logs.mean())),
        "ci95": [low, high],
        "not_the_default": float((~np.isclose(paid, default)).mean()),
    }


def _interval(values: Floats, statistic: Callable[[Any], float]) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of a statistic over tables."""
    rng = np.random.default_rng(0)
    drawn = [statistic(values[rng.integers(len(values), size=len(values))]) for _ in range(2000)]
    low, high = np.nanquantile(drawn, [0.025, 0.975]).tolist()
    return low, high


# -- relations -------------------------------------------------------------------------------


def relate(rows: Rows, name: str) -> dict[str, Any]:
    """Return Spearman's correlation of a measure with how far the default is ahead.

    Of the queries of the default by those of the better local search: above 0, the larger
    the measure, the nearer is local search. Over tables, and over the means of their groups,
    since tables of a group are alike.
    """
    pairs = np.array([[_feature(row["measures"], name), np.log(ratio(row))] for row in rows])
    groups = list(dict.fromkeys(row["group"] for row in rows))
    of_group = np.array([row["group"] for row in rows])
    means = np.array([pairs[of_group == group].mean(axis=0) for group in groups])
    return {
        "tables": _spearman(pairs),
        "ci95": list(_interval(pairs, _spearman)),
        "groups": _spearman(means),
    }


def _spearman(pairs: Floats) -> float:
    return spearman_rho(pairs[:, 0], pairs[:, 1])


def relate_estimates(rows: Rows, name: str) -> dict[str, Any]:
    """Return how a measure of 30 trainings goes with that of the table, over tables."""
    pairs = [
        [_feature(row["measures"], name), np.mean([_feature(one, name) for one in row["told"]])]
        for row in rows
    ]
    single = [[_feature(r["measures"], name), _feature(r["told"][0], name)] for r in rows]
    return {
        "measure": name,
        "spearman_one_draw": _spearman(np.array(single)),
        "spearman_mean_of_draws": _spearman(np.array(pairs)),
    }


def show(rows: Rows, judged: Mapping[str, Any], related: Mapping[str, Any]) -> None:
    """Print a row a table, the rules and the relations."""
    print(f"{'':28}" + "".join(f"{name[:12]:>14}" for name in MEASURES) + "  ratio  winner")
    for row in rows:
        cells = "".join(f"{_plain(row['measures'][name]):>14}" for name in MEASURES)
        print(f"{row['table']:28}{cells}{ratio(row):7.2f}  {row['winner']}")
    for source, parts in judged.items():
        for left_out, rules in parts.items():
            for label, told in rules.items():
                low, high = told["ci95"]
                print(
                    f"{source}, {left_out}: {label}: within 10 % of the best"
                    f" {told['within_10_percent']:.0%}, queries by the default's"
                    f" {told['ratio_to_default']:.3f} [{low:.3f}, {high:.3f}]"
                )
    for name, told in related.items():
        low, high = told["ci95"]
        print(
            f"{name}: Spearman with default / local search {told['tables']:.2f}"
            f" [{low:.2f}, {high:.2f}], of groups {told['groups']:.2f}"
        )


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


if __name__ == "__main__":
    start(main)
