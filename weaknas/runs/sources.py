"""Sources of a search by texts and tables: runs, benchmarks, files, data frames, pairs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from weaknas.components import parse_label
from weaknas.errors import InputError, hint, unknown
from weaknas.evaluators import TabularBenchmark
from weaknas.evaluators.benchmarks import DATA
from weaknas.evaluators.table_file import find_objective, read_table_file
from weaknas.evaluators.zero_cost import MEASURED, measure_proxies
from weaknas.registry import BENCHMARKS, SOURCES, SPACES, get_benchmark, get_space
from weaknas.runs.journal import read_journal
from weaknas.runs.trials import Trial, mean_scores
from weaknas.search.sources import Source, has_shared_features, identity
from weaknas.spaces import ChoiceSpace, SearchSpace

_FILES = (".csv", ".tsv", ".parquet")
_OPTIONS = ("objective", "maximize")
_PROXY_OPTIONS = ("names", "networks", "dataset", "path", "seed", "cache")
#: Names the zero-cost proxies of untrained networks of the space.
PROXIES = "proxies"
_KINDS = (
    "the folder of a run, a benchmark such as 'nasbench201:dataset=cifar10', 'proxies', a table in"
    " a .csv, .tsv or .parquet file ('results.csv:objective=accuracy'), a data frame, pairs of an"
    " architecture and its score, or a study, 'optuna:sqlite:///studies.db#name'"
)


def read_sources(value: Any, space: SearchSpace, *, same_problem: bool = False) -> list[Source]:
    """Return the sources that a value stands for: one, but of ``"proxies"`` one a proxy.

    Parameters
    ----------
    value : str, Path, table, sequence of pairs or Source
        As of `read_source`; or ``"proxies"``, zero-cost proxies of untrained networks of the
        space, with options of `weaknas.evaluators.zero_cost.measure_proxies` such as
        ``"proxies:dataset=cifar10:networks=1000:names=synflow+naswot"``.
    space : SearchSpace
    same_problem : bool

    Raises
    ------
    InputError
        As by `read_source`, and when proxies cannot be measured.
    """
    if isinstance(value, str) and value.partition(":")[0] == PROXIES and not Path(value).exists():
        if same_problem:
            raise InputError("zero-cost proxies are no scores of the same problem")
        return _of_proxies(space, parse_label(value)[1])
    return [read_source(value, space, same_problem=same_problem)]


def _of_proxies(space: SearchSpace, options: dict[str, Any]) -> list[Source]:
    for option in options:
        if option not in _PROXY_OPTIONS:
            raise unknown(f"option of the source {PROXIES}:", option, _PROXY_OPTIONS)
    names = str(options.pop("names", "+".join(MEASURED))).split("+")
    found = measure_proxies(space, names, **options)
    share = found.seconds / len(names)
    return [
        Source(f"{PROXIES}:{name}", found.genotypes, values, trend=False, seconds=share)
        for name, values in found.values.items()
    ]


def read_source(value: Any, space: SearchSpace, *, same_problem: bool = False) -> Source:
    """Return what a value holds for a search of a space.

    Parameters
    ----------
    value : str, Path, table, sequence of pairs or Source
        The folder of a run; a registered benchmark with its options; a file of a table, with
        ``objective=`` where it has more than one column of numbers and none named ``score``,
        and ``maximize=False``;
        a table as `weaknas.TabularBenchmark` takes it; pairs of an architecture and a score;
        or a study of Optuna, ``optuna:`` and its storage, ``#`` and its name.
        What is outside the limits of the space tells of it all the same, as does another space
        that has features in common with it, see `weaknas.encoders.SharedFeaturesEncoder`.
    space : SearchSpace
    same_problem : bool
        Whether its scores are labels of the problem that is searched.

    Raises
    ------
    InputError
        When it is none of these, is of a space with nothing in common or damaged, or holds too
        little.
    """
    source = _read(value, space, same_problem)
    source.check_usable(space)
    return source


def _read(value: Any, space: SearchSpace, same_problem: bool) -> Source:
    if isinstance(value, Source):
        return value
    package = type(value).__module__.partition(".")[0]
    if package in SOURCES.names():
        foreign: Source = SOURCES.load(package)(value, space, same_problem=same_problem)
        return foreign
    if isinstance(value, str | Path):
        return _read_text(str(value), space, same_problem)
    if isinstance(value, Sequence):
        return Source.of_pairs(space, value, same_problem=same_problem)
    return _of_table(value, {}, space, "table", same_problem)


def _read_text(text: str, space: SearchSpace, same_problem: bool) -> Source:
    scheme, colon, rest = text.partition(":")
    if colon and scheme in SOURCES.names():
        foreign: Source = SOURCES.load(scheme)(rest, space, same_problem=same_problem)
        return foreign
    name, options = (text, {}) if Path(text).exists() else parse_label(text)
    if name and Path(name).exists():  # no text is this folder to Path
        return _read_path(Path(name), options, space, same_problem)
    if name not in BENCHMARKS.names():
        known = [*BENCHMARKS.names(), *SOURCES.names(), PROXIES]
        raise InputError(f"no such source: {text!r}{hint(name, known)}; it may be {_KINDS}")
    return _of_benchmark(get_benchmark(name, **options), space, text, same_problem)


def _read_path(
    path: Path, options: Mapping[str, Any], space: SearchSpace, same_problem: bool
) -> Source:
    if path.suffix in _FILES:
        return _of_table(read_table_file(path), options, space, str(path), same_problem)
    journal = path / "journal.jsonl" if path.is_dir() else path
    if journal.name != "journal.jsonl" or not journal.is_file():
        raise InputError(f"{path} is no source; a source may be {_KINDS}")
    for option, value in options.items():
        raise InputError(f"the source {path} is a run, which has no options, not {option}={value}")
    config, trials = read_journal(journal)
    of = _space_of(config["space"], space, str(path))
    kept = [trial for trial in trials if trial.level == math.inf]
    told, means = mean_scores(kept if same_problem else _of_highest_fidelity(trials))
    pairs = [(trial.architecture.text, mean) for trial, mean in zip(told, means, strict=True)]
    return Source.of_pairs(of, pairs, str(path), same_problem=same_problem)


def _of_highest_fidelity(trials: Iterable[Trial]) -> list[Trial]:
    """Return the trials that have a score, and that of the most training there was."""
    scored = [trial for trial in trials if trial.is_ok]
    highest = max((trial.level for trial in scored), default=math.inf)
    return [trial for trial in scored if trial.level == highest]


def _space_of(description: Mapping[str, Any], space: SearchSpace, name: str) -> SearchSpace:
    """Return the space of a run: the one that is searched, or what can be made of another."""
    theirs, choices = str(description.get("name")), description.get("choices")
    if theirs == space.name and choices == space.describe().get("choices"):
        return space
    if choices is not None:
        return ChoiceSpace(choices, theirs, description.get("conditions"))
    if theirs in SPACES.names():
        return get_space(theirs)
    raise InputError(
        f"{name} holds a run in the space {theirs!r}, which is not registered; make a"
        " `weaknas.search.sources.Source` of its pairs and the object"
    )


def find_tables(space: SearchSpace) -> list[dict[str, str]]:
    """Return the tables that may be sources of a space, its own first.

    Returns
    -------
    list of dict
        ``source``, the name; ``space`` and ``needs``, what must be there for it.
    """
    found = []
    for name in BENCHMARKS.names():
        other = get_space(name) if name in SPACES.names() and name in DATA else None
        if other is not None and _is_usable(space, other):
            datasets, needs = DATA[name]
            named = [f"{name}:dataset={dataset}" for dataset in datasets]
            found += [{"source": label, "space": name, "needs": needs} for label in named]
    return sorted(found, key=lambda table: table["space"] != space.name)


def find_runs(
    space: SearchSpace, folders: Iterable[Path]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the runs in folders, and below, that may be sources of a space.

    Returns
    -------
    runs : list of dict
        ``source``, the folder; ``space``, ``trials``, ``best`` and ``evaluator``.
    messages : list of str
        Why others that look like runs cannot be read.
    """
    runs, messages = [], []
    for journal in sorted(path for folder in folders for path in folder.rglob("journal.jsonl")):
        try:
            config, trials = read_journal(journal)
            other = _space_of(config["space"], space, str(journal.parent))
        except InputError as error:
            messages.append(str(error))
            continue
        scores = [trial.score for trial in _of_highest_fidelity(trials)]
        if scores and _is_usable(space, other):
            judge = config["evaluator"]
            runs.append(
                {
                    "source": str(journal.parent),
                    "space": other.name,
                    "trials": len(scores),
                    "best": max(scores),
                    "evaluator": judge.get("benchmark") or judge.get("evaluator", "a function"),
                }
            )
    return runs, messages


