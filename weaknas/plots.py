"""Figures of comparisons and of single searches, as a paper would use them.

Every function returns a ``matplotlib.figure.Figure``, made without pyplot, so
that nothing global changes. `save` writes it as PNG and SVG.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeAlias

import numpy as np
import numpy.typing as npt
from sklearn.cross_decomposition import PLSRegression

from weaknas.errors import optional_import
from weaknas.files import write_atomically
from weaknas.pareto import front
from weaknas.statistics import Floats, bootstrap_band, incumbents, values_at
from weaknas.summary import StrategyRuns
from weaknas.targets import rank_normal

#: Data set to the runs of each strategy: one panel a data set.
Panels: TypeAlias = Mapping[str, Sequence[StrategyRuns]]

# Okabe and Ito's colours, told apart by colour-blind readers; dashes tell apart what
# has the same colour.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
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
TOP_LEVELS = (0.01, 0.05)
_LONGEST_ROW = 4  # panels
_Parameters = ParamSpec("_Parameters")


def _styled(draw: Callable[_Parameters, Any]) -> Callable[_Parameters, Any]:
    """Draw in the style of this module whatever the caller's own is."""

    @wraps(draw)
    def styled(*args: _Parameters.args, **options: _Parameters.kwargs) -> Any:
        with optional_import("matplotlib", "plot").rc_context(_STYLE):
            return draw(*args, **options)

    return styled


@_styled
def save(figure: Any, path: Path, forms: Sequence[str] = ("png", "svg")) -> None:
    """Write a figure as ``path.png`` and ``path.svg``, without dates in the files."""
    for form in forms:
        metadata = {"Date": None} if form == "svg" else {}
        options = {"metadata": metadata, "bbox_inches": "tight", "pad_inches": 0.05}
        write = partial(figure.savefig, format=form, **options)
        write_atomically(path.with_name(f"{path.name}.{form}"), write)


@_styled
def plot_regret(panels: Panels, by: Literal["queries", "seconds"] = "queries") -> Any:
    """Draw the mean regret of the incumbent on a logarithmic scale, with 95 % bands.

    Parameters
    ----------
    panels : mapping of str to sequence of StrategyRuns
    by : {"queries", "seconds"}
        Horizontal axis: queries or seconds of training.

    Raises
    ------
    MissingDependencyError
        Without matplotlib; so do all functions of this module.
    """
    figure, axes = _panels(len(panels))
    for axis, (dataset, strategies) in zip(axes, panels.items(), strict=True):
        lowest = np.inf
        for runs, style in zip(strategies, _styles(len(strategies)), strict=True):
            grid, curves = _regret_curves(runs, by)
            mean = curves.mean(axis=0)
            lowest = min(lowest, np.min(mean[mean > 0], initial=np.inf))
            axis.plot(grid, mean, label=_label(runs), **style)
            if len(curves) > 1:
                low, high = bootstrap_band(curves)
                axis.fill_between(grid, low, high, color=style["color"], alpha=0.15, lw=0)
        axis.set_yscale("log")
        if np.isfinite(lowest):  # a mean of zero has no place on the scale
            axis.set_ylim(bottom=max(lowest, axis.get_ylim()[1] * 1e-4) * 0.8)
        axis.set_title(dataset)
        axis.set_xlabel("queries" if by == "queries" else "training time (hours)")
        axis.set_xlim(left=0)
    axes[0].set_ylabel("regret of the incumbent")
    return _finish(figure)


@_styled
def plot_best(panels: Panels) -> Any:
    """Draw the mean score of the incumbent, with 95 % bands, where the optimum is not known."""
    figure, axes = _panels(len(panels))
    for axis, (dataset, strategies) in zip(axes, panels.items(), strict=True):
        for runs, style in zip(strategies, _styles(len(strategies)), strict=True):
            grid = np.arange(1, runs.budget + 1)
            axis.plot(grid, runs.best.mean(axis=0), label=_label(runs), **style)
            if len(runs.best) > 1:
                low, high = bootstrap_band(runs.best)
                axis.fill_between(grid, low, high, color=style["color"], alpha=0.15, lw=0)
        early = [runs.best.mean(axis=0)[min(9, runs.budget - 1)] for runs in strategies]
        last = [runs.best.mean(axis=0)[-1] for runs in strategies]
        if np.isfinite([*early, *last]).all() and min(early) < max(last):
            axis.set_ylim(min(early), max(last) + 0.05 * (max(last) - min(early)))
        axis.set(title=dataset, xlabel="queries")
        axis.set_xlim(left=0)
    axes[0].set_ylabel("best score so far")
    return _finish(figure)


