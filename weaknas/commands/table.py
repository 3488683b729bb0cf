"""``weaknas table``."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, TypeAlias

from cyclopts import App, Parameter

from weaknas.commands._shared import print_json
from weaknas.errors import InputError
from weaknas.evaluators.benchmarks import describe_file
from weaknas.registry import SPACES, is_space_file

Json: TypeAlias = Annotated[bool, Parameter(negative="")]

app = App(
    name="table",
    help="Import official benchmark files, or describe a table.",
    help_epilogue="Example: `weaknas table describe nasbench201 --dataset cifar100`",
)


@app.command(name="import")
def import_table(
    name: str, path: Path, /, *, output: Path | None = None, json: Json = False
) -> None:
    """Convert official files of a benchmark to Parquet, once; searches then use them.

    Example: `weaknas table import nasbench201 NATS-tss-v1_0-3ffb9.pickle.pbz2`

    Parameters
    ----------
    name
        The space of the benchmark, e.g. `nasbench201`.
    path
        The file or folder that was downloaded.
    output
        Folder for the tables; default: where searches look.
    json
        Print one JSON object as the last line of standard output.
    """
    module = _table_module(name)
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder")
    with _progress() as progress:
        written = module.import_table(path, output, progress)
    if json:
        print_json({"space": name, "written": [str(file) for file in written]})
        return
    for file in written:
        print(f"wrote {file}")


@app.command(name="describe")
def describe_table(name: str, /, *, dataset: str | None = None, json: Json = False) -> None:
    """Say where a table comes from, what it holds and what is best in it.

    Example: `weaknas table describe nasbench201 --dataset cifar100`

    Parameters
    ----------
    name
        The space of the benchmark, e.g. `nasbench201`, or a TOML file that describes a table.
    dataset
        Data set of the benchmark; default: its first.
    json
        Print one JSON object as the last line of standard output.
    """
    if is_space_file(name):
        describe: Callable[..., dict[str, Any]] = partial(describe_file, name)
    else:
        describe = _table_module(name).describe_table
    if dataset is None:
        facts = describe()
    elif "dataset" in inspect.signature(describe).parameters:
        facts = describe(dataset)
    else:
        raise InputError(f"the table of {name!r} has one data set and takes no --dataset")
    if json:
        print_json(facts)
    else:
        _print(facts)


def _table_module(name: str) -> ModuleType:
    """Return the module ``table`` beside the space of this name.

    Raises
    ------
    InputError
        When the name is unknown or the space has no table.
    """
    module = _find_module(name)
    if module is None:
        having = [space for space in SPACES.names() if _find_module(space) is not None]
        raise InputError(
            f"the space {name!r} has no table of official files (allowed: {', '.join(having)})"
        )
    return module


def _find_module(name: str) -> ModuleType | None:
    package = SPACES.load(name).__module__.rpartition(".")[0]
    if not package or importlib.util.find_spec(f"{package}.table") is None:
        return None
    module = importlib.import_module(f"{package}.table")
    return module if hasattr(module, "import_table") else None


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Show a bar on standard error from the first report on."""
    from rich.console import Console
    from rich.progress import Progress

    bar = Progress(console=Console(stderr=True))
    task = bar.add_task("reading", total=None)

    def report(done: int, total: int) -> None:
        bar.start()
        bar.update(task, completed=done, total=total)

    try:
        yield report
    finally:
        if bar.live.is_started:  # else it would print an empty line
            bar.stop()


def _print(facts: dict[str, Any]) -> None:
    width = max(map(len, facts))
    for name, value in facts.items():
        if not isinstance(value, dict):
            print(f"{name:>{width}}  {value}")
            continue
        for position, (key, detail) in enumerate(value.items()):
            shown = " x ".join(map(str, detail)) if isinstance(detail, list) else detail
            print(f"{'' if position else name:>{width}}  {key}: {shown}")
