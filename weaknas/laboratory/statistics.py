"""Statistics of many runs: regret, queries to the optimum, intervals, ranks and tests.

Functions of arrays; they know nothing of strategies or tables. In all of them
larger scores are better and a regret is never negative in expectation: it may be
below zero only where the optimum is not the best of the given scores.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from weaknas.errors import InputError, check_whole

Floats = npt.NDArray[np.float64]

_RESAMPLES = 5000
_MOST_EXACT = 200  # pairs of which all signs are counted


def best_so_far(
    observed: npt.ArrayLike, levels: npt.ArrayLike | None = None
) -> npt.NDArray[np.int64]:
    """Return the index of the best observed score so far, the first of equals.

    Parameters
    ----------
    observed : array of float, shape (n,)
        Observed scores in order of query; NaN for a query that failed.
    levels : array of float, shape (n,), optional
        Fidelity of each query; scores of the highest level so far alone count.

    Returns
    -------
    ndarray of int64, shape (n,)
        -1 as long as every query failed.
    """
    scores = np.asarray(observed, dtype=np.float64)
    heights = np.zeros_like(scores) if levels is None else np.asarray(levels, dtype=np.float64)
    ranks = np.full(len(scores), -1)
    good = np.isfinite(scores)
    pairs = np.stack([heights[good], scores[good]], axis=1)
    ranks[good] = np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1)
    before = np.concatenate([[-1], np.maximum.accumulate(ranks)])[:-1]
    return np.maximum.accumulate(np.where(ranks > before, np.arange(len(ranks)), -1))


def values_at(times: npt.ArrayLike, values: npt.ArrayLike, grid: npt.ArrayLike) -> Floats:
    """Read a step function: the value at the last of `times` that is not after each grid point.

    Parameters
    ----------
    times : array of float, shape (n,)
        Ascending, e.g. training seconds spent after each query.
    values : array of float, shape (n,)
    grid : array of float, shape (m,)

    Returns
    -------
    ndarray of float, shape (m,)
        NaN before the first of `times`.
    """
    steps = np.searchsorted(np.asarray(times), np.asarray(grid), side="right")
    return np.append(np.nan, np.asarray(values, dtype=np.float64))[steps]


def queries_to_optimum(is_optimum: npt.ArrayLike) -> int | None:
    """Return the number of queries until the optimum was queried, None if it never was."""
    hits = np.flatnonzero(np.asarray(is_optimum))
    return int(hits[0]) + 1 if len(hits) else None


def bootstrap_interval(
    values: npt.ArrayLike, *, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Return the bootstrap confidence interval of the mean.

    Bias-corrected and accelerated (Efron 1987); the percentile interval where
    that is not defined.

    Parameters
    ----------
    values : array of float, shape (n,)
    level : float
        Confidence level.
    seed : int

    Returns
    -------
    tuple of float
        NaN when there are fewer than two values.
    """
    sample = np.asarray(values, dtype=np.float64)
    if len(sample) < 2 or not np.isfinite(sample).all():
        return float("nan"), float("nan")
    if np.ptp(sample) == 0:
        return float(sample[0]), float(sample[0])
    for method in ("BCa", "percentile"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            interval = stats.bootstrap(
                (sample,),
                np.mean,
                confidence_level=level,
                n_resamples=_RESAMPLES,
                method=method,
                rng=np.random.default_rng(seed),
            ).confidence_interval
        if np.isfinite(interval.low) and np.isfinite(interval.high):
            break
    return float(interval.low), float(interval.high)


def bootstrap_band(curves: npt.ArrayLike, *, level: float = 0.95, seed: int = 0) -> Floats:
    """Return pointwise percentile bootstrap intervals of the mean curve.

    Parameters
    ----------
    curves : array of float, shape (runs, m)
        Whole runs are drawn, so that the points of a curve stay together.

    Returns
    -------
    ndarray of float, shape (2, m)
    """
    runs = np.asarray(curves, dtype=np.float64)
    drawn = np.random.default_rng(seed).integers(len(runs), size=(1000, len(runs)))
    weights = np.apply_along_axis(np.bincount, 1, drawn, minlength=len(runs)) / len(runs)
    tail = (1 - level) / 2
    return np.quantile(weights @ runs, [tail, 1 - tail], axis=0)


def relative_improvement(accuracy: float, random_accuracy: float) -> float:
    """Return the improvement over random sampling in percent, 100 (a - r) / r.

    Yang, Esperanca and Carlucci, "NAS evaluation is frustratingly hard", ICLR
    2020, equation 1: r is the mean accuracy of architectures that are drawn at
    random from the same space and trained in the same way; neither is a maximum.

    Parameters
    ----------
    accuracy : float
        Mean accuracy of what the method finds.
    random_accuracy : float
        Mean accuracy of a random architecture; positive.

    Raises
    ------
    InputError
        When `random_accuracy` is not positive.
    """
    if not random_accuracy > 0:
        raise InputError(f"random_accuracy must be positive, not {random_accuracy}")
    return 100.0 * (accuracy - random_accuracy) / random_accuracy


def wilcoxon(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test of paired values.

    Exact over the signs of the ranks that there are, ties included, for up to 200 pairs;
    by the normal approximation for more. Pairs that are equal count by Pratt's method; if
    all are, the p-value is 1.

    Parameters
    ----------
    first, second : array of float, shape (n,)
        Paired, e.g. by the seed of the run; may be infinite, but not NaN.
    """
    with np.errstate(invalid="ignore"):
        difference = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    difference[np.isnan(difference)] = 0.0  # infinite both
    if len(difference) == 0 or not difference.any():
        return 1.0
    if len(difference) > _MOST_EXACT:
        return float(stats.wilcoxon(difference, zero_method="pratt", method="approx").pvalue)
    # Twice the ranks, which are whole then, whatever is tied.
    ranks = np.rint(2 * stats.rankdata(np.abs(difference))).astype(np.int64)
    ranks, positive = ranks[difference != 0], difference[difference != 0] > 0
    chances = np.ones(1)  # of each sum of the ranks of positive differences
    for rank in ranks:
        chances = (np.pad(chances, (0, rank)) + np.pad(chances, (rank, 0))) / 2
    distance = np.abs(2 * np.arange(len(chances)) - ranks.sum())
    observed = abs(2 * int(ranks[positive].sum()) - int(ranks.sum()))
    return min(1.0, float(chances[distance >= observed].sum()))


def holm(p_values: npt.ArrayLike) -> Floats:
    """Return p-values adjusted for their number by Holm's step-down method (Holm 1979).

    Parameters
    ----------
    p_values : array of float, shape (m,)

    Returns
    -------
    ndarray of float, shape (m,)
    """
    raw = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(raw, kind="stable")
    scaled = raw[order] * np.arange(len(raw), 0, -1)
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted


@dataclass(frozen=True)
class RankComparison:
    """Methods ranked on several data sets.

    Parameters
    ----------
    ranks : tuple of float
        Average rank of each method, 1 being the best.
    p_value : float
        Of Friedman's test that all methods rank alike; NaN where it is not
        defined (fewer than three methods or two data sets).
    critical_difference : float
        Two methods whose average ranks differ by less cannot be told apart
        (Nemenyi's test).
    """

    ranks: tuple[float, ...]
    p_value: float
    critical_difference: float


def compare_ranks(losses: npt.ArrayLike, *, alpha: float = 0.05) -> RankComparison:
    """Compare methods over data sets by their average ranks (Demsar, JMLR 2006).

    The critical difference is q sqrt(k (k + 1) / (6 N)), section 3.2.2, with q the
    quantile of the studentized range over sqrt 2.

    Parameters
    ----------
    losses : array of float, shape (N data sets, k methods)
        Smaller is better.
    alpha : float
        Level of the test.
    """
    table = np.asarray(losses, dtype=np.float64)
    n, k = table.shape
    ranks = stats.rankdata(table, axis=1).mean(axis=0)
    quantile = stats.studentized_range.ppf(1 - alpha, k, np.inf) / np.sqrt(2) if k > 1 else np.nan
    p_value = float("nan")
    if k > 2 and n > 1 and (np.ptp(table, axis=1) > 0).any():
        p_value = float(stats.friedmanchisquare(*table.T).pvalue)
    return RankComparison(
        tuple(ranks.tolist()), p_value, float(quantile * np.sqrt(k * (k + 1) / (6 * n)))
    )


def kendall_tau(true: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Return Kendall's tau-b of two rankings; 0 where one of them is constant."""
    tau: Any = stats.kendalltau(true, predicted).statistic
    return float(tau) if np.isfinite(tau) else 0.0


def spearman_rho(true: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Return Spearman's rank correlation; 0 where one of the rankings is constant."""
    first, second = stats.rankdata(true), stats.rankdata(predicted)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def top_precision(true: npt.ArrayLike, predicted: npt.ArrayLike, k: int) -> float:
    """Return the share of the predicted top k that is in the true top k.

    Equal scores at the edge of the true top are all in it.

    Raises
    ------
    InputError
        When k is not between 1 and the number of scores.
    """
    scores, guess = np.asarray(true, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    k = check_whole("k", k, most=len(scores))
    chosen = np.argsort(-guess, kind="stable")[:k]
    return float((scores[chosen] >= np.sort(scores)[-k]).mean())
