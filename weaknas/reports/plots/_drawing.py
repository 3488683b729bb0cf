"""What all figures share: style, colours, panels, legend and files."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import Any, ParamSpec

from weaknas.errors import optional_import
from weaknas.files import write_atomically

# Okabe and Ito's colours, told apart by colour-blind readers; dashes tell apart what
# has the same colour.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_DASHES = ("-", "--", ":", "-.")
_STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "figure.titlesize": 10,
    "legend.fontsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "weaknas",
    "savefig.dpi": 150,
}
_LONGEST_ROW = 4  # panels
_Parameters = ParamSpec("_Parameters")


def styled(draw: Callable[_Parameters, Any]) -> Callable[_Parameters, Any]:
    """Draw in the style of this package whatever the caller's own is."""

    @wraps(draw)
    def styled(*args: _Parameters.args, **options: _Parameters.kwargs) -> Any:
        with optional_import("matplotlib", "plot").rc_context(_STYLE):
            return draw(*args, **options)

    return styled


@styled
def save(figure: Any, path: Path, forms: Sequence[str] = ("png", "svg")) -> None:
    """Write a figure as ``path.png`` and ``path.svg``, without dates in the files."""
    for form in forms:
        metadata = {"Date": None} if form == "svg" else {}
        options = {"metadata": metadata, "bbox_inches": "tight", "pad_inches": 0.05}
        write = partial(figure.savefig, format=form, **options)
        write_atomically(path.with_name(f"{path.name}.{form}"), write)


def styles(count: int) -> list[dict[str, Any]]:
    return [
        {"color": COLORS[i % len(COLORS)], "ls": _DASHES[i // len(COLORS) % 4], "lw": 1.5}
        for i in range(count)
    ]


def make_axes(columns: int, rows: int = 1, width: float = 3.4, height: float = 3.0) -> Any:
    """Return a figure and its axes: shape (rows, columns), or (columns,) for one row.

    A long row is broken into several of equal length.
    """
    across, down = columns, rows
    if rows == 1 and columns > _LONGEST_ROW:
        across = math.ceil(math.sqrt(columns))
        down = math.ceil(columns / across)
    size = (max(across * width, 4.8), down * height)
    figure = optional_import("matplotlib.figure", "plot").Figure(
        size, dpi=150, layout="constrained"
    )
    axes = figure.subplots(down, across, squeeze=False)
    if rows > 1:
        return figure, axes
    for unused in axes.flat[columns:]:
        unused.remove()
    return figure, axes.flat[:columns]


def finish(figure: Any) -> Any:
    """Put one legend below all panels."""
    handles: dict[str, Any] = {}
    for axis in figure.axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    longest = max(map(len, handles), default=1)
    columns = max(1, min(len(handles), int(figure.get_figwidth() * 14 / (longest + 6))))
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=columns)
    return figure
