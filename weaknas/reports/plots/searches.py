"""Figures of a single search: its queries, its way through the space, its front."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from sklearn.cross_decomposition import PLSRegression

from weaknas.laboratory.statistics import Floats
from weaknas.reports.plots._drawing import finish, make_axes, robust_limits, styled, styles
from weaknas.runs.trials import Trials
from weaknas.search.pareto import front
from weaknas.search.targets import rank_normal
from weaknas.strategies import Contender


@styled
def plot_search(
    observed: Floats,
    rounds: npt.NDArray[np.integer],
    expected: Floats,
    true: Floats | None = None,
    optimum: float | None = None,
) -> Any:
    """Draw one search: every score, and what would be returned after each training.

    Parameters
    ----------
    observed : ndarray of float, shape (n,)
        NaN where an evaluation failed.
    rounds : ndarray of int, shape (n,)
        Round of each training, from 0; their colours alternate.
    expected : ndarray of float, shape (n,)
        Expected score of what would be returned; NaN before there is a score.
    true : ndarray of float, shape (n,), optional
        Its mean score, where that is known.
    optimum : float, optional
    """
    figure, axes = make_axes(1, width=7.0, height=3.4)
    axis = axes[0]
    training = np.arange(1, len(observed) + 1)
    colors = np.where(rounds % 2 == 0, "#56B4E9", "#0072B2")
    axis.scatter(
        training, observed, c=colors, s=12, lw=0, label="training (colours change by round)"
    )
    axis.step(
        training, expected, where="post", color="#D55E00", lw=1.5, label="returned: expected score"
    )
    if true is not None:
        shape = {"color": "black", "lw": 1.2, "ls": "--"}
        axis.step(training, true, where="post", label="returned: mean score", **shape)
    if optimum is not None:
        axis.axhline(optimum, color="#009E73", lw=1, ls=":", label="optimum (mean score)")
    finite = observed[np.isfinite(observed)]
    if len(finite):  # failures of the space, far below, would flatten the rest
        low, high = np.quantile(finite, 0.1), finite.max() if optimum is None else optimum
        high = max(high, finite.max())
        axis.set_ylim(low - 0.05 * (high - low or 1.0), high + 0.08 * (high - low or 1.0))
    axis.set(xlabel="trainings", ylabel="score")
    axis.locator_params(axis="x", integer=True)
    axis.set_xlim(0, len(observed) + 1)
    return finish(figure)


class Ran(Protocol):
    """What `weaknas.run` returns, as far as it is drawn."""

    @property
    def trials(self) -> Trials:
        """Every training."""

    @property
    def returned(self) -> Sequence[tuple[int, Contender]]:
        """What would have been returned after so many trainings, in order."""


def plot_result(result: Ran, optimum: float | None = None) -> Any:
    """Draw what `weaknas.run` returned: every score, and what would be returned after each.

    Parameters
    ----------
    result : Result
    optimum : float, optional
        Best possible mean score, where it is known.
    """
    rounds = np.array([trial.round for trial in result.trials])
    return plot_search(result.trials.scores, rounds, _expected(result), optimum=optimum)


@styled
def plot_results(results: Mapping[str, Ran], optimum: float | None = None) -> Any:
    """Draw the expected score of what would be returned after each training, run by run.

    Parameters
    ----------
    results : mapping of str to Result
    optimum : float, optional
        Best possible mean score, where it is known.
    """
    figure, axes = make_axes(1, width=7.0, height=3.4)
    axis = axes[0]
    curves = {name: _expected(result) for name, result in results.items()}
    for (name, curve), style in zip(curves.items(), styles(len(curves)), strict=True):
        axis.step(np.arange(1, len(curve) + 1), curve, where="post", label=name, **style)
    if optimum is not None:
        axis.axhline(optimum, color="black", lw=1, ls=":", label="optimum (mean score)")
    ends = [curve[-1] for curve in curves.values()]
    axis.set_ylim(robust_limits(np.concatenate(list(curves.values())), [*ends, optimum or ends[0]]))
    axis.set(xlabel="trainings", ylabel="expected score of what is returned")
    axis.locator_params(axis="x", integer=True)
    return finish(figure)


def _expected(result: Ran) -> Floats:
    """Return the expected score of what would be returned, NaN before it is known."""
    expected = np.full(len(result.trials), np.nan)
    for count, leader in result.returned:
        expected[count - 1 :] = leader.score
    return expected


@styled
def plot_contenders(
    names: Sequence[str], scores: Floats, errors: Floats, labels: Sequence[Floats]
) -> Any:
    """Draw what is known of the best: expected scores, 95 % intervals and the labels behind.

    Parameters
    ----------
    names : sequence of str, length k
    scores : ndarray of float, shape (k,)
    errors : ndarray of float, shape (k,)
        Standard errors; NaN where they are not known.
    labels : sequence of ndarray of float, length k
        The scores of the trainings of each.
    """
    figure, axes = make_axes(1, width=7.0, height=0.9 + 0.26 * len(names))
    axis = axes[0]
    places = np.arange(len(names))
    interval = {"fmt": "o", "color": "#D55E00", "ms": 5, "lw": 1.5}
    error = 1.96 * np.nan_to_num(errors)
    axis.errorbar(scores, places, xerr=error, label="expected score, 95 % interval", **interval)
    owners = np.repeat(places, [len(values) for values in labels])
    shape = {"color": "#0072B2", "s": 14, "lw": 0, "zorder": 3}
    axis.scatter(np.concatenate(labels), owners + 0.22, label="one training", **shape)
    axis.set_yticks(places, names)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.set_xlim(robust_limits(np.concatenate(labels), [scores - error, scores + error]))
    axis.set_xlabel("score")
    return finish(figure)


@styled
def plot_certainty(
    trainings: npt.NDArray[np.integer], probability: Floats, changes: npt.NDArray[np.bool_]
) -> Any:
    """Draw how probable it was, training by training, that the returned one is the best.

    Parameters
    ----------
    trainings : ndarray of int, shape (n,)
    probability : ndarray of float, shape (n,)
        NaN where it was not known.
    changes : ndarray of bool, shape (n,)
        Where another architecture became the one that would be returned.
    """
    figure, axes = make_axes(1, width=7.0, height=2.6)
    axis = axes[0]
    color = "#009E73"
    axis.step(trainings, probability, where="post", color=color, lw=1.5, label="probability")
    shape = {"s": 22, "fc": "white", "ec": color, "lw": 1.2, "zorder": 3}
    place = np.flatnonzero(changes)
    axis.scatter(trainings[place], probability[place], label="another one is returned", **shape)
    axis.set(xlabel="trainings", ylabel="is the best of those trained", ylim=(0, 1.03))
    axis.locator_params(axis="x", integer=True)
    axis.set_xlim(0, max(trainings.max(initial=1), 1) + 1)
    return finish(figure)


@styled
def plot_map(
    title: str,
    genotypes: npt.NDArray[np.integer],
    scores: Floats,
    queried: npt.NDArray[np.integer],
    returned: npt.NDArray[np.integer],
    rounds: npt.NDArray[np.integer],
) -> Any:
    """Draw one search on a map of the space.

    Left the space, coloured by score; right what was trained, coloured by round, and the
    way of what would be returned with the number of the round in which it was met.

    Parameters
    ----------
    title : str
    genotypes : ndarray of int, shape (n, d)
        The space or a sample of it, canonical.
    scores : ndarray of float, shape (n,)
        Their mean scores.
    queried : ndarray of int, shape (m, d)
        Canonical, in order.
    returned : ndarray of int, shape (m,)
        What would be returned after each training: its place in `queried`, -1 for none.
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
    steps = returned[returned >= 0]
    steps = steps[np.append(np.diff(steps) != 0, True)] if len(steps) else steps
    right.plot(*spots[steps].T, c="black", lw=0.8, alpha=0.7)
    by_round = dict(zip(rounds[steps].tolist(), steps.tolist(), strict=True))  # the last of each
    for index in by_round.values():
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
    for axis, name in ((left, "the space"), (right, f"{len(queried)} trainings")):
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
def plot_front(
    name: str,
    scores: Floats,
    costs: Floats,
    rounds: npt.NDArray[np.integer],
    likely: Floats | None = None,
) -> Any:
    """Draw the queries of one search by cost and score, and their front.

    Parameters
    ----------
    name : str
        Of the cost.
    scores, costs : ndarray of float, shape (n,)
        NaN scores, of failed evaluations, are left out.
    rounds : ndarray of int, shape (n,)
    likely : ndarray of float, shape (m, 3), optional
        Least and largest cost that some are likely to have, and their scores.
    """
    figure, axes = make_axes(1, width=6.0, height=3.6)
    axis = axes[0]
    if likely is not None and len(likely):
        low, high, heights = likely.T
        axis.hlines(heights, low, high, color="#D55E00", lw=0.8, alpha=0.5, label="90 %")
    scored = np.isfinite(scores)
    shape = {"s": 14, "cmap": "plasma_r", "lw": 0}
    marks = axis.scatter(
        costs[scored], scores[scored], c=rounds[scored] + 1, **shape, label="query"
    )
    figure.colorbar(marks, ax=axis, label="round", shrink=0.85)
    best = front(scores, costs[:, None])
    axis.step(costs[best], scores[best], where="post", color="#D55E00", lw=1.3, label="front")
    across = robust_limits(costs[scored], costs[best])
    up = robust_limits(scores[scored], scores[best])
    is_far = (scores < up[0]) | (costs > across[1]) | (costs < across[0])
    if far := np.count_nonzero(is_far & scored):
        name += f" ({far} far from the others not shown)"
    axis.set(xlabel=name, ylabel="score", xlim=across, ylim=up)
    return finish(figure)
