"""``weaknas rank``."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from weaknas.commands._numbers import Jobs, Runs, Seed, parse_whole
from weaknas.commands._shared import print_json
from weaknas.commands.compare import parse_runs_of
from weaknas.errors import InputError, MissingDependencyError, unknown
from weaknas.files import prepare_folder
from weaknas.laboratory.contestants import parse_contestant
from weaknas.laboratory.ranking import Ranking
from weaknas.laboratory.ranking import rank as run_ranking
from weaknas.laboratory.ranking_results import Task
from weaknas.laboratory.workers import Outcome
from weaknas.registry import SPACES, get_benchmark, is_space_file


@Parameter(name="*")
@dataclass(frozen=True)
class Options:
    """Options of ``weaknas rank``; see the command for their meaning."""

    dataset: str | None = None
    "Data set of the benchmark; default: the benchmark's first."
    predictors: str = "gp,bayesian-ridge,random-forest,xgboost"
    "Separated by commas; options follow a colon: `xgboost:members=1:encoder=one-hot`."
    encoder: str | None = None
    "See `weaknas list encoders`; several are joined by `+`; default: that of a search."
    train_sizes: str = "50,100,200"
    "Numbers of architectures to fit to, separated by commas."
    runs: Runs = 20
    "Training sets; run k is the same for every predictor."
    runs_of: str = ""
    "Fewer or more runs for some predictors, like `mlp=5,gcn=3`."
    labels: str = "one-seed"
    "What predictors are fitted to: `one-seed`, one training, or `mean`, of all."
    regime: str = "uniform"
    "Training sets: `uniform` draws, or `progressive`, the first queries of a search."
    targets: str = "rank-normal"
    "How scores are transformed before the fit: `rank-normal`, `standard` or `raw`."
    seed: Seed = 0
    "Of everything that is random."
    jobs: Jobs = 1
    "Processes; they do not change the results, apart from the seconds."
    output: Path | None = None
    "Folder of the results; an unfinished ranking in it is continued."
    json: Annotated[bool, Parameter(negative="")] = False
    "Print one JSON object as the last line of standard output."


def rank(space: str, /, *, options: Options = Options()) -> None:
    """Measure how well predictors rank the architectures they have not seen.

    Parameters
    ----------
    space
        Name of the search space; see `weaknas list spaces`.
    """
    if space not in SPACES.names() and not is_space_file(space):
        raise unknown("space", space, SPACES.names())
    given = {} if options.dataset is None else {"dataset": options.dataset}
    design = Ranking(
        space,
        partial(get_benchmark, space, labels=options.labels, **given),
        {
            label: parse_contestant(label, options.encoder)
            for label in _split(options.predictors, "predictor")
        },
        parse_sizes(options.train_sizes),
        options.runs,
        options.seed,
        options.regime,  # type: ignore[arg-type]  # checked there
        options.targets,
        parse_runs_of(options.runs_of),
    )
    output = None if options.output is None else prepare_folder(options.output)
    with RankingProgress(design) as progress:
        summary = run_ranking(
            design,
            output,
            jobs=options.jobs,
            command=shlex.join(["weaknas", *sys.argv[1:]]),
            progress=progress,
        )
    if not summary["rows"]:
        raise InputError(f"every fit failed, the first by {summary['failures'][0]['error']}")
    drawn = output is not None and _draw(summary, output / "ranking")
    if options.json:
        print_json(summary)
        return
    print_ranking(summary)
    if output is not None:
        print(f"results in {options.output}" + (", figure in ranking.png" if drawn else ""))


def parse_sizes(text: str) -> list[int]:
    """Read ``50,100,200``.

    Raises
    ------
    InputError
        When a part is not a number from 2 on, or is given twice.
    """
    sizes = _split(text, "training size")
    return sorted(parse_whole("each of --train-sizes", part, 2) for part in sizes)


def _split(text: str, kind: str) -> list[str]:
    names = [part.strip() for part in text.split(",") if part.strip()]
    for part, count in Counter(names).items():
        if count > 1:
            raise InputError(f"the {kind} {part!r} is given {count} times")
    return names


def _draw(summary: dict[str, Any], path: Path) -> bool:
    """Draw the figure; without matplotlib say that there is none."""
    from weaknas.reports import plots

    try:
        plots.save(plots.plot_ranking(summary), path)
    except MissingDependencyError as error:
        print(f"no figure: {error}", file=sys.stderr)
        return False
    return True


class RankingProgress:
    """A bar on standard error; failures are told as they come."""

    def __init__(self, design: Ranking) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._bar = Progress(
            TextColumn("fits"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task("fits", total=len(design.tasks()))

    def __enter__(self) -> RankingProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, outcome: Outcome[Task]) -> None:
        """Count a task and tell of its failure."""
        if outcome.error:
            where = f"{outcome.task.predictor}, run {outcome.task.run}"
            self._bar.console.print(f"{where} failed: {outcome.error}", markup=False)
        self._bar.advance(self._task)


def print_ranking(summary: dict[str, Any]) -> None:
    """Print a ranking as a table on standard output, the best of each training size first."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        title=f"{summary['space']}/{summary['dataset']}, labels {summary['labels']},"
        f" {summary['regime']} training sets of {summary['architectures']} architectures",
        caption=f"on the unseen architectures; precision at the top {summary['top']}; regret of the"
        " predicted best; p: Wilcoxon of tau against the predictor named first, Holm",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("trained on", justify="right")
    table.add_column("predictor", overflow="fold")
    names = ("runs", "Kendall tau", "95 % interval", "Spearman", "precision", "regret", "p")
    for name in (*names, "s fit", "s predict"):
        table.add_column(name, justify="right", no_wrap=True)
    for size in summary["train_sizes"]:
        rows = [row for row in summary["rows"] if row["train_size"] == size]
        for row in sorted(rows, key=lambda row: -row["kendall_tau"]["mean"]):
            low, high = row["kendall_tau"]["ci95"]
            table.add_row(
                str(size),
                escape(row["predictor"]),
                str(row["runs"]),
                f"{row['kendall_tau']['mean']:.3f}",
                "-" if low is None else f"{low:.3f} to {high:.3f}",
                f"{row['spearman']:.3f}",
                f"{row['top_precision']:.3f}",
                f"{row['regret']:.3f}",
                "-" if row["p_holm"] is None else f"{row['p_holm']:.1g}",
                f"{row['seconds_fit']:.3f}",
                f"{row['seconds_predict']:.3f}",
            )
        table.add_section()
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)
    encoders = {row["encoder"] for row in summary["rows"]}
    if len(encoders) == 1:
        console.print(f"encoder: {encoders.pop()}", markup=False, highlight=False)
    for failure in summary["failures"]:
        console.print(
            f"{failure['predictor']}, run {failure['run']} failed: {failure['error']}", markup=False
        )