@_styled
def plot_found(panels: Panels) -> Any:
    """Draw the share of runs that have queried the optimum by each number of queries."""
    percent = optional_import("matplotlib.ticker", "plot").PercentFormatter
    figure, axes = _panels(len(panels))
    for axis, (dataset, strategies) in zip(axes, panels.items(), strict=True):
        for runs, style in zip(strategies, _styles(len(strategies)), strict=True):
            steps = np.sort(runs.to_optimum[runs.found])
            shares = np.arange(1, len(steps) + 1) / len(runs.runs)
            x = np.concatenate([[0], steps, [runs.budget]])
            y = np.concatenate([[0], shares, shares[-1:] if len(steps) else [0]])
            axis.step(x, y, where="post", label=_label(runs), **style)
        axis.set(title=dataset, xlabel="queries", ylim=(-0.02, 1.04))
        axis.yaxis.set_major_formatter(percent(1.0, decimals=0))
        axis.set_xlim(left=0)
    axes[0].set_ylabel("runs that found the optimum")
    return _finish(figure)


@_styled
def plot_narrowing(panels: Panels, window: int = 10) -> Any:
    """Draw how likely a query is among the best 1 % and 5 % of the space as the search goes on.

    The claim of WeakNAS (Wu et al. 2021, figure 3): the samples come from a
    sub-space that narrows towards the best architectures.

    Parameters
    ----------
    panels : mapping of str to sequence of StrategyRuns
    window : int
        Queries that are taken together, whatever the rounds of the strategies.
    """
    figure, axes = _panels(len(panels), rows=len(TOP_LEVELS), height=2.4)
    for row, level in zip(axes, TOP_LEVELS, strict=True):
        for axis, (dataset, strategies) in zip(row, panels.items(), strict=True):
            for runs, style in zip(strategies, _styles(len(strategies)), strict=True):
                middle, shares = narrowing(runs.top, level, window)
                axis.plot(middle, shares.mean(axis=0), label=_label(runs), **style)
                if len(shares) > 1:
                    low, high = bootstrap_band(shares)
                    axis.fill_between(middle, low, high, color=style["color"], alpha=0.15, lw=0)
            axis.axhline(level, color="#888888", lw=0.8, ls=(0, (1, 2)))
            axis.set(title=dataset if level == TOP_LEVELS[0] else "", ylim=(-0.02, 1.02))
            axis.set_xlim(left=0)
        row[0].set_ylabel(f"P(query in the top {100 * level:g} %)")
    for axis in axes[-1]:
        axis.set_xlabel(f"queries (windows of {window})")
    return _finish(figure)


def narrowing(top: Floats, level: float, window: int) -> tuple[Floats, Floats]:
    """Return the share of queries in the top of the space, by windows of queries.

    Parameters
    ----------
    top : ndarray of float, shape (runs, n)
        Share of the space that is at least as good; NaN after the end of a run.
    level : float
    window : int

    Returns
    -------
    middle : ndarray of float, shape (m,)
        Middle of each window, in queries.
    shares : ndarray of float, shape (runs, m)
        A run that has ended counts as 0.
    """
    width = top.shape[1]
    starts = np.arange(0, width, window)
    sizes = np.minimum(starts + window, width) - starts
    inside = (np.nan_to_num(top, nan=np.inf) <= level).astype(np.float64)
    return starts + (sizes + 1) / 2, np.add.reduceat(inside, starts, axis=1) / sizes


