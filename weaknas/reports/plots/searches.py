"""Figures of a single search: its queries, its way through the space, its front."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.cross_decomposition import PLSRegression

from weaknas.laboratory.statistics import Floats, incumbents
from weaknas.reports.plots._drawing import finish, make_axes, styled
from weaknas.search.pareto import front
from weaknas.search.targets import rank_normal


@styled
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
    figure, axes = make_axes(1, width=7.0, height=3.4)
    axis = axes[0]
    query = np.arange(1, len(observed) + 1)
    colors = np.where(rounds % 2 == 0, "#56B4E9", "#0072B2")
    axis.scatter(query, observed, c=colors, s=12, lw=0, label="query (colours change by round)")
    chosen = incumbents(observed)
    found = chosen >= 0
    best = np.where(found, observed[chosen], np.nan)
    axis.step(query, best, where="post", color="#D55E00", lw=1.5, label="best observed")
    if true is not None:
        mean = np.where(found, true[chosen], np.nan)
        axis.step(query, mean, where="post", color="black", lw=1.2, ls="--", label="its mean score")
    if optimum is not None:
        axis.axhline(optimum, color="#009E73", lw=1, ls=":", label="optimum (mean score)")
    finite = observed[np.isfinite(observed)]
    if len(finite):  # failures of the space, far below, would flatten the rest
        low, high = np.quantile(finite, 0.1), finite.max() if optimum is None else optimum
        high = max(high, finite.max())
        axis.set_ylim(low - 0.05 * (high - low or 1.0), high + 0.08 * (high - low or 1.0))
    axis.set(xlabel="query", ylabel="score")
    axis.locator_params(axis="x", integer=True)
    axis.set_xlim(0, len(observed) + 1)
    return finish(figure)


@styled
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
    figure, (left, right) = make_axes(2, width=5.0, height=4.2)
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

    scored = np.isfinite(scores)
    components = PLSRegression(2).fit(encode(genotypes[scored]), rank_normal(scores[scored]))
    sign = np.sign(components.y_loadings_[0])  # better to the right
    return lambda rows: np.asarray(components.transform(encode(rows)) * sign)


@styled
def plot_choices(variables: Sequence[str], entropies: Sequence[Floats]) -> Any:
    """Draw how many choices of each decision effectively remain, round by round.

    Parameters
    ----------
    variables : sequence of str, length d
    entropies : sequence of ndarray of float, shape (d,)
        Bits after each round, see `weaknas.search.narrowing.Narrowing`.
    """
    left = 2.0 ** np.array(entropies, dtype=np.float64).reshape(-1, len(variables))
    figure, axes = make_axes(1, width=6.0, height=1.2 + 0.13 * len(variables))
    axis = axes[0]
    extent = (0.5, len(left) + 0.5, len(variables) - 0.5, -0.5)
    image = axis.imshow(left.T, aspect="auto", cmap="viridis", vmin=1, extent=extent)
    figure.colorbar(image, ax=axis, label="choices that effectively remain", shrink=0.85)
    axis.set_yticks(range(len(variables)), variables, fontsize=6)
    axis.grid(visible=False)
    axis.set_xlabel("round")
    return figure


@styled
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
    figure, axes = make_axes(1, width=6.0, height=3.6)
    axis = axes[0]
    scored = np.isfinite(scores)
    shape = {"s": 14, "cmap": "plasma_r", "lw": 0}
    marks = axis.scatter(
        costs[scored], scores[scored], c=rounds[scored] + 1, **shape, label="query"
    )
    figure.colorbar(marks, ax=axis, label="round", shrink=0.85)
    best = front(scores, costs[:, None])
    axis.step(costs[best], scores[best], where="post", color="#D55E00", lw=1.3, label="front")
    axis.set(xlabel=name, ylabel="score")
    return finish(figure)
