"""``weaknas compare``."""

from __future__ import annotations

import shlex
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from weaknas.commands._numbers import Count, Jobs, Positive, Runs, Seed, parse_whole
from weaknas.commands._shared import print_json
from weaknas.errors import MOST_AT_ONCE, InputError
from weaknas.laboratory.comparison_folder import Task
from weaknas.laboratory.experiment import Experiment, parse_strategy
from weaknas.laboratory.results import compare as run_comparison
from weaknas.laboratory.summary import by_dataset
from weaknas.laboratory.workers import Outcome
from weaknas.runs.problem import TABLE, build_problem


@Parameter(name="*")
@dataclass(frozen=True)
class Options:
    """Options of ``weaknas compare``; see the command for their meaning."""

    dataset: str | None = None
    "Data sets of the benchmark, separated by commas; default: the benchmark's first."
    strategies: str = "weaknas,random"
    "Separated by commas; options follow a colon: `weaknas:repeats=never,local-search:confirm=5`."
    runs: Runs = 100
    "Runs of each strategy on each data set."
    runs_of: str = ""
    "Other numbers of runs for some strategies: `optuna-gp=10,nao=5`."
    budget: Count = 300
    "Trainings of a run, repeats included."
    budget_cost: Positive | None = None
    "Seconds of training after which a run ends too, for strategies with several fidelities."
    evaluator: str = TABLE
    "`tabular`, or one of `weaknas list evaluators`, where scores are compared, not regret."
    constraint: Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=False)] = ()
    "A limit on a cost, `macs<=600e6`, `latency<=25ms @95%`; repeat it for several."
    measured: Annotated[tuple[Path, ...], Parameter(negative="", consume_multiple=False)] = ()
    "A model of a cost, as `weaknas latency --measure` writes it; repeat it for several devices."
    objective: Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=False)] = ()
    "A cost to make small beside a large score: runs are compared by hypervolume; up to two."
    seed: Seed = 0
    "Of everything that is random; run k of every strategy sees the same labels."
    labels: str | None = None
    "What a training in a table shows: `one-seed`, the default, `resampled`, or `mean`, no noise."
    noise: Positive | None = None
    "Resampled labels with normal noise of this standard deviation, for tables that tell none."
    optimum: str = "validation"
    "Mean score by which architectures are judged: `validation` or `test`."
    jobs: Jobs = 1
    "Processes; they do not change the results."
    output: Path | None = None
    "Folder of the results; an unfinished comparison in it is continued."
    json: Annotated[bool, Parameter(negative="")] = False
    "Print one JSON object as the last line of standard output."


def compare(space: str, /, *, options: Options = Options()) -> None:
    """Compare strategies over many seeds.

    Parameters
    ----------
    space
        Name of the search space, see `weaknas list spaces`, with `:key=value` for each
        option of it, or a TOML file that describes one.
    """
    experiment = Experiment(
        space,
        _benchmarks(space, options),
        {label: parse_strategy(label, options.objective) for label in _split(options.strategies)},
        options.runs,
        options.budget,
        options.seed,
        options.optimum,  # type: ignore[arg-type]  # checked there
        parse_runs_of(options.runs_of),
        options.budget_cost,
        options.objective,
    )
    with ComparisonProgress(experiment, options.jobs) as progress:
        summary = run_comparison(
            experiment,
            options.output,
            jobs=options.jobs,
            command=shlex.join(["weaknas", *sys.argv[1:]]),
            progress=progress,
        )
    if options.json:
        print_json(summary)
    else:
        print_summary(summary)
        if options.output is not None:
            print(f"results in {options.output}; figures: weaknas report {options.output}")
    datasets = by_dataset(summary)
    if not any(part["strategies"] for part in datasets):
        reason = datasets[0]["failures"][0]["error"]
        raise InputError(f"every run failed, the first by {reason}")


