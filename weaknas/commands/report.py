"""``weaknas report``."""

from __future__ import annotations

from pathlib import Path

from weaknas.reports.report import report as write_report


def report(folder: Path, /, *, output: Path | None = None) -> None:
    """Write figures and a readable page from finished runs.

    Parameters
    ----------
    folder
        Output folder of `weaknas compare`, `rank`, `search` or `landscape`.
    output
        The page, an HTML file; default: `report.html` in the folder. The figures
        are written beside it as PNG and SVG.
    """
    print(write_report(folder, output))
