"""What all figures share: style, colours, panels, legend and files."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import Any, ParamSpec

import numpy as np
import numpy.typing as npt

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
    "pdf.fonttype": 42,  # which journals ask for: no Type 3 fonts
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
    """Write a figure as ``path.png``, ``path.svg`` or ``path.pdf``, without dates in the files."""
    for form in forms:
        write = partial(_draw, figure, form)
        write_atomically(path.with_name(f"{path.name}.{form}"), write)


@styled
def to_png(figure: Any) -> bytes:
    """Return a figure as the content of a PNG file."""
    content = io.BytesIO()
    _draw(figure, "png", content)
    return content.getvalue()


def _draw(figure: Any, form: str, target: Any) -> None:
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form, {})
    figure.savefig(target, format=form, metadata=metadata, bbox_inches="tight", pad_inches=0.05)


def robust_limits(values: npt.ArrayLike, keep: npt.ArrayLike = ()) -> tuple[float, float]:
    """Return limits of an axis that a few values far from the others do not stretch.

    Tukey's outer fences, three times the distance of the quartiles beyond these, or the
    least and largest value where these are nearer (Tukey, Exploratory Data Analysis, 1977).

    Parameters
    ----------
    values : array-like of float, shape (n,)
        Those that are not finite are left out.
    keep : array-like of float
        What must be within; without values these alone decide.
    """
    found, kept = (np.ravel(np.asarray(x, dtype=np.float64)) for x in (values, keep))
    found, kept = found[np.isfinite(found)], kept[np.isfinite(kept)]
    found = found if len(found) else kept
    if not len(found):
        return 0.0, 1.0
    lower, upper = np.quantile(found, [0.25, 0.75])
    reach = 3 * (upper - lower) or np.inf
    near = found[(found >= lower - reach) & (found <= upper + reach)]
    shown = np.concatenate([near, kept])
    margin = 0.05 * (shown.max() - shown.min() or 1.0)
    return float(shown.min() - margin), float(shown.max() + margin)


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