def parse_runs_of(text: str) -> dict[str, int]:
    """Read ``optuna-gp=10,weaknas:preset=paper=5``: the number follows the last equals sign.

    Raises
    ------
    InputError
        When a part is not of this form, or its number out of bounds.
    """
    numbers = {}
    for part in _split(text):
        label, _, number = part.rpartition("=")
        if not label:
            raise InputError(f"--runs-of is strategy=number, separated by commas; {part!r} is not")
        numbers[label] = parse_whole(f"--runs-of {label}", number, 1, MOST_AT_ONCE)
    return numbers


def _split(text: str) -> list[str]:
    names = [part.strip() for part in text.split(",") if part.strip()]
    for part, count in Counter(names).items():
        if count > 1:
            raise InputError(f"{part!r} is given {count} times")
    return names


def _benchmarks(space: str, options: Options) -> dict[str, Any]:
    build = partial(
        build_problem,
        space,
        options.evaluator,
        labels=options.labels,
        noise=options.noise,
        constraints=options.constraint,
        measured=options.measured,
        objectives=options.objective,
    )
    if options.dataset is None:
        return {build().name.rpartition("/")[2]: build}
    return {name: partial(build, dataset=name) for name in _split(options.dataset)}


class ComparisonProgress:
    """A bar on standard error with the time that is left, by the mean time of each strategy."""

    def __init__(self, experiment: Experiment, jobs: int) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
        )

        tasks = experiment.tasks()
        self._left = Counter(task.strategy for task in tasks)
        self._spent: defaultdict[str, float] = defaultdict(float)
        self._timed: Counter[str] = Counter()
        self._jobs = jobs
        self._failed = 0
        self._begin = time.perf_counter()
        self._bar = Progress(
            TextColumn("runs"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task("runs", total=len(tasks), left="")

    def __enter__(self) -> ComparisonProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, outcome: Outcome[Task]) -> None:
        """Count a run and tell of its failure."""
        name = outcome.task.strategy
        self._left[name] -= 1
        if outcome.seconds > 0:  # not one of an earlier call
            self._spent[name] += outcome.seconds
            self._timed[name] += 1
        if outcome.error:
            self._failed += 1
            where = f"{outcome.task.dataset} run {outcome.task.run}"
            self._bar.console.print(f"{name} ({where}) failed: {outcome.error}", markup=False)
        self._bar.update(self._task, advance=1, left=self._time_left())

    def _time_left(self) -> str:
        if any(left and not self._timed[name] for name, left in self._left.items()):
            return "time left: not known yet"
        seconds = sum(
            left * self._spent[name] / self._timed[name]
            for name, left in self._left.items()
            if left
        )
        minutes, rest = divmod(round(seconds / self._jobs), 60)
        return f"time left: {minutes} min {rest:02d} s" if minutes else f"time left: {rest} s"


def print_summary(summary: dict[str, Any]) -> None:
    """Print a comparison as tables on standard output."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 160)
    for part in by_dataset(summary):
        console.print(_table(part))
        for failure in part["failures"]:
            console.print(
                f"{failure['strategy']}, run {failure['run']} failed: {failure['error']}",
                markup=False,
            )
    ranks = summary.get("ranks")
    if ranks:
        order = sorted(ranks["average"].items(), key=lambda item: item[1])
        text = ", ".join(f"{name} {rank:.2f}" for name, rank in order)
        console.print(
            f"average rank: {text} (critical difference {ranks['critical_difference']:.2f})",
            markup=False,
        )


def _table(part: dict[str, Any]) -> Any:
    """Return the strategies as a table, by regret where the optimum is known, else by score."""
    from rich.table import Table

    if "hypervolume" in part:
        return _volume_table(part)
    has_optimum = part["optimum_score"] is not None
    marks = [mark for mark in ("50", "100", "150", "200", "300") if int(mark) < part["budget"]]
    marks = [*(mark for mark in marks if not has_optimum or mark != "200"), str(part["budget"])]
    if has_optimum:
        title = f", optimum by {part['optimum']} ({part['optimum_score']:.4g})"
        caption = (
            "queries: trainings until the optimum is first trained, the full budget where it is"
            " not; regret: optimum minus the returned architecture, by mean score; returned: the"
            " share of runs that return the optimum; p: Wilcoxon against the first, Holm"
        )
    else:
        title, caption = ", optimum unknown", "p: of the last score, Wilcoxon against the first"
    labels = f", labels {part['labels']}" if part["labels"] else ""
    table = Table(
        title=f"{part['space']}/{part['dataset']}{labels}{title}",
        caption=caption,
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("strategy", overflow="fold")
    quality = ("found", "queries", "95 % interval", "median", "p90") if has_optimum else ()
    what = "regret" if has_optimum else "best"
    for name in ("runs", *quality, *(f"{what}@{mark}" for mark in marks)):
        table.add_column(name, justify="right", no_wrap=True)
    for name in (("returned",) if has_optimum else ("95 % interval",)) + ("p", "s/run"):
        table.add_column(name, justify="right", no_wrap=True)
    for item in part["strategies"]:
        table.add_row(*(_by_regret if has_optimum else _by_score)(item, marks))
    return table


def _volume_table(part: dict[str, Any]) -> Any:
    """Return the strategies as a table by the volume that they dominate after some trainings."""
    from rich.table import Table

    volume, budget = part["hypervolume"], str(part["budget"])
    whole = volume["whole"]
    form, scale = (".2f", 100 / whole) if whole else (".5g", 1.0)
    marks = [mark for mark in ("25", "50", "100", "150", "200", "300") if int(mark) < int(budget)]
    corner = ", ".join(f"{name} {value:.5g}" for name, value in volume["reference"].items())
    table = Table(
        title=f"{part['space']}/{part['dataset']}, front of score and"
        f" {' and '.join(volume['objectives'])}, hypervolume"
        + (" in % of that of the whole space" if whole else ""),
        caption=f"measured from {corner}; p: of the last volume, Wilcoxon against the first, Holm",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("strategy", overflow="fold")
    for name in (
        "runs",
        *(f"at {mark}" for mark in (*marks, budget)),
        "95 % interval",
        "p",
        "s/run",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for item in part["strategies"]:
        curve = item["hypervolume_at"]
        means = [_plain(scale * curve[mark]["mean"], form) for mark in (*marks, budget)]
        ends = _interval([scale * end for end in curve[budget]["ci95"] if end is not None], form)
        table.add_row(*_head(item), *means, ends, *_tail(item))
    return table


def _by_regret(item: dict[str, Any], marks: list[str]) -> list[str]:
    queries = item["queries_to_optimum"]
    return [
        *_head(item),
        f"{100 * item['found_rate']:.0f} %",
        f"{queries['mean']:.1f}",
        _interval(queries["ci95"], ".1f"),
        f"{queries['median']:.0f}",
        f"{queries['p90']:.0f}",
        *(_plain(item["regret_at"][mark]["mean"], ".3f") for mark in marks),
        f"{100 * item['optimum_returned_at'][marks[-1]]:.0f} %",
        *_tail(item),
    ]


def _by_score(item: dict[str, Any], marks: list[str]) -> list[str]:
    best = item["best_at"]
    means = [_plain(best[mark]["mean"], ".5g") for mark in marks]
    return [*_head(item), *means, _interval(best[marks[-1]]["ci95"], ".5g"), *_tail(item)]


def _head(item: dict[str, Any]) -> list[str]:
    from rich.markup import escape

    return [escape(item["strategy"]), str(item["runs"])]


def _tail(item: dict[str, Any]) -> list[str]:
    p_value = item.get("wilcoxon", {}).get("p_holm")
    return [_plain(p_value, ".1g"), f"{item['seconds_per_run']:.2f}"]


def _interval(ends: Sequence[float | None], form: str) -> str:
    if len(ends) < 2 or None in ends:
        return "-"
    return " to ".join(format(end, form) for end in ends)


def _plain(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
