"""Figures of comparisons: strategies side by side, a panel a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from weaknas.errors import optional_import
from weaknas.laboratory.statistics import Floats, bootstrap_band, values_at
from weaknas.laboratory.summary import StrategyRuns
from weaknas.reports.plots._drawing import finish, make_axes, styled, styles

#: Data set to the runs of each strategy: one panel a data set.
Panels: TypeAlias = Mapping[str, Sequence[StrategyRuns]]
TOP_LEVELS = (0.01, 0.05)


@styled
def plot_regret(panels: Panels, by: Literal["queries", "seconds"] = "queries") -> Any:
    """Draw the mean regret of what would be returned on a logarithmic scale, with 95 % bands.

    Parameters
    ----------
    panels : mapping of str to sequence of StrategyRuns
    by : {"queries", "seconds"}
        Horizontal axis: trainings or seconds of training.

    Raises
    ------
    MissingDependencyError
        Without matplotlib; so do all functions of this module.
    """
    figure, axes = make_axes(len(panels))
    for axis, (dataset, strategies) in zip(axes, panels.items(), strict=True):
        lowest = np.inf
        for runs, style in zip(strategies, styles(len(strategies)), strict=True):
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
        axis.set_xlabel("trainings" if by == "queries" else "training time (hours)")
        axis.set_xlim(left=0)
    axes[0].set_ylabel("regret of what is returned")
    return finish(figure)


@styled
def plot_best(panels: Panels) -> Any:
    """Draw the mean score of what would be returned, with 95 % bands, without an optimum."""
    figure, axes = make_axes(len(panels))
    for axis, (dataset, strategies) in zip(axes, panels.items(), strict=True):
        for runs, style in zip(strategies, styles(len(strategies)), strict=True):
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
    return finish(figure)


@styled
def plot_hypervolume(panels: Panels, whole: Mapping[str, float | None]) -> Any:
    """Draw the mean volume that the trainings so far dominate, with 95 % bands.

    Parameters
    ----------
    panels : mapping of str to sequence of StrategyRuns
        Of runs with objectives beside the score.
    whole : mapping of str to float or None
        The volume of the whole space, of which shares are drawn where it is known.
    """
    figure, axes = make_axes(len(panels))
    for axis, (dataset, strategies) in zip(axes, panels.items(), strict=True):
        unit = (whole[dataset] or 100.0) / 100.0
        early, last = np.inf, -np.inf
        for runs, style in zip(strategies, styles(len(strategies)), strict=True):
            assert runs.volume is not None, "of runs with objectives"
            curves, grid = runs.volume / unit, np.arange(1, runs.budget + 1)
            mean = curves.mean(axis=0)
            early, last = min(early, mean[min(9, runs.budget - 1)]), max(last, mean[-1])
            axis.plot(grid, mean, label=_label(runs), **style)
            if len(curves) > 1:
                low, high = bootstrap_band(curves)
                axis.fill_between(grid, low, high, color=style["color"], alpha=0.15, lw=0)
        if early < last:
            axis.set_ylim(early, last + 0.05 * (last - early))
        axis.set(title=dataset, xlabel="trainings")
        axis.set_xlim(left=0)
    axes[0].set_ylabel("hypervolume (%)" if all(whole.values()) else "hypervolume")
    return finish(figure)


@styled
def plot_found(panels: Panels) -> Any:
    """Draw the share of runs that have queried the optimum by each number of queries."""
    percent = optional_import("matplotlib.ticker", "plot").PercentFormatter
    figure, axes = make_axes(len(panels))
    for axis, (dataset, strategies) in zip(axes, panels.items(), strict=True):
        for runs, style in zip(strategies, styles(len(strategies)), strict=True):
            steps = np.sort(runs.to_optimum[runs.found])
            shares = np.arange(1, len(steps) + 1) / len(runs.runs)
            x = np.concatenate([[0], steps, [runs.budget]])
            y = np.concatenate([[0], shares, shares[-1:] if len(steps) else [0]])
            axis.step(x, y, where="post", label=_label(runs), **style)
        axis.set(title=dataset, xlabel="queries", ylim=(-0.02, 1.04))
        axis.yaxis.set_major_formatter(percent(1.0, decimals=0))
        axis.set_xlim(left=0)
    axes[0].set_ylabel("runs that found the optimum")
    return finish(figure)


@styled
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
    figure, axes = make_axes(len(panels), rows=len(TOP_LEVELS), height=2.4)
    for row, level in zip(axes, TOP_LEVELS, strict=True):
        for axis, (dataset, strategies) in zip(row, panels.items(), strict=True):
            for runs, style in zip(strategies, styles(len(strategies)), strict=True):
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
    return finish(figure)


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