@_styled
def plot_map(
    title: str,
    genotypes: npt.NDArray[np.integer],
    scores: Floats,
    queried: npt.NDArray[np.integer],
    observed: Floats,
    rounds: npt.NDArray[np.integer],
) -> Any:
    """Draw one search on a map of the space.

    Left the space, coloured by score; right the queries, coloured by round, and the
    way of the incumbent with the number of the round in which it was found.

    Parameters
    ----------
    title : str
    genotypes : ndarray of int, shape (n, d)
        The space or a sample of it, canonical.
    scores : ndarray of float, shape (n,)
        Their mean scores.
    queried : ndarray of int, shape (m, d)
        Canonical, in order.
    observed : ndarray of float, shape (m,)
        The scores that the search saw.
    rounds : ndarray of int, shape (m,)
        Round of each query, from 0.
    """
    project = projection(genotypes, scores)
    figure, (left, right) = _panels(2, width=5.0, height=4.2)
    places, spots = project(genotypes), project(queried)
    order = np.argsort(scores)
    lowest = np.nanquantile(scores, 0.05)
    shape = {"s": 7, "lw": 0, "rasterized": True}
    cloud = left.scatter(*places[order].T, c=scores[order], vmin=lowest, **shape)
    figure.colorbar(cloud, ax=left, label="mean score", shrink=0.85, extend="min")
    right.scatter(*places.T, c="#e4e4e4", **shape)
    marks = right.scatter(*spots.T, c=rounds + 1, s=24, cmap="plasma_r", ec="black", lw=0.4)
    figure.colorbar(marks, ax=right, label="round", shrink=0.85)
    chosen = incumbents(observed)
    steps = np.unique(chosen[chosen >= 0])
    right.plot(*spots[steps].T, c="black", lw=0.8, alpha=0.7)
    last_of_round = steps[np.append(np.diff(rounds[steps]) > 0, True)] if len(steps) else steps
    for index in last_of_round:
        right.annotate(
            str(rounds[index] + 1),
            spots[index],
            xytext=(4, 4),
            textcoords="offset points",
            fontsize=8,
            bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.7},
            zorder=5,
        )
    star = places[np.nanargmax(scores)]
    for axis, name in ((left, "the space"), (right, f"{len(queried)} queries")):
        axis.scatter(*star, marker="*", s=150, c="#D55E00", ec="white", lw=0.8, zorder=4)
        axis.set(title=name, xticks=[], yticks=[], xlabel="first component (follows the score)")
    left.set_ylabel("second component")
    figure.suptitle(title)
    return figure


def projection(
    genotypes: npt.NDArray[np.integer], scores: Floats
) -> Callable[[npt.NDArray[np.integer]], Floats]:
    """Return the linear map of genotypes, (n, d), to the plane, (n, 2).

    Two components of partial least squares between the one-hot encoding and the
    normal quantiles of the scores: principal components alone do not tell good
    from bad, the directions of a product of choices being nearly alike.
    """
    counts = genotypes.max(axis=0) + 1

    def encode(rows: npt.NDArray[np.integer]) -> Floats:
        columns = [rows[:, [i]] == np.arange(count) for i, count in enumerate(counts)]
        return np.hstack(columns).astype(np.float64)

    known = np.isfinite(scores)
    components = PLSRegression(2).fit(encode(genotypes[known]), rank_normal(scores[known]))
    sign = np.sign(components.y_loadings_[0])  # better to the right
    return lambda rows: np.asarray(components.transform(encode(rows)) * sign)


@_styled
def plot_search(
    observed: Floats,
    rounds: npt.NDArray[np.integer],
    true: Floats | None = None,
    optimum: float | None = None,
) -> Any:
    """Draw one search: every score and the incumbent, query by query.

    Parameters
    ----------
    observed : ndarray of float, shape (n,)
        NaN where an evaluation failed.
    rounds : ndarray of int, shape (n,)
        Round of each query, from 0; their colours alternate.
    true : ndarray of float, shape (n,), optional
        Mean scores, where they are known.
    optimum : float, optional
    """
    figure, axes = _panels(1, width=7.0, height=3.4)
    axis = axes[0]
    query = np.arange(1, len(observed) + 1)
    colors = np.where(rounds % 2 == 0, "#56B4E9", "#0072B2")
    axis.scatter(query, observed, c=colors, s=12, lw=0, label="query (colours change by round)")
    chosen = incumbents(observed)
    known = chosen >= 0
    best = np.where(known, observed[chosen], np.nan)
    axis.step(query, best, where="post", color="#D55E00", lw=1.5, label="best observed")
    if true is not None:
        mean = np.where(known, true[chosen], np.nan)
        axis.step(query, mean, where="post", color="black", lw=1.2, ls="--", label="its mean score")
    if optimum is not None:
        axis.axhline(optimum, color="#009E73", lw=1, ls=":", label="optimum (mean score)")
    finite = observed[np.isfinite(observed)]
    if len(finite):  # failures of the space, far below, would flatten the rest
        low, high = np.quantile(finite, 0.1), finite.max() if optimum is None else optimum
        high = max(high, finite.max())
        axis.set_ylim(low - 0.05 * (high - low or 1.0), high + 0.08 * (high - low or 1.0))
    axis.set(xlabel="query", ylabel="score")
    axis.set_xlim(0, len(observed) + 1)
    return _finish(figure)


