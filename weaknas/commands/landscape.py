"""``weaknas landscape``."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from cyclopts import Parameter

from weaknas.commands._numbers import Count, Positive, Runs, Seed
from weaknas.commands._shared import print_json
from weaknas.components import parse_label
from weaknas.errors import InputError, MissingDependencyError, unknown
from weaknas.evaluators import TabularBenchmark
from weaknas.evaluators.table_file import read_table_file
from weaknas.files import prepare_folder, read_bytes, write_json
from weaknas.laboratory.folder import versions
from weaknas.laboratory.landscape.summary import (
    Settings,
    describe_run,
    describe_space,
    describe_table,
)
from weaknas.laboratory.landscape.trainings import Trainings
from weaknas.registry import (
    BENCHMARKS,
    SPACES,
    get_benchmark,
    get_space,
    is_own,
    is_space_file,
    parse_space,
)
from weaknas.reports.landscape_report import landscape_facts
from weaknas.spaces import SearchSpace

_TABLE_OPTIONS = ("objective", "maximize")


@Parameter(name="*")
@dataclass(frozen=True)
class Options:
    """Options of ``weaknas landscape``; see the command for their meaning."""

    dataset: str | None = None
    "Data set of the benchmark; default: its first."
    table: str | None = None
    "Scores: a `.csv`, `.tsv` or `.parquet` file, with `:objective=COLUMN` and `:maximize=false`."
    run: Path | None = None
    "Scores: the trials in the output folder of a search."
    first: Count | None = None
    "With `--run`: only so many trials from the beginning."
    structure: Annotated[bool, Parameter(negative="")] = False
    "The space alone, without scores, also where there is a table."
    peaks: Path | None = None
    "A file of one architecture a line: how much of the space is near them."
    noise: Positive | None = None
    "Standard deviation of a training, where the table does not tell it."
    steps: Runs = 20
    "Steps of a random walk up to which the autocorrelation is told."
    walks: Runs = 50
    "Random walks of 1,000 architectures that estimate it, beside the exact one."
    seed: Seed = 0
    "Of the walks, and of samples of spaces too large to list."
    output: Path | None = None
    "Folder of `landscape.json` and a page with figures, `report.html`."
    json: Annotated[bool, Parameter(negative="")] = False
    "Print one JSON object as the last line of standard output."


def landscape(space: str, /, *, options: Options = Options()) -> None:
    """Measure how scores lie on a space, and what that says of how to search it.

    Without `--table` or `--run` the scores are those of the benchmark of the space; where there
    is none, what the space is without scores is told.

    Parameters
    ----------
    space
        Name of the search space, see `weaknas list spaces`, with `:key=value` for each
        option of it, a TOML file that describes one, or `module:name` of your own.
    """
    settings = Settings(
        steps=options.steps,
        walks=options.walks,
        length=max(1000, 10 * options.steps),
        seed=options.seed,
        noise=options.noise,
    )
    output = None if options.output is None else prepare_folder(options.output)
    summary = {"space": space, "dataset": options.dataset} | _describe(space, options, settings)
    drawn = False
    if output is not None:
        made = {"command": shlex.join(["weaknas", *sys.argv[1:]]), "versions": versions()}
        write_json(output / "landscape.json", summary | made)
        drawn = _draw(output)
    if options.json:
        print_json(summary)
        return
    print_landscape(summary)
    if output is not None:
        print(f"written to {options.output}" + (", page in report.html" if drawn else ""))


def _describe(label: str, options: Options, settings: Settings) -> dict[str, Any]:
    """Return what the options ask for, and where the scores are from."""
    chosen = [name for name in ("table", "run", "structure") if vars(options)[name]]
    if len(chosen) > 1:
        raise InputError(f"--{chosen[0]} and --{chosen[1]} exclude each other")
    if options.first is not None and options.run is None:
        raise InputError("--first counts the trials of --run")
    name, setting = parse_space(label)
    if name not in SPACES.names() and not is_space_file(name) and not is_own(name):
        raise unknown("space", name, SPACES.names())
    if options.run is not None:
        space = get_space(name, **setting)
        trainings = Trainings.of_run(options.run, space, options.first)
        told = describe_run(trainings, _read_peaks(options.peaks, space), settings)
        return {"scores": str(options.run)} | told
    benchmark = _benchmark(name, setting, options)
    if benchmark is None:
        space = get_space(name, **setting)
        told = describe_space(space, _read_peaks(options.peaks, space), settings)
        return {"scores": None} | told
    told = describe_table(benchmark, _read_peaks(options.peaks, benchmark.space), settings)
    dataset = options.dataset or benchmark.name.rpartition("/")[2]
    return {"scores": benchmark.name, "dataset": dataset} | told


def _benchmark(name: str, setting: dict[str, Any], options: Options) -> TabularBenchmark | None:
    """Return the table that is asked for, or that comes with the space; None for none."""
    if options.table is not None:
        return _table_of_file(options.table, get_space(name, **setting))
    given = {} if options.dataset is None else {"dataset": options.dataset}
    has_table = name in BENCHMARKS.names() or (is_space_file(name) and _describes_table(name))
    if options.structure or not has_table:
        if given:
            raise InputError(f"--dataset {options.dataset}: no table of {name!r} is read")
        return None
    benchmark = get_benchmark(name, **given, **setting)
    if not isinstance(benchmark, TabularBenchmark):
        raise InputError(
            f"{benchmark.name!r} predicts scores and is no table; --structure tells of the space"
        )
    return benchmark


def _describes_table(path: str) -> bool:
    from weaknas.spaces.choices.toml import read_space_file

    return read_space_file(path).table is not None


def _table_of_file(label: str, space: SearchSpace) -> TabularBenchmark:
    path, given = (label, {}) if Path(label).exists() else parse_label(label)
    for option in given:
        if option not in _TABLE_OPTIONS:
            raise unknown("option of --table:", option, _TABLE_OPTIONS)
    return TabularBenchmark(
        space, read_table_file(Path(path)), **given, partial=True, name=Path(path).stem
    )


def _read_peaks(path: Path | None, space: SearchSpace) -> npt.NDArray[np.integer] | None:
    """Return the architectures of a file, one a line."""
    if path is None:
        return None
    try:
        lines = read_bytes(path).decode().splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text: {error.reason}") from error
    texts = [line.strip() for line in lines if line.strip()]
    if not texts:
        raise InputError(f"{path} names no architecture; it has one a line")
    try:
        return space.genotypes(texts)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _draw(folder: Path) -> bool:
    """Write the page; without matplotlib say that there is none."""
    from weaknas.reports.report import report

    try:
        report(folder)
    except MissingDependencyError as error:
        print(f"no page: {error}", file=sys.stderr)
        return False
    return True


def print_landscape(summary: dict[str, Any]) -> None:
    """Print a landscape as lines on standard output."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 120)
    for name, value in landscape_facts(summary).items():
        console.print(f"{name:>24}  {value}", highlight=False, markup=False, soft_wrap=True)
