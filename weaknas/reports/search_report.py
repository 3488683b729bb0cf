"""The page of a single search."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from weaknas.errors import InputError
from weaknas.files import read_json
from weaknas.laboratory.experiment import Truth, query_table, returned_after
from weaknas.laboratory.folder import versions
from weaknas.laboratory.statistics import Floats
from weaknas.laboratory.summary import collect
from weaknas.reports import plots
from weaknas.reports.benchmark_map import add_map, load_benchmark
from weaknas.reports.page import Page, in_words, join_pairs, number_or_dash, range_or_dash
from weaknas.runs.journal import read_journal
from weaknas.runs.trials import Trial, Trials, mean_scores
from weaknas.search.pareto import front
from weaknas.spaces import Architecture, SearchSpace
from weaknas.strategies import Contender


def search_page(folder: Path) -> Page:
    """Return the page of a single search, finished or under way.

    Parameters
    ----------
    folder : path
        The output folder of ``weaknas search``.

    Raises
    ------
    InputError
        When the folder is damaged.
    """
    config, trials = read_journal(folder / "journal.jsonl")
    benchmark = load_benchmark(config["evaluator"])
    name = str(config["evaluator"].get("benchmark") or config["space"].get("name"))
    page = Page(
        f"Search on {name}",
        {
            "trainings": _paid(config, len(trials)),
            "space": str(config["space"].get("name")),
            "strategy": in_words(config["strategy"]),
            "evaluator": in_words(config["evaluator"]),
            "versions": join_pairs(versions()),
        },
    )
    observed = np.array([trial.score for trial in trials])
    rounds = np.array([trial.round for trial in trials])
    space = None if benchmark is None else benchmark.space
    contenders, returned = _read_answer(folder, trials, space)
    chosen, expected, _ = returned_after(trials, returned)
    means, worth, regret, optimum = {}, None, math.nan, None
    if benchmark is not None:
        truth = Truth(benchmark)
        strategy = str(config["strategy"].get("strategy"))
        constants = {"dataset": name, "strategy": strategy, "run": 0, "seed": 0, "seconds": 0.0}
        queries = query_table(constants, trials, benchmark.space, truth, returned)
        means = _means(contenders, truth)
        worth, regret = queries["returned_score"].to_numpy(), queries["regret"].to_pylist()[-1]
        optimum = None if truth.optimum is None else truth.optimum.score
    _add_contenders(page, contenders, trials, means, regret)
    _add_certainty(page, returned)
    page.add_figure(
        "Scores and what is returned",
        "returned",
        plots.plot_search(observed, rounds, expected, worth, optimum),
        "Scores as the search saw them. The line is the expected score of what would be returned,"
        " the dashed one what that is worth on average over trainings, where a table tells it.",
    )
    _add_fronts(page, folder, trials, config.get("objectives") or [])
    if benchmark is not None:
        runs = collect(queries, name, strategy, len(trials))
        page.add_figure(
            "Narrowing of the sampled sub-space",
            "narrowing",
            plots.plot_narrowing({name: [runs] if runs else []}),
            "Share of trainings among the best architectures of the whole space by mean score."
            " Dotted: uniform sampling.",
        )
        architectures = [trial.architecture.text for trial in trials]
        add_map(page, name, benchmark.space, truth.scores, (architectures, chosen, rounds))
    return page


Returned: TypeAlias = list[tuple[int, Contender]]


def _read_answer(
    folder: Path, trials: list[Trial], space: SearchSpace | None
) -> tuple[list[Contender], Returned]:
    """Read the contenders of a finished search, and what it would have returned before.

    Of one that goes on the means of the trainings so far are all that is known.
    """
    architectures = {trial.architecture.id: trial.architecture for trial in trials}
    result = _read_result(folder, trials)

    def contender(record: dict[str, Any]) -> Contender:
        known = architectures.get(record["id"])
        return Contender.from_dict(record, known or _told_before(record, trials, space))

    try:
        if result is not None:
            return [contender(record) for record in result["contenders"]], [
                (int(record["trainings_paid"]), contender(record)) for record in result["returned"]
            ]
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(folder) from error
    labels = _labels(trials)
    means = [
        Contender(architectures[key], float(x.mean()), None, len(x), None)
        for key, x in labels.items()
    ]
    return sorted(means, key=lambda item: -item.score)[:10], []


def _told_before(
    record: dict[str, Any], trials: list[Trial], space: SearchSpace | None
) -> Architecture:
    """Return an architecture that a source of the same problem told: it is of no trial."""
    if space is not None:
        return space.architecture(record["architecture"])
    # Without the table of the space nothing asks for its genotype.
    name = trials[0].architecture.space
    return Architecture(name, (), str(record["id"]), str(record["architecture"]))


def _read_result(folder: Path, trials: list[Trial]) -> dict[str, Any] | None:
    """Read what a finished search wrote, None of one that goes on."""
    path = folder / "result.json"
    result = read_json(path) if path.exists() else None
    if result is None:
        return None
    try:
        return result if result["trainings"] == len(trials) else None
    except (KeyError, TypeError) as error:
        raise _damaged(folder) from error


def _damaged(folder: Path) -> InputError:
    return InputError(f"{folder / 'result.json'} is damaged, or not of this run")


def _labels(trials: list[Trial]) -> dict[str, Floats]:
    """Return the scores of the trainings of each architecture, at the highest fidelity, by id."""
    highest = max((trial.level for trial in trials if trial.is_ok), default=math.inf)
    labels: dict[str, list[float]] = {}
    for trial in trials:
        if trial.is_ok and trial.level == highest:
            labels.setdefault(trial.architecture.id, []).append(trial.score)
    return {key: np.array(values) for key, values in labels.items()}


def _means(contenders: list[Contender], truth: Truth) -> dict[str, float]:
    """Return what contenders are worth by a table, by id."""
    if not contenders:
        return {}
    scores = truth.scores(np.array([item.architecture.genotype for item in contenders]))
    ids = [item.architecture.id for item in contenders]
    return dict(zip(ids, scores.tolist(), strict=True))


def _add_contenders(
    page: Page,
    contenders: list[Contender],
    trials: list[Trial],
    means: dict[str, float],
    regret: float,
) -> None:
    """Add what is known of the best, in a table and a figure."""
    head = ["", "expected score", "95 %", "trainings", "is the best"]
    head += ["mean score", "architecture"] if means else ["architecture"]
    rows = []
    for place, item in enumerate(contenders, start=1):
        reach = 1.96 * item.std_error if item.std_error else math.nan
        ends = [None if math.isnan(reach) else item.score + side * reach for side in (-1, 1)]
        row = [str(place), f"{item.score:.5g}", range_or_dash(ends, ".5g"), str(item.trainings)]
        row.append(number_or_dash(item.probability_best, ".0%"))
        row += [f"{means[item.architecture.id]:.5g}"] if means else []
        rows.append([*row, item.architecture.text])
    queries = sum(trial.repeat == 0 for trial in trials)
    page.add_table(
        f"Which one is the best: contenders after {len(trials)} trainings, {queries} architectures",
        head,
        rows,
    )
    observed = Trials(tuple(trials)).best_observed
    if observed is not None:
        page.add_text(
            f"Returned is the first. The luckiest training, {observed.score:.5g}, was one of"
            f" {observed.architecture.text}."
        )
    failed = sum(not trial.is_ok for trial in trials)
    if failed:
        page.add_text(f"{failed} evaluations failed.")
    if math.isfinite(regret):
        page.add_text(f"Regret of the first: {regret:.4g} (by mean score).")
    if not contenders:
        return
    labels = _labels(trials)
    none = np.array([])  # of one that was not trained here
    page.add_figure(
        "Contenders",
        "contenders",
        plots.plot_contenders(
            [str(place) for place in range(1, len(contenders) + 1)],
            np.array([item.score for item in contenders]),
            np.array([math.nan if c.std_error is None else c.std_error for c in contenders]),
            [labels.get(item.architecture.id, none) for item in contenders],
        ),
        "Expected mean score over trainings, its 95 % interval where trainings differ, and the"
        " trainings behind it, in the order of the table.",
    )


def _add_certainty(page: Page, returned: Returned) -> None:
    """Add how sure the search was, training by training, where it knew."""
    chances = [math.nan if c.probability_best is None else c.probability_best for _, c in returned]
    if not any(leader.std_error for _, leader in returned):  # all is known, or nothing
        return
    ids = [leader.architecture.id for _, leader in returned]
    page.add_figure(
        "How sure it is",
        "certainty",
        plots.plot_certainty(
            np.array([count for count, _ in returned]),
            np.array(chances),
            np.array([a != b for a, b in zip(ids, ["", *ids], strict=False)]),
        ),
        "Probability, as the search saw it, that what would be returned after so many trainings is"
        " the best of those trained. It falls when a better one may have been met.",
    )


def _add_fronts(page: Page, folder: Path, trials: list[Trial], objectives: list[str]) -> None:
    """Add the front of the score against each cost alone, and the table of the front of all."""
    if not objectives:
        return
    good, scores = mean_scores(trials)
    rounds = np.array([t.round for t in good])
    costs = np.array([[t.evaluation.metrics[name] for name in objectives] for t in good])
    costs = costs.reshape(len(good), len(objectives))
    result = _read_result(folder, trials) or {}
    try:
        # Of a search that goes on no model of costs is at hand, and so no interval.
        chosen = front(scores, costs).tolist()
        rows = _front_rows([good[i] for i in chosen], scores[chosen], objectives)
        members = result["front"] if result else rows
        titles = {name: _with_unit(name, result.get("units", {})) for name in objectives}
        for name, column in zip(objectives, costs.T, strict=True):
            likely = [(*row[f"{name}_interval"], row["score"]) for row in members
                      if f"{name}_interval" in row]  # fmt: skip
            page.add_figure(
                f"Front of score and {name}",
                f"front-{name}",
                plots.plot_front(titles[name], scores, column, rounds, np.array(likely)),
                f"Architectures by {name} and mean score. On the line no other has a larger score"
                f" and a smaller {name}." + (" Bars: where it is with 90 %, as predicted of the"
                " architectures in the table." if likely else ""),
            )  # fmt: skip
        table = [
            [str(row["query"]), *(_cost(row, name) for name in objectives), f"{row['score']:.4g}",
             row["architecture"]]
            for row in members
        ]  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(folder) from error
    head = ["query", *titles.values(), "score", "architecture"]
    names = " and ".join(objectives)
    page.add_table(f"Front of score and {names}: {len(table)} architectures", head, table)


def _front_rows(trials: list[Trial], scores: Floats, objectives: list[str]) -> list[dict[str, Any]]:
    """Return rows of a front as `Front.to_dict` has them, by the costs that trials were told."""
    return [
        {
            "query": trial.number + 1,
            "score": score,
            "architecture": trial.architecture.text,
            **{name: trial.evaluation.metrics[name] for name in objectives},
        }
        for trial, score in zip(trials, scores.tolist(), strict=True)
    ]


def _with_unit(name: str, units: Mapping[str, str]) -> str:
    return f"{name} ({units[name]})" if name in units else name


def _cost(row: dict[str, Any], name: str) -> str:
    """Return a cost, with the interval of one that is predicted."""
    if f"{name}_interval" not in row:
        return f"{row[name]:.6g}"
    return f"{row[name]:.4g} ({range_or_dash(row[f'{name}_interval'], '.4g')})"


def _paid(config: Mapping[str, Any], count: int) -> str:
    """Return how many trainings there were, and what the limits were."""
    budget, costs = config.get("budget"), config.get("budget_cost")
    paid = str(count) if budget is None else f"{count} of {budget}"
    return paid if costs is None else f"{paid}, at a cost of {costs:g} at most"
