"""``weaknas sources``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from weaknas.errors import InputError
from weaknas.registry import BENCHMARKS, get_space, parse_space
from weaknas.runs.journal import read_journal


def list_sources(
    space: str = "nasbench201",
    /,
    *folders: Path,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """List what a search of a space can begin with.

    Parameters
    ----------
    space
        Name of the search space, or a TOML file.
    folders
        Where runs are looked for, in all folders below; default: `runs`.
    json
        Print one JSON object instead.
    """
    name, options = parse_space(space)
    searched = get_space(name, **options).name
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder")
    places = folders or tuple(path for path in (Path("runs"),) if path.is_dir())
    runs, passed = _find_runs(places, searched)
    tables = [one for one in BENCHMARKS.names() if one == searched]
    if json:
        from weaknas.commands._shared import print_json

        print_json({"space": searched, "benchmarks": tables, "runs": runs})
        return
    for table in tables:
        print(f"{table}:dataset=NAME  the table that comes with the space")
    for run in runs:
        told = f"{run['trials']} trials, best {run['best']:.5g}"
        print(f"{run['source']}  {told}, of {run['evaluator']}")
    for message in passed:
        print(f"({message})")
    if not tables and not runs:
        print(f"nothing for the space {searched!r}; a table or pairs of your own may be a source")


def _find_runs(folders: tuple[Path, ...], space: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the runs of a space, and why others that look like one cannot be read."""
    runs, passed = [], []
    for journal in sorted(path for folder in folders for path in folder.rglob("journal.jsonl")):
        try:
            config, trials = read_journal(journal)
        except InputError as error:
            passed.append(str(error))
            continue
        scores = [trial.score for trial in trials if trial.is_ok]
        if config["space"].get("name") == space and scores:
            judge = config["evaluator"]
            runs.append(
                {
                    "source": str(journal.parent),
                    "trials": len(scores),
                    "best": max(scores),
                    "evaluator": judge.get("benchmark") or judge.get("evaluator", "a function"),
                }
            )
    return runs, passed
