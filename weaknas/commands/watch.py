"""``weaknas watch``."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from weaknas.commands._numbers import Positive
from weaknas.errors import InputError
from weaknas.reports.live import Live, write_page


@Parameter(name="*")
@dataclass(frozen=True)
class Options:
    """Options of ``weaknas watch``; see the command for their meaning."""

    html: Path | None = None
    "Write a page to this file again and again, in place of the view on the terminal."
    every: Positive = 3.0
    "Seconds between two looks."
    once: Annotated[bool, Parameter(negative="")] = False
    "Look once, also at a run that goes on."


def watch(folder: Path, /, *, options: Options = Options()) -> None:
    """Show a run while it goes on, until its budget is spent; nothing of it is changed.

    Parameters
    ----------
    folder
        Of the run: what `weaknas search --output` or `weaknas.run(output=...)` named.
    """
    if not options.every > 0:
        raise InputError(f"--every must be above 0, not {options.every:g}")
    if options.html is not None:
        _write(folder, options.html, options)
    elif options.once or not sys.stdout.isatty():
        _print(folder)
    else:
        _show(folder, options)


def _write(folder: Path, path: Path, options: Options) -> None:
    while True:
        live = Live.read(folder)
        write_page(live, path, options.every)
        if options.once or live.is_done:
            return
        time.sleep(options.every)


def _print(folder: Path) -> None:
    from rich.console import Console

    Console(width=120 if not sys.stdout.isatty() else None).print(_view(Live.read(folder)))


def _show(folder: Path, options: Options) -> None:
    from rich.live import Live as Screen

    live = Live.read(folder)
    with Screen(_view(live), auto_refresh=False) as screen:
        while not live.is_done:
            time.sleep(options.every)
            live = Live.read(folder)
            screen.update(_view(live), refresh=True)


def _view(live: Live) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    now = time.time()
    lines = [f"{name:>13}  {value}" for name, value in live.facts(now).items()]
    parts: list[Any] = [Text(f"{live.title}\n" + "\n".join(lines))]
    for heading, head, rows in live.tables(now):
        table = Table(title=heading, title_justify="left", box=None)
        for column, name in enumerate(head):
            width = max(len(row[column]) for row in (head, *rows)) if name != head[-1] else None
            table.add_column(name, no_wrap=True, overflow="ellipsis", min_width=width)
        for row in rows:
            table.add_row(*map(Text, row))
        parts.append(table)
    return Group(*parts)
