"""``weaknas report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from weaknas.reports.page import Form
from weaknas.reports.report import report as write_report


def report(
    folder: Path,
    /,
    *,
    output: Path | None = None,
    format: Annotated[tuple[Form, ...], Parameter(negative="", consume_multiple=False)] = (
        "png",
        "svg",
    ),
) -> None:
    """Write figures and a readable page from finished runs.

    Parameters
    ----------
    folder
        Output folder of `weaknas compare`, `rank`, `search` or `landscape`.
    output
        The page, an HTML file; default: `report.html` in the folder.
    format
        Of the figures beside the page, `png`, `svg` or `pdf`, and `latex` for its tables; repeat
        it for several: `--format pdf --format latex` for a paper.
    """
    print(write_report(folder, output, format))