@_styled
def plot_curves(curves: Mapping[str, Floats], title: str, ylabel: str) -> Any:
    """Draw mean curves of runs by queries on a logarithmic scale, with 95 % bands.

    Parameters
    ----------
    curves : mapping of str to ndarray of float, shape (runs, n)
        By strategy; from the first query on.
    title, ylabel : str
    """
    figure, axes = _panels(1, width=5.0, height=3.2)
    axis = axes[0]
    for (name, rows), style in zip(curves.items(), _styles(len(curves)), strict=True):
        grid = np.arange(1, rows.shape[1] + 1)
        axis.plot(grid, rows.mean(axis=0), label=f"{name} ({len(rows)} runs)", **style)
        low, high = bootstrap_band(rows)
        axis.fill_between(grid, low, high, color=style["color"], alpha=0.15, lw=0)
    axis.set_yscale("log")
    axis.set(title=title, xlabel="queries", ylabel=ylabel)
    axis.set_xlim(left=0)
    return _finish(figure)


@_styled
def plot_choices(variables: Sequence[str], entropies: Sequence[Floats]) -> Any:
    """Draw how many choices of each decision effectively remain, round by round.

    Parameters
    ----------
    variables : sequence of str, length d
    entropies : sequence of ndarray of float, shape (d,)
        Bits after each round, see `weaknas.narrowing.Narrowing`.
    """
    left = 2.0 ** np.array(entropies, dtype=np.float64).reshape(-1, len(variables))
    figure, axes = _panels(1, width=6.0, height=1.2 + 0.13 * len(variables))
    axis = axes[0]
    extent = (0.5, len(left) + 0.5, len(variables) - 0.5, -0.5)
    image = axis.imshow(left.T, aspect="auto", cmap="viridis", vmin=1, extent=extent)
    figure.colorbar(image, ax=axis, label="choices that effectively remain", shrink=0.85)
    axis.set_yticks(range(len(variables)), variables, fontsize=6)
    axis.grid(visible=False)
    axis.set_xlabel("round")
    return figure


@_styled
def plot_front(name: str, scores: Floats, costs: Floats, rounds: npt.NDArray[np.integer]) -> Any:
    """Draw the queries of one search by cost and score, and their front.

    Parameters
    ----------
    name : str
        Of the cost.
    scores, costs : ndarray of float, shape (n,)
        NaN scores, of failed evaluations, are left out.
    rounds : ndarray of int, shape (n,)
    """
    figure, axes = _panels(1, width=6.0, height=3.6)
    axis = axes[0]
    known = np.isfinite(scores)
    shape = {"s": 14, "cmap": "plasma_r", "lw": 0}
    marks = axis.scatter(costs[known], scores[known], c=rounds[known] + 1, **shape, label="query")
    figure.colorbar(marks, ax=axis, label="round", shrink=0.85)
    best = front(scores, costs[:, None])
    axis.step(costs[best], scores[best], where="post", color="#D55E00", lw=1.3, label="front")
    axis.set(xlabel=name, ylabel="score")
    return _finish(figure)


