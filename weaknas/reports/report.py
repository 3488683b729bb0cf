"""A readable page with figures and tables from finished runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from weaknas.errors import InputError, optional_import
from weaknas.files import prepare_file, read_json
from weaknas.laboratory.experiment import Truth, query_table, returned_after
from weaknas.laboratory.folder import versions
from weaknas.laboratory.ranking_results import is_ranking
from weaknas.laboratory.results import read_comparison
from weaknas.laboratory.statistics import Floats
from weaknas.laboratory.summary import StrategyRuns, by_dataset, checkpoints, collect
from weaknas.registry import BENCHMARKS, get_benchmark
from weaknas.reports import plots
from weaknas.reports.landscape_report import landscape_page
from weaknas.reports.page import Form, Page, in_words
from weaknas.reports.ranking_report import ranking_page
from weaknas.runs.journal import read_journal
from weaknas.runs.trials import Trial, Trials
from weaknas.search.pareto import front
from weaknas.spaces import ConstrainedSpace, SearchSpace
from weaknas.strategies import Contender


def report(
    folder: str | Path,
    output: str | Path | None = None,
    forms: Sequence[Form] = ("png", "svg"),
) -> Path:
    """Write figures and a self-contained HTML page about finished runs.

    Parameters
    ----------
    folder : path
        The output folder of ``weaknas compare``, ``rank``, ``search`` or ``landscape``.
    output : path, optional
        The page; default ``report.html`` in the folder.
    forms : sequence of {"png", "svg", "pdf", "latex"}
        Of the files beside it, in a folder of the same name with ``-figures``: figures, and
        tables for LaTeX.

    Returns
    -------
    path
        The page.

    Raises
    ------
    InputError
        When the folder holds none of them, is damaged, or matplotlib is not installed.
    """
    optional_import("matplotlib", "plot")
    place = Path(folder)
    page = Path(output) if output is not None else place / "report.html"
    if output is not None:
        page = prepare_file(page)
    if is_ranking(place):
        content = ranking_page(place)
    elif (place / "config.json").exists():
        content = comparison_page(place)
    elif (place / "journal.jsonl").exists():
        content = search_page(place)
    elif (place / "landscape.json").exists():
        content = landscape_page(place)
    else:
        raise InputError(
            f"{place} holds neither a comparison or ranking (config.json)"
            " nor a search (journal.jsonl) nor a landscape (landscape.json)"
        )
    try:
        content.write(page, forms)
    except OSError as error:
        raise InputError(f"cannot write {page}: {error.strerror}") from error
    return page


# -- comparisons ------------------------------------------------------------------------


def comparison_page(folder: Path) -> Page:
    """Return the page of a comparison, finished or under way."""
    record, queries, summary = read_comparison(folder)
    config = record["experiment"]
    volumes = {
        part["dataset"]: part["hypervolume"]
        for part in by_dataset(summary)
        if "hypervolume" in part
    }
    references = {dataset: volume["reference"] for dataset, volume in volumes.items()}
    collected = {
        dataset: [
            collect(queries, dataset, name, config["budget"], references.get(dataset))
            for name in config["strategies"]
        ]
        for dataset in config["datasets"]
    }
    panels = {
        dataset: [runs for runs in strategies if runs is not None]
        for dataset, strategies in collected.items()
        if any(strategies)
    }
    page = Page(f"Comparison on {config['space']}", _comparison_facts(record))
    for part in by_dataset(summary):
        if "hypervolume" in part:
            _add_volume_table(page, part)
        _add_comparison_table(page, part)
    if summary.get("ranks"):
        _add_ranks(page, summary["ranks"])
    if volumes:
        _add_volumes(page, panels, volumes)
    _add_curves(page, panels)
    for dataset in panels:
        _add_comparison_map(page, config, queries, dataset)
    return page


def _comparison_facts(record: dict[str, Any]) -> dict[str, str]:
    config = record["experiment"]
    cost = config.get("budget_cost")
    limit = "" if cost is None else f" or {cost:g} seconds of training"
    return {
        "command": record.get("command") or "called from Python",
        "begun": record["created"],
        "protocol": f"{config['runs']} runs of {config['budget']} trainings{limit}, seed"
        f" {config['seed']};"
        f" optimum and regret by the mean {config['optimum']} score over all trainings;"
        " what is returned is chosen by what the search saw",
        "versions": _join(config["versions"]),
    }


def _add_comparison_table(page: Page, part: dict[str, Any]) -> None:
    has_optimum = part["optimum_score"] is not None
    marks = [str(mark) for mark in checkpoints(part["budget"])]
    head = ["strategy", "runs"]
    head += ["found", "queries to the optimum", "median", "p90"] if has_optimum else []
    shown = marks[-1:] if has_optimum else marks  # all regrets have a table of their own
    head += [f"{'regret' if has_optimum else 'best score'} at {mark}" for mark in shown]
    head += [f"optimum returned at {marks[-1]}", "relative improvement"] if has_optimum else []
    head += ["p (Holm)", "seconds a run"]
    rows = []
    for item in part["strategies"]:
        cells = [item["strategy"], str(item["runs"])]
        if has_optimum:
            cells += _to_optimum(item)
            cells += [_with_range(item["regret_at"][mark], ".3f") for mark in shown]
            cells.append(_form(item["optimum_returned_at"][marks[-1]], ".0%"))
            cells.append(_form(item["relative_improvement"], ".2f"))
        else:
            cells += [_with_range(item["best_at"][mark], ".5g") for mark in shown]
        p_value = item.get("wilcoxon", {}).get("p_holm")
        rows.append([*cells, _form(p_value, ".2g"), _form(item["seconds_per_run"], ".2f")])
    labels = f": labels {part['labels']}" if part["labels"] else ""
    if has_optimum:
        page.add_table(
            f"{part['dataset']}{labels}, optimum {part['optimum_score']:.4g}", head, rows
        )
        page.add_text(
            "Regret: the optimum's mean score minus that of what would be returned. A run that"
            " did not find the optimum counts as its full budget. Intervals: 95 % bootstrap of the"
            " mean. Relative improvement: 100 (a - r) / r, a the mean score of"
            f" what is returned, r = {part['random_score']:.4g} that of a random architecture."
            " p: Wilcoxon's signed-rank test of queries to the optimum against the first"
            " strategy, paired by seed."
        )
        _add_regret_table(page, part, marks)
    else:
        page.add_table(f"{part['dataset']}{labels}", head, rows)
        page.add_text(
            "The best architecture is not known, and so there is no regret. Intervals: 95 %"
            " bootstrap of the mean. p: Wilcoxon's signed-rank test of the last score against the"
            " first strategy, paired by seed."
        )
    for failure in part["failures"]:
        page.add_text(f"{failure['strategy']}, run {failure['run']} failed: {failure['error']}")


def _add_regret_table(page: Page, part: dict[str, Any], marks: list[str]) -> None:
    page.add_table(
        f"{part['dataset']}: regret by trainings",
        ["strategy", *(f"at {mark}" for mark in marks)],
        [
            [item["strategy"], *(_with_range(item["regret_at"][mark], ".3f") for mark in marks)]
            for item in part["strategies"]
        ],
    )


def _add_volume_table(page: Page, part: dict[str, Any]) -> None:
    volume = part["hypervolume"]
    form, scale = (".2f", 100 / volume["whole"]) if volume["whole"] else (".5g", 1.0)
    marks = [str(mark) for mark in checkpoints(part["budget"])]
    head = ["strategy", "runs", *(f"hypervolume at {mark}" for mark in marks), "p (Holm)"]
    rows = []
    for item in part["strategies"]:
        cells = [item["strategy"], str(item["runs"])]
        for mark in marks:
            mean, ends = item["hypervolume_at"][mark]["mean"], item["hypervolume_at"][mark]["ci95"]
            scaled = [None if end is None else scale * end for end in ends]
            cells.append(_with_range({"mean": scale * mean, "ci95": scaled}, form))
        rows.append([*cells, _form(item.get("wilcoxon", {}).get("p_holm"), ".2g")])
    page.add_table(
        f"{part['dataset']}: the front of score and {' and '.join(volume['objectives'])}",
        head,
        rows,
    )
    corner = ", ".join(f"{name} {value:.5g}" for name, value in volume["reference"].items())
    unit = " in % of what the whole space dominates," if volume["whole"] else ""
    page.add_text(
        f"Hypervolume: what the trainings so far dominate,{unit} measured from {corner}."
        " Intervals: 95 % bootstrap of the mean. p: Wilcoxon's signed-rank test of the last"
        " volume against the first strategy, paired by seed; below, too."
    )


def _add_volumes(
    page: Page, panels: dict[str, list[StrategyRuns]], volumes: dict[str, dict[str, Any]]
) -> None:
    page.add_figure(
        "Hypervolume by trainings",
        "hypervolume-by-queries",
        plots.plot_hypervolume(panels, {name: volume["whole"] for name, volume in volumes.items()}),
        "Mean over runs of the volume that the trainings so far dominate; bands: 95 % bootstrap.",
    )


def _to_optimum(item: dict[str, Any]) -> list[str]:
    queries = item["queries_to_optimum"]
    return [
        f"{100 * item['found_rate']:.0f} %",
        _with_range(queries, ".1f"),
        f"{queries['median']:.0f}",
        f"{queries['p90']:.0f}",
    ]


def _add_ranks(page: Page, ranks: dict[str, Any]) -> None:
    order = sorted(ranks["average"].items(), key=lambda item: item[1])
    page.add_table(
        "Average rank over the data sets",
        ["strategy", "rank"],
        [[name, f"{rank:.2f}"] for name, rank in order],
    )
    page.add_text(
        f"Critical difference (Nemenyi, 5 %): {ranks['critical_difference']:.2f};"
        f" Friedman's p: {_form(ranks['friedman_p'], '.2g')}."
    )


def _add_curves(page: Page, panels: dict[str, list[StrategyRuns]]) -> None:
    if not all(runs.is_known for strategies in panels.values() for runs in strategies):
        page.add_figure(
            "Best score by trainings",
            "best-by-queries",
            plots.plot_best(panels),
            "Mean over runs of the expected score of what would be returned; bands: 95 %"
            " bootstrap.",
        )
        return
    page.add_figure(
        "Regret by trainings",
        "regret-by-queries",
        plots.plot_regret(panels),
        "Mean over runs of the optimum's mean score minus that of the architecture that would be"
        " returned; bands: 95 % bootstrap. A curve that leaves the panel has reached zero in all"
        " runs.",
    )
    if all(np.nanmax(runs.cost) > 0 for strategies in panels.values() for runs in strategies):
        page.add_figure(
            "Regret by training time",
            "regret-by-seconds",
            plots.plot_regret(panels, by="seconds"),
            "The same by the time that the queried architectures took to train, one after the"
            " other. A curve ends where the first of its runs has spent its budget.",
        )
    page.add_figure(
        "Queries to the optimum",
        "queries-to-optimum",
        plots.plot_found(panels),
        "Share of runs that have queried an optimal architecture.",
    )
    page.add_figure(
        "Narrowing of the sampled sub-space",
        "narrowing",
        plots.plot_narrowing(panels),
        "How likely a query is to be among the best architectures of the whole space by mean"
        " score. Dotted: uniform sampling.",
    )


def _add_comparison_map(
    page: Page, config: dict[str, Any], queries: pa.Table, dataset: str
) -> None:
    """Draw the first run of the first strategy."""
    benchmark = _load_benchmark(config["datasets"][dataset])
    rows = [
        row
        for row in queries.select(
            ["dataset", "strategy", "run", "round", "architecture", "returned"]
        ).to_pylist()
        if row["dataset"] == dataset
    ]
    if benchmark is None or not rows:
        return
    run = rows[0]["strategy"], rows[0]["run"]
    chosen = [row for row in rows if (row["strategy"], row["run"]) == run]
    architectures = [row["architecture"] for row in chosen]
    title = f"{dataset}: {run[0]}, run {run[1]}"
    rounds = np.array([row["round"] for row in chosen])
    returned = np.array([row["returned"] for row in chosen]) - 1
    truth = Truth(benchmark, config["optimum"])
    _add_map(page, title, benchmark.space, truth, (architectures, returned, rounds))


# -- single searches ----------------------------------------------------------------------


def search_page(folder: Path) -> Page:
    """Return the page of a single search, finished or under way."""
    config, trials = read_journal(folder / "journal.jsonl")
    benchmark = _load_benchmark(config["evaluator"])
    name = str(config["evaluator"].get("benchmark") or config["space"].get("name"))
    page = Page(
        f"Search on {name}",
        {
            "trainings": f"{len(trials)} of {config.get('budget')}",
            "space": str(config["space"].get("name")),
            "strategy": in_words(config["strategy"]),
            "evaluator": in_words(config["evaluator"]),
            "versions": _join(versions()),
        },
    )
    observed = np.array([trial.score for trial in trials])
    rounds = np.array([trial.round for trial in trials])
    contenders, returned = _read_answer(folder, trials)
    chosen, expected, _ = returned_after(trials, returned)
    means, worth, regret, optimum = {}, None, math.nan, None
    if benchmark is not None:
        truth = Truth(benchmark)
        strategy = str(config["strategy"].get("strategy"))
        constants = {"dataset": name, "strategy": strategy, "run": 0, "seed": 0, "seconds": 0.0}
        queries = query_table(constants, trials, benchmark.space, truth, returned)
        means = dict(zip(queries["id"].to_pylist(), queries["mean_score"].to_pylist(), strict=True))
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
        _add_map(page, name, benchmark.space, truth, (architectures, chosen, rounds))
    return page


Returned: TypeAlias = list[tuple[int, Contender]]


def _read_answer(folder: Path, trials: list[Trial]) -> tuple[list[Contender], Returned]:
    """Read the contenders of a finished search, and what it would have returned before.

    Of one that goes on the means of the trainings so far are all that is known.
    """
    architectures = {trial.architecture.id: trial.architecture for trial in trials}
    result = _read_result(folder, trials)
    try:
        if result is not None:
            contenders = [
                Contender.from_dict(r, architectures[r["id"]]) for r in result["contenders"]
            ]
            return contenders, [
                (int(r["trainings_paid"]), Contender.from_dict(r, architectures[r["id"]]))
                for r in result["returned"]
            ]
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(folder) from error
    labels = _labels(trials)
    means = [
        Contender(architectures[key], float(x.mean()), None, len(x), None)
        for key, x in labels.items()
    ]
    return sorted(means, key=lambda item: -item.score)[:10], []


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
        row = [str(place), f"{item.score:.5g}", _range(ends, ".5g"), str(item.trainings)]
        row.append(_form(item.probability_best, ".0%"))
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
    page.add_figure(
        "Contenders",
        "contenders",
        plots.plot_contenders(
            [str(place) for place in range(1, len(contenders) + 1)],
            np.array([item.score for item in contenders]),
            np.array([math.nan if c.std_error is None else c.std_error for c in contenders]),
            [labels[item.architecture.id] for item in contenders],
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
    good = [trial for trial in trials if trial.is_ok]
    scores, rounds = np.array([t.score for t in good]), np.array([t.round for t in good])
    costs = np.array([[t.evaluation.metrics[name] for name in objectives] for t in good])
    costs = costs.reshape(len(good), len(objectives))
    result = _read_result(folder, trials) or {}
    try:
        # Of a search that goes on no model of costs is at hand, and so no interval.
        members = result["front"] if result else _front_rows(good, front(scores, costs), objectives)
        titles = {name: _with_unit(name, result.get("units", {})) for name in objectives}
        for name, column in zip(objectives, costs.T, strict=True):
            likely = [(*row[f"{name}_interval"], row["score"]) for row in members
                      if f"{name}_interval" in row]  # fmt: skip
            page.add_figure(
                f"Front of score and {name}",
                f"front-{name}",
                plots.plot_front(titles[name], scores, column, rounds, np.array(likely)),
                f"Queries by {name} and score. On the line no other query has a larger score and a"
                f" smaller {name}." + (" Bars: where it is with 90 %, as predicted of the"
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


def _front_rows(
    trials: list[Trial], chosen: npt.NDArray[np.integer], objectives: list[str]
) -> list[dict[str, Any]]:
    """Return rows of a front as `Front.to_dict` has them, by the costs that trials were told."""
    return [
        {
            "query": trial.number + 1,
            "score": trial.score,
            "architecture": trial.architecture.text,
            **{name: trial.evaluation.metrics[name] for name in objectives},
        }
        for trial in (trials[i] for i in chosen.tolist())
    ]


def _with_unit(name: str, units: Mapping[str, str]) -> str:
    return f"{name} ({units[name]})" if name in units else name


def _cost(row: dict[str, Any], name: str) -> str:
    """Return a cost, with the interval of one that is predicted."""
    if f"{name}_interval" not in row:
        return f"{row[name]:.6g}"
    return f"{row[name]:.4g} ({_range(row[f'{name}_interval'], '.4g')})"


# -- shared pieces ------------------------------------------------------------------------


def _load_benchmark(described: dict[str, Any]) -> Any:
    """Load the benchmark of a description, None where it is not one that has a name."""
    space, _, dataset = str(described.get("benchmark", "")).partition("/")
    if space not in BENCHMARKS.names() or "labels" not in described:
        return None
    options = {"dataset": dataset} if dataset else {}
    if "noise" in described:
        options["labels"] = "mean"
        benchmark = get_benchmark(space, **options).with_noise(described["noise"])
    else:
        benchmark = get_benchmark(space, labels=described["labels"], **options)
    limits = described.get("constraints")
    return benchmark.within(ConstrainedSpace(benchmark.space, limits)) if limits else benchmark


def _add_map(
    page: Page,
    title: str,
    space: SearchSpace,
    truth: Truth,
    queries: tuple[list[str], npt.NDArray[np.integer], npt.NDArray[np.integer]],
) -> None:
    """Draw one run, and what it would have returned, in a space that can be listed."""
    architectures, returned, rounds = queries
    genotypes = space.canonicalize(space.enumerate())
    _, distinct = np.unique(space.fingerprint(genotypes), return_index=True)
    genotypes = genotypes[distinct]
    name = "map-" + "".join(c if c.isalnum() else "-" for c in title.partition(":")[0])
    page.add_figure(
        f"Map: {title}",
        name,
        plots.plot_map(
            title,
            genotypes,
            truth.scores(genotypes),
            space.canonicalize(space.genotypes(architectures)),
            returned,
            rounds,
        ),
        "The space on two linear components of its one-hot encoding that follow the mean score"
        " (partial least squares), left; the trainings of one run by round, right. Line and"
        " numbers: what would be returned, and the rounds that met it. Star: the optimum.",
    )


def _join(values: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _form(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _range(ends: Sequence[float | None], form: str) -> str:
    low, high = ends
    return "-" if low is None or high is None else f"{low:{form}} to {high:{form}}"


def _with_range(item: dict[str, Any], form: str) -> str:
    ends = _range(item["ci95"], form)
    return _form(item["mean"], form) + ("" if ends == "-" else f" ({ends})")
