"""What random walks and random architectures tell of a table too large for its neighbour graph."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from weaknas.errors import InputError
from weaknas.evaluators import TabularBenchmark
from weaknas.laboratory.landscape import measures
from weaknas.laboratory.landscape.graph import Floats, Mask
from weaknas.spaces import Genotypes

_WALKS, _LENGTH, _SETTLING = 20, 300, 20
_DRAWN = 500  # architectures whose neighbours are looked at
_CLIMBED = 100  # of which steepest ascent begins


def describe(
    benchmark: TabularBenchmark, rng: np.random.Generator, steps: int, noise: float | None
) -> dict[str, Any]:
    """Return what can be estimated of a landscape, as plain JSON types.

    Parameters
    ----------
    benchmark : TabularBenchmark
    rng : numpy.random.Generator
    steps : int
        Of the autocorrelation.
    noise : float, optional
        Standard deviation of a training; default: what the table tells.
    """
    space = benchmark.space
    walks = walk(benchmark, rng, steps)
    rows = space.canonicalize(space.sample(_DRAWN, rng))
    scores = benchmark.true_scores(rows)
    ends = climb(benchmark, rows[:_CLIMBED])
    optima = is_optimum(benchmark, rows)
    found = stats.binomtest(int(optima.sum()), len(optima))
    interval = found.proportion_ci(method="wilson")
    deviation = noise if noise is not None else _noise(benchmark, rows)
    best = benchmark.optimum()
    architectures = benchmark.shape[0]
    length = measures.correlation_length(walks.autocorrelation)
    return {
        "autocorrelation": walks.autocorrelation.tolist(),
        "correlation_length": length,
        "walk": {
            "walks": walks.walks,
            "length": walks.length,
            "autocorrelation": walks.autocorrelation.tolist(),
            "ci95": walks.interval.T.tolist(),
            "correlation_length": length,
        },
        "local_optima": round(float(optima.mean()) * architectures),
        "basins": {
            "sampled": len(optima),
            "ci95": [interval.low * architectures, interval.high * architectures],
            "best_share": float(np.isin(space.fingerprint(ends), best.fingerprints).mean()),
        },
        "neutrality": _neutrality(benchmark, rows, scores, deviation or 0.0),
        "noise": {"full": deviation},
        "additivity": measures.additivity(space, rows, scores),
    }


def walk(benchmark: TabularBenchmark, rng: np.random.Generator, steps: int) -> measures.Walks:
    """Return the autocorrelation along random walks by the neighbours of the space."""
    space = benchmark.space
    rows = space.canonicalize(space.sample(_WALKS, rng))
    met = np.empty((_WALKS, _SETTLING + max(_LENGTH, 10 * steps)))
    for column in met.T:
        column[:] = benchmark.true_scores(rows)
        near, owners = space.all_neighbors(rows)
        counts = np.bincount(owners, minlength=len(rows))
        place = np.cumsum(counts) - counts + (rng.random(len(rows)) * counts).astype(np.int64)
        rows[counts > 0] = near[place[counts > 0]]
    return measures.correlate_walks(met[:, _SETTLING:], steps)


def best_neighbors(benchmark: TabularBenchmark, rows: Genotypes) -> tuple[Genotypes, Floats]:
    """Return the best neighbour of each, shape (n, d), and its score, -inf where there is none."""
    near, owners = benchmark.space.all_neighbors(rows)
    scores = benchmark.true_scores(near)
    best, heights = rows.copy(), np.full(len(rows), -np.inf)
    order = np.argsort(scores, kind="stable")  # the last one that is written is the best
    best[owners[order]], heights[owners[order]] = near[order], scores[order]
    return best, heights


def is_optimum(benchmark: TabularBenchmark, rows: Genotypes) -> Mask:
    """Tell of each genotype whether no neighbour is better, shape (n,)."""
    return np.asarray(best_neighbors(benchmark, rows)[1] <= benchmark.true_scores(rows))


def climb(benchmark: TabularBenchmark, rows: Genotypes) -> Genotypes:
    """Return where steepest ascent from each genotype ends, shape (n, d)."""
    ends, climbing = rows.copy(), np.arange(len(rows))
    while len(climbing):
        best, heights = best_neighbors(benchmark, ends[climbing])
        higher = heights > benchmark.true_scores(ends[climbing])
        climbing = climbing[higher]
        ends[climbing] = best[higher]
    return ends


def _neutrality(
    benchmark: TabularBenchmark, rows: Genotypes, scores: Floats, noise: float
) -> float:
    near, owners = benchmark.space.all_neighbors(rows)
    apart = np.abs(benchmark.true_scores(near) - scores[owners])
    alike = np.bincount(owners, weights=apart <= noise * np.sqrt(2), minlength=len(rows))
    counts = np.bincount(owners, minlength=len(rows))
    return float((alike[counts > 0] / counts[counts > 0]).mean()) if len(near) else np.nan


def _noise(benchmark: TabularBenchmark, rows: Genotypes) -> float | None:
    try:
        values = benchmark.noise(rows)
    except InputError:  # one training of each
        return None
    return float(np.sqrt(np.mean(values**2)))
