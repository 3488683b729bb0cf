"""A readable page with figures and tables from finished runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from weaknas.errors import InputError, optional_import
from weaknas.files import prepare_file
from weaknas.laboratory.ranking_results import is_ranking
from weaknas.reports.comparison_report import comparison_page
from weaknas.reports.landscape_report import landscape_page
from weaknas.reports.page import Form
from weaknas.reports.ranking_report import ranking_page
from weaknas.reports.search_report import search_page


def report(
    folder: str | Path,
    output: str | Path | None = None,
    forms: Sequence[Form] = ("png", "svg"),
) -> Path:
    """Write figures and a self-contained HTML page about finished runs.

    Parameters
    ----------
    folder : path
        The output folder of ``weaknas compare``, ``rank``, ``search`` or ``landscape``.
    output : path, optional
        The page; default ``report.html`` in the folder.
    forms : sequence of {"png", "svg", "pdf", "latex"}
        Of the files beside it, in a folder of the same name with ``-figures``: figures, and
        tables for LaTeX.

    Returns
    -------
    path
        The page.

    Raises
    ------
    InputError
        When the folder holds none of them, is damaged, or matplotlib is not installed.
    """
    optional_import("matplotlib", "plot")
    place = Path(folder)
    page = Path(output) if output is not None else place / "report.html"
    if output is not None:
        page = prepare_file(page)
    if is_ranking(place):
        content = ranking_page(place)
    elif (place / "config.json").exists():
        content = comparison_page(place)
    elif (place / "journal.jsonl").exists():
        content = search_page(place)
    elif (place / "landscape.json").exists():
        content = landscape_page(place)
    else:
        raise InputError(
            f"{place} holds neither a comparison or ranking (config.json)"
            " nor a search (journal.jsonl) nor a landscape (landscape.json)"
        )
    try:
        content.write(page, forms)
    except OSError as error:
        raise InputError(f"cannot write {page}: {error.strerror}") from error
    return page
