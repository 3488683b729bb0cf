"""``weaknas sources``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from weaknas.errors import InputError
from weaknas.registry import ENCODERS, get_space, parse_space
from weaknas.runs.sources import find_runs, find_tables


def list_sources(
    space: str = "nasbench201",
    /,
    *folders: Path,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """List what a search of a space can begin with: of the space, or of one like it.

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
    searched = get_space(name, **options)
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder")
    places = folders or tuple(path for path in (Path("runs"),) if path.is_dir())
    runs, passed = find_runs(searched, places)
    tables = find_tables(searched)
    proxies = ENCODERS.load("zero-cost").supports(searched)
    if json:
        from weaknas.commands._shared import print_json

        listed = {"benchmarks": tables, "proxies": proxies, "runs": runs}
        print_json({"space": searched.name, **listed})
        return
    width = max((len(one["source"]) for one in [*tables, *runs]), default=0)
    for table in tables:
        needed = f"the table of {table['space']}; needs {table['needs']}"
        print(f"{table['source']:{width}}  {needed}")
    if proxies:
        print(f"{'proxies':{width}}  zero-cost proxies of untrained networks, measured in seconds")
    for run in runs:
        told = f"{run['trials']} trials in {run['space']}, best {run['best']:.5g}"
        print(f"{run['source']:{width}}  {told}, of {run['evaluator']}")
    for message in passed:
        print(f"({message})")
    if not (tables or proxies or runs):
        print(
            f"nothing for the space {searched.name!r}; a table or pairs of your own may be a source"
        )
