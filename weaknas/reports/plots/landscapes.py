"""Figures of a landscape: how scores lie on a space.

All take the summary of `weaknas.laboratory.landscape.summary`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from weaknas.errors import optional_import
from weaknas.reports.plots._drawing import COLORS, finish, make_axes, styled, styles

_BLUE, _ORANGE, _GREEN = COLORS[:3]
_MOST_EFFECTS = 40  # decisions that are drawn, those that explain most


@styled
def plot_autocorrelation(summary: Mapping[str, Any]) -> Any:
    """Draw the autocorrelation by the steps of a random walk: exact, and as walks show it.

    Raises
    ------
    MissingDependencyError
        Without matplotlib; so do all functions of this module.
    """
    figure, axes = make_axes(1, width=5.6, height=3.2)
    axis, values = axes[0], summary["autocorrelation"]
    label = "exact" if summary["exact"] else "estimated"
    axis.plot(range(len(values)), values, color=_BLUE, lw=1.5, marker="o", ms=3.5, label=label)
    if walk := summary.get("walk"):
        low, high = np.array(walk["ci95"], dtype=np.float64).T
        told = f"{walk['walks']} walks of {walk['length']:,}, 95 % interval"
        shape = {"color": _ORANGE, "alpha": 0.3, "lw": 0, "zorder": 0}
        axis.fill_between(range(len(low)), low, high, label=told, **shape)
    length = summary["correlation_length"]
    if length:
        axis.axhline(np.exp(-1), color="#666666", lw=0.8, ls=":")
        axis.axvline(length, color="#666666", lw=0.8, ls=":")
        place = (length, 1.0)
        axis.annotate(f" correlation length {length:.2f}", place, va="top", fontsize=8)
    axis.axhline(0, color="black", lw=0.6)
    axis.locator_params(axis="x", integer=True)
    axis.set(xlabel="steps of a random walk", ylabel="autocorrelation of the score")
    axis.set_xlim(left=0)
    return finish(figure)


@styled
def plot_distances(summary: Mapping[str, Any]) -> Any:
    """Draw the scores, and how many architectures there are, by the distance to the best."""
    rows = summary["distances"]
    figure, (upper, lower) = make_axes(2, width=4.2, height=3.2)
    x, low, high = (np.array([row[n] for row in rows]) for n in ("distance", "p10", "p90"))
    upper.fill_between(x, low, high, color=_BLUE, alpha=0.18, lw=0, label="10 % to 90 %")
    for name, style in zip(("median", "mean", "best"), styles(3), strict=True):
        y = [row[name] for row in rows]
        upper.plot(x, y, marker="o", ms=3.5, label=name, **style)
    lower.set_axisbelow(True)
    upper.set(xlabel="steps to the best", ylabel="score")
    counts = [row["architectures"] for row in rows]
    lower.bar(x, counts, color="#56B4E9", width=0.7)
    lower.set(xlabel="steps to the best", ylabel="architectures", yscale="log")
    for axis in (upper, lower):
        axis.locator_params(axis="x", integer=True)
    return finish(figure)


@styled
def plot_distribution(summary: Mapping[str, Any]) -> Any:
    """Draw the share of architectures below each score, a line a fidelity."""
    figure, axes = make_axes(2, width=4.2, height=3.2)
    curves = summary["quantiles"]
    for (name, values), style in zip(curves.items(), styles(len(curves)), strict=True):
        levels = np.linspace(0, 1, len(values))
        for axis in axes:
            axis.plot(values, levels, label=_fidelity(name), **style)
    axes[0].set(title="all", xlabel="score", ylabel="architectures at most so good")
    middle = min(values[len(values) // 2] for values in curves.values())
    best = max(values[-1] for values in curves.values())
    if best > middle:
        axes[1].set_xlim(middle, best + 0.03 * (best - middle))
    axes[1].set(title="the better half", xlabel="score", ylim=(0.48, 1.01))
    percent = optional_import("matplotlib.ticker", "plot").PercentFormatter
    for axis in axes:
        axis.yaxis.set_major_formatter(percent(1.0, decimals=0))
    return finish(figure)


def _fidelity(name: str) -> str:
    return "full training" if name == "full" else f"{name} epochs"


@styled
def plot_basins(summary: Mapping[str, Any]) -> Any:
    """Draw the local optima by score and by the size of their basins."""
    optima = summary["basins"]["optima"]
    figure, axes = make_axes(1, width=5.6, height=3.2)
    axis = axes[0]
    scores = np.array([each["score"] for each in optima])
    sizes = np.array([each["size"] for each in optima])
    shape = {"s": 24, "ec": "white", "lw": 0.5, "zorder": 3}
    axis.scatter(scores[1:], sizes[1:], c=_BLUE, label="local optimum", **shape)
    star = {"marker": "*", "s": 150, "c": _ORANGE, "ec": "white", "lw": 0.8, "zorder": 4}
    axis.scatter(scores[:1], sizes[:1], label="the best", **star)
    axis.set(yscale="log", xlabel="score", ylabel="architectures in the basin")
    return finish(figure)


@styled
def plot_neutrality(summary: Mapping[str, Any]) -> Any:
    """Draw the share of neighbours that one training cannot tell apart, from worst to best."""
    values = np.array(summary["neutrality_by_quantile"], dtype=np.float64)
    figure, axes = make_axes(1, width=5.6, height=2.8)
    axis = axes[0]
    axis.set_axisbelow(True)
    axis.bar(np.arange(len(values)) + 0.5, values, width=0.9, color="#56B4E9")
    mean = summary["neutrality"]
    axis.axhline(mean, color=_ORANGE, lw=1.2, label=f"all: {mean:.1%}")
    axis.set_xticks(range(0, 11, 2), [f"{tenth * 10} %" for tenth in range(0, 11, 2)])
    percent = optional_import("matplotlib.ticker", "plot").PercentFormatter
    axis.yaxis.set_major_formatter(percent(1.0, decimals=0))
    axis.set(xlabel="architectures, from the worst to the best", ylabel="neighbours within noise")
    return finish(figure)


@styled
def plot_volume(summary: Mapping[str, Any]) -> Any:
    """Draw the share of the space within so many steps of a peak."""
    shares = summary["volume"]
    figure, axes = make_axes(1, width=5.6, height=2.8)
    axis = axes[0]
    axis.plot(range(len(shares)), shares, color=_GREEN, lw=1.5, marker="o", ms=3.5)
    for distance, share in enumerate(shares):
        axis.annotate(
            f"{share:.2%}" if share < 0.1 else f"{share:.0%}",
            (distance, share),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    percent = optional_import("matplotlib.ticker", "plot").PercentFormatter
    axis.yaxis.set_major_formatter(percent(1.0, decimals=0))
    axis.set(ylim=(-0.03, 1.15), ylabel="share of the space")
    near = "the peak" if summary["peaks"] == 1 else f"one of {summary['peaks']} peaks"
    axis.set_xlabel(f"at most so many steps from {near}")
    axis.locator_params(axis="x", integer=True)
    return figure


@styled
def plot_effects(summary: Mapping[str, Any]) -> Any:
    """Draw how much of the variance each decision explains alone, the largest share first."""
    effects = sorted(summary["main_effects"].items(), key=lambda item: item[1] or 0.0)
    drawn = effects[-_MOST_EFFECTS:]
    figure, axes = make_axes(1, width=5.6, height=1.0 + 0.2 * len(drawn))
    axis = axes[0]
    axis.set_axisbelow(True)
    axis.barh([name for name, _ in drawn], [share or 0.0 for _, share in drawn], color=_BLUE)
    percent = optional_import("matplotlib.ticker", "plot").PercentFormatter
    axis.xaxis.set_major_formatter(percent(1.0, decimals=0))
    axis.grid(visible=False, axis="y")
    axis.set(xlabel="variance of the score explained by the decision alone")
    return figure