def _is_usable(space: SearchSpace, other: SearchSpace) -> bool:
    return identity(other) == identity(space) or has_shared_features(space, other)


def _of_benchmark(
    benchmark: TabularBenchmark, space: SearchSpace, name: str, same_problem: bool
) -> Source:
    of = space if identity(benchmark.space) == identity(space) else benchmark.space
    rows = benchmark.space.enumerate()
    rows = rows[np.unique(benchmark.space.fingerprint(rows), return_index=True)[1]]
    scores = benchmark.true_scores(rows)
    inside = of.contains(rows) if same_problem else np.ones(len(rows), dtype=bool)
    rows = benchmark.space.canonicalize(rows[inside])
    return Source(name, rows, scores[inside], same_problem, of)


def _of_table(
    table: Any, options: Mapping[str, Any], space: SearchSpace, name: str, same_problem: bool
) -> Source:
    for option in options:
        if option not in _OPTIONS:
            raise unknown(f"option of the source {name}:", option, _OPTIONS)
    try:
        benchmark = TabularBenchmark(
            space,
            table,
            objective=str(options.get("objective") or find_objective(space, table)),
            maximize=options.get("maximize", True),
            labels="mean",
            partial=True,
            name=name,
        )
    except InputError as error:
        raise InputError(f"the source {name}: {error}") from error
    return _of_benchmark(benchmark, space, name, same_problem)
