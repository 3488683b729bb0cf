"""Figures of measured numbers: curves, intervals and the ranking of predictors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from weaknas.errors import optional_import
from weaknas.laboratory.statistics import Floats, bootstrap_band
from weaknas.reports.plots._drawing import COLORS, finish, make_axes, styled, styles

_MOST_LINES = 10  # that are told apart in one figure


@styled
def plot_curves(curves: Mapping[str, Floats], title: str, ylabel: str) -> Any:
    """Draw mean curves of runs by queries on a logarithmic scale, with 95 % bands.

    Parameters
    ----------
    curves : mapping of str to ndarray of float, shape (runs, n)
        By strategy; from the first query on.
    title, ylabel : str
    """
    figure, axes = make_axes(1, width=5.0, height=3.2)
    axis = axes[0]
    for (name, rows), style in zip(curves.items(), styles(len(curves)), strict=True):
        grid = np.arange(1, rows.shape[1] + 1)
        axis.plot(grid, rows.mean(axis=0), label=f"{name} ({len(rows)} runs)", **style)
        low, high = bootstrap_band(rows)
        axis.fill_between(grid, low, high, color=style["color"], alpha=0.15, lw=0)
    axis.set_yscale("log")
    axis.set(title=title, xlabel="queries", ylabel=ylabel)
    axis.set_xlim(left=0)
    return finish(figure)


@styled
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
            color = COLORS[number % len(COLORS)]
            place = labels.index(label) + 0.5 * ((number + 0.5) / len(series) - 0.5)
            axis.plot([low, high], [place, place], color=color, lw=1.5)
            axis.plot([mean], [place], "o", color=color, ms=4, label=name)
        axis.set_yticks(range(len(labels)), labels)
        axis.set_ylim(len(labels) - 0.4, -0.6)
        axis.set_title(title, loc="left")
    axes[-1].set_xlabel(xlabel)
    return finish(figure)


@styled
def plot_calibration(
    panels: Mapping[str, Mapping[str, Sequence[tuple[float, float, tuple[float, float]]]]],
) -> Any:
    """Draw how often what was said with a probability was true: on the diagonal, if calibrated.

    Parameters
    ----------
    panels : mapping of str to mapping of str to sequence of (said, true, (low, high))
        By title and label: the mean probability of a bin, the share that was true, and
        its interval, NaN for none.
    """
    figure, axes = make_axes(len(panels))
    for axis, (title, curves) in zip(axes, panels.items(), strict=True):
        axis.plot([0, 1], [0, 1], color="black", lw=0.8)
        for (label, bins), style in zip(curves.items(), styles(len(curves)), strict=True):
            said, true = [item[0] for item in bins], [item[1] for item in bins]
            axis.plot(said, true, marker="o", ms=3, label=label, **style)
            low, high = ([item[2][side] for item in bins] for side in (0, 1))
            axis.fill_between(said, low, high, color=style["color"], alpha=0.15, lw=0)
        axis.set(title=title, xlabel="said to be the best", xlim=(0, 1), ylim=(0, 1))
    axes[0].set_ylabel("was the best of those trained")
    return finish(figure)


@styled
def plot_ranking(summary: Mapping[str, Any]) -> Any:
    """Draw Kendall's tau of predictors against training size, with 95 % bands.

    Of many predictors the ten are drawn that are best at the largest size.

    Parameters
    ----------
    summary : mapping
        See `weaknas.laboratory.ranking_results.summarize_ranking`.
    """
    names = list(dict.fromkeys(row["predictor"] for row in summary["rows"]))
    last = {row["predictor"]: row["kendall_tau"]["mean"] for row in summary["rows"]}
    drawn = sorted(names, key=lambda name: -last[name])[:_MOST_LINES]
    figure, axes = make_axes(1, width=5.6, height=3.0 + 0.1 * len(drawn))
    axis = axes[0]
    for name, style in zip(drawn, styles(len(drawn)), strict=True):
        rows = [row for row in summary["rows"] if row["predictor"] == name]
        sizes = [row["train_size"] for row in rows]
        taus = [row["kendall_tau"] for row in rows]
        axis.plot(sizes, [tau["mean"] for tau in taus], marker="o", ms=3, label=name, **style)
        low, high = np.array([tau["ci95"] for tau in taus], dtype=np.float64).T
        axis.fill_between(sizes, low, high, color=style["color"], alpha=0.15, lw=0)
    axis.set_xscale("log")
    axis.set_xticks(summary["train_sizes"], map(str, summary["train_sizes"]))
    axis.minorticks_off()
    best = f", best {len(drawn)} of {len(names)}" if len(drawn) < len(names) else ""
    axis.set(
        title=f"{summary['space']}/{summary['dataset']}, {summary['regime']} training sets{best}",
        xlabel="architectures trained on",
        ylabel="Kendall's tau on the unseen",
    )
    return finish(figure)


@styled
def plot_relation(points: Sequence[tuple[str, float, float]], xlabel: str, ylabel: str) -> Any:
    """Draw one ratio of each table against one of its measures, coloured by group.

    Parameters
    ----------
    points : sequence of (group, x, y)
    xlabel, ylabel : str
    """
    figure, axes = make_axes(1, width=6.0, height=3.6)
    axis = axes[0]
    groups = list(dict.fromkeys(point[0] for point in points))
    for number, (group, style) in enumerate(zip(groups, styles(len(groups)), strict=True)):
        x, y = ([point[side] for point in points if point[0] == group] for side in (1, 2))
        mark = "os^"[number // len(COLORS) % 3]
        axis.plot(x, y, mark, color=style["color"], ms=5, alpha=0.8, label=group)
    axis.axhline(1, color="black", lw=0.8, ls=":")
    ticker = optional_import("matplotlib.ticker", "plot")
    axis.set(xlabel=xlabel, ylabel=ylabel, yscale="log")
    axis.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_minor_locator(ticker.NullLocator())
    axis.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    return finish(figure)