@_styled
def plot_intervals(
    panels: Mapping[str, Sequence[tuple[str, str, float, tuple[float, float]]]], xlabel: str
) -> Any:
    """Draw means and their intervals, one line a label, one panel a group of labels.

    Parameters
    ----------
    panels : mapping of str to sequence of (label, series, mean, (low, high))
        Series, e.g. data sets, are told apart by colour.
    xlabel : str
    """
    groups = {title: list(dict.fromkeys(r[0] for r in rows)) for title, rows in panels.items()}
    series = list(dict.fromkeys(row[1] for rows in panels.values() for row in rows))
    heights = [len(labels) for labels in groups.values()]
    size = (7.0, 0.24 * sum(heights) + 0.45 * len(heights) + 0.8)
    figure = optional_import("matplotlib.figure", "plot").Figure(
        size, dpi=150, layout="constrained"
    )
    ratios = {"height_ratios": heights}
    axes = figure.subplots(len(panels), 1, squeeze=False, sharex=True, gridspec_kw=ratios)[:, 0]
    for axis, (title, rows) in zip(axes, panels.items(), strict=True):
        labels = groups[title]
        for label, name, mean, (low, high) in rows:
            number = series.index(name)
            color = _COLORS[number % len(_COLORS)]
            place = labels.index(label) + 0.5 * ((number + 0.5) / len(series) - 0.5)
            axis.plot([low, high], [place, place], color=color, lw=1.5)
            axis.plot([mean], [place], "o", color=color, ms=4, label=name)
        axis.set_yticks(range(len(labels)), labels)
        axis.set_ylim(len(labels) - 0.4, -0.6)
        axis.set_title(title, loc="left")
    axes[-1].set_xlabel(xlabel)
    return _finish(figure)


@_styled
def plot_ranking(summary: Mapping[str, Any]) -> Any:
    """Draw Kendall's tau of each predictor against training size, with 95 % bands.

    Parameters
    ----------
    summary : mapping
        See `weaknas.ranking_results.summarize_ranking`.
    """
    names = list(dict.fromkeys(row["predictor"] for row in summary["rows"]))
    figure, axes = _panels(1, width=5.6, height=3.0 + 0.1 * len(names))
    axis = axes[0]
    for name, style in zip(names, _styles(len(names)), strict=True):
        rows = [row for row in summary["rows"] if row["predictor"] == name]
        sizes = [row["train_size"] for row in rows]
        taus = [row["kendall_tau"] for row in rows]
        axis.plot(sizes, [tau["mean"] for tau in taus], marker="o", ms=3, label=name, **style)
        low, high = np.array([tau["ci95"] for tau in taus], dtype=np.float64).T
        axis.fill_between(sizes, low, high, color=style["color"], alpha=0.15, lw=0)
    axis.set_xscale("log")
    axis.set_xticks(summary["train_sizes"], map(str, summary["train_sizes"]))
    axis.minorticks_off()
    axis.set(
        title=f"{summary['space']}/{summary['dataset']}, {summary['regime']} training sets",
        xlabel="architectures trained on",
        ylabel="Kendall's tau on the unseen",
    )
    return _finish(figure)


def _regret_curves(runs: StrategyRuns, by: str) -> tuple[Floats, Floats]:
    """Return a grid, shape (m,), and the regret of each run on it, shape (runs, m)."""
    if by == "queries":
        return np.arange(1, runs.budget + 1, dtype=np.float64), runs.regret
    ends = np.nanmax(runs.cost, axis=1)
    grid = np.linspace(np.nanmax(runs.cost[:, 0]), ends.min(), 300)
    curves = [
        values_at(cost[np.isfinite(cost)], regret[np.isfinite(cost)], grid)
        for cost, regret in zip(runs.cost, runs.regret, strict=True)
    ]
    return grid / 3600, np.array(curves)


def _label(runs: StrategyRuns) -> str:
    return f"{runs.strategy} ({len(runs.runs)} run{'s' if len(runs.runs) > 1 else ''})"


def _styles(count: int) -> list[dict[str, Any]]:
    return [
        {"color": _COLORS[i % len(_COLORS)], "ls": _DASHES[i // len(_COLORS) % 4], "lw": 1.5}
        for i in range(count)
    ]


def _panels(columns: int, rows: int = 1, width: float = 3.4, height: float = 3.0) -> Any:
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


def _finish(figure: Any) -> Any:
    """Put one legend below all panels."""
    handles: dict[str, Any] = {}
    for axis in figure.axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    longest = max(map(len, handles), default=1)
    columns = max(1, min(len(handles), int(figure.get_figwidth() * 14 / (longest + 6))))
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=columns)
    return figure
