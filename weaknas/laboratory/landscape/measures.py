"""How scores lie on a neighbour graph: exact, and along random walks.

Scores have shape (n,), in the order of the graph's architectures; larger is better.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from weaknas.laboratory.landscape.graph import Floats, Indices, NeighborGraph
from weaknas.spaces import SearchSpace

_RESAMPLES = 1000


# -- autocorrelation ------------------------------------------------------------------------


def autocorrelation(graph: NeighborGraph, scores: Floats, steps: int = 20) -> Floats:
    """Return the autocorrelation of the scores along a random walk, exactly.

    r(s) = (E[f(x_t) f(x_t+s)] - E[f]^2) / Var[f], Weinberger, Biological Cybernetics 63 (1990),
    equation 2, for the walk that steps to a neighbour drawn uniformly and is stationary: it is at
    an architecture with a probability in proportion to its number of neighbours. It stays in
    the largest connected part of the graph.

    Parameters
    ----------
    graph : NeighborGraph
    scores : ndarray of float, shape (n,)
    steps : int

    Returns
    -------
    ndarray of float, shape (steps + 1,)
        By the number of steps, from 0; NaN where all scores are equal or there is no edge.
    """
    inside = graph.largest_component
    if np.ptp(scores[inside]) == 0:
        return np.full(steps + 1, np.nan)
    chances = np.where(inside, graph.degrees, 0) / graph.degrees[inside].sum()
    centred = np.where(inside, scores - chances @ scores, 0.0)
    variance = chances @ centred**2
    average = graph.adjacency.multiply(1 / np.maximum(graph.degrees, 1)[:, None]).tocsr()
    values, ahead = [1.0], centred
    for _ in range(steps):
        ahead = average @ ahead  # the expectation of f so many steps ahead
        values.append(float(chances @ (centred * ahead) / variance))
    return np.array(values)


@dataclass(frozen=True)
class Walks:
    """Autocorrelation as random walks show it.

    Parameters
    ----------
    autocorrelation : ndarray of float, shape (steps + 1,)
    interval : ndarray of float, shape (2, steps + 1)
        95 % bootstrap, whole walks drawn.
    walks, length : int
    """

    autocorrelation: Floats
    interval: Floats
    walks: int
    length: int


def walk(
    graph: NeighborGraph,
    scores: Floats,
    rng: np.random.Generator,
    *,
    steps: int = 20,
    walks: int = 50,
    length: int = 1000,
) -> Walks:
    """Estimate `autocorrelation` from random walks that begin where a walk would be found.

    Parameters
    ----------
    graph : NeighborGraph
    scores : ndarray of float, shape (n,)
    rng : numpy.random.Generator
    steps : int
    walks, length : int
        How many walks, and architectures on each.
    """
    inside = np.flatnonzero(graph.largest_component)
    degrees = graph.degrees
    if np.ptp(scores[inside]) == 0:
        nothing = np.full(steps + 1, np.nan)
        return Walks(nothing, np.stack([nothing, nothing]), walks, length)
    place = rng.choice(inside, size=walks, p=degrees[inside] / degrees[inside].sum())
    met = np.empty((walks, length))
    for step in range(length):
        met[:, step] = scores[place]
        turn = (rng.random(walks) * degrees[place]).astype(np.int64)
        place = graph.targets[graph.starts[place] + turn]
    return correlate_walks(met, steps)


def correlate_walks(met: Floats, steps: int) -> Walks:
    """Return the autocorrelation of the scores along walks.

    Parameters
    ----------
    met : ndarray of float, shape (walks, length)
    steps : int
    """
    walks, length = met.shape
    met = met - met.mean()
    lagged = [(met[:, : length - s] * met[:, s:]).mean(axis=1) for s in range(steps + 1)]
    moments = np.stack([met.mean(axis=1), *lagged], axis=1)
    resampling = np.random.default_rng(0)
    times = resampling.multinomial(walks, np.full(walks, 1 / walks), size=_RESAMPLES)
    drawn = np.apply_along_axis(_correlate, 1, times / walks @ moments)
    interval = np.quantile(drawn, [0.025, 0.975], axis=0)
    return Walks(_correlate(moments.mean(axis=0)), interval, walks, length)


def _correlate(moments: Floats) -> Floats:
    """Return autocorrelations from E[f] and the products E[f(x_t) f(x_t+s)]."""
    covariances = moments[1:] - moments[0] ** 2
    scale = covariances[0] if covariances[0] > 0 else np.nan
    return np.asarray(covariances / scale)


def correlation_length(values: npt.ArrayLike) -> float:
    """Return the steps in which an autocorrelation falls to 1/e, -1 / ln r(1).

    Exactly where it falls exponentially (Stadler, J. Math. Chem. 20 (1996), 1).

    Parameters
    ----------
    values : array of float, shape (steps + 1,)

    Returns
    -------
    float
        0 where neighbours are not alike, NaN where that is unknown.
    """
    first = float(np.asarray(values)[1])
    if math.isnan(first):
        return math.nan
    if first >= 1:
        return math.inf
    return -1 / math.log(first) if first > 0 else 0.0


# -- distance to the best -------------------------------------------------------------------


def correlation(first: Floats, second: Floats) -> float:
    """Return Pearson's correlation; NaN where one of them does not vary."""
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return math.nan
    return float(np.corrcoef(first, second)[0, 1])


def fitness_distance_correlation(scores: Floats, distances: Indices) -> float:
    """Return the correlation of scores with the distance to the best.

    Jones and Forrest, ICGA 1995: near -1 where scores rise towards the best (they
    minimize distances to a maximum as we do), 0 where the distance tells nothing.

    Parameters
    ----------
    scores : ndarray of float, shape (n,)
    distances : ndarray of int, shape (n,)
        -1 where the best cannot be reached; these are left out.
    """
    reached = distances >= 0
    return correlation(scores[reached], distances[reached].astype(np.float64))


def share_within(distances: Indices) -> Floats:
    """Return the share of architectures at most 0, 1, 2, ... steps away.

    Parameters
    ----------
    distances : ndarray of int, shape (n,)
        -1 for those that are never reached.

    Returns
    -------
    ndarray of float, shape (largest distance + 1,)
    """
    counts = np.bincount(distances[distances >= 0])
    return np.asarray(np.cumsum(counts) / len(distances))


# -- optima ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Basins:
    """Where steepest ascent ends.

    Parameters
    ----------
    optima : ndarray of int64, shape (k,)
        Places of the local optima, the best first.
    sizes : ndarray of int64, shape (k,)
        Architectures from which steepest ascent ends at each, itself included; they sum to n.
    steps : ndarray of int64, shape (n,)
        Steps that the ascent takes from each architecture.
    """

    optima: Indices
    sizes: Indices
    steps: Indices


def climb(graph: NeighborGraph, scores: Floats) -> Basins:
    """Return all local optima, and the basin of each under steepest ascent.

    From each architecture to the best of its neighbours (ties: that of the smallest
    fingerprint), as long as that is better. An architecture is a local optimum if none of its
    neighbours is better; where neighbours are equal each of a plateau is.

    Parameters
    ----------
    graph : NeighborGraph
    scores : ndarray of float, shape (n,)
    """
    best = graph.best_neighbors(scores)
    here = np.arange(len(graph))
    onward = np.where(scores[best] > scores, best, here)
    ends, steps = here, np.zeros(len(graph), dtype=np.int64)
    while True:  # all ascents a step at a time
        after = onward[ends]
        moved = after != ends
        if not moved.any():
            break
        ends, steps = after, steps + moved
    optima = np.flatnonzero(onward == here)
    optima = optima[np.argsort(-scores[optima], kind="stable")]
    return Basins(optima, np.bincount(ends, minlength=len(graph))[optima], steps)


def neutral_shares(graph: NeighborGraph, scores: Floats, noise: npt.ArrayLike) -> Floats:
    """Return of each architecture the share of neighbours that one training cannot tell from it.

    Those whose mean differs by no more than the standard deviation of the difference of two
    trainings, sqrt(noise_i^2 + noise_j^2); without noise, those that are equal.

    Parameters
    ----------
    graph : NeighborGraph
    scores : ndarray of float, shape (n,)
    noise : array of float, shape (n,) or ()
        Standard deviation of a training of each.

    Returns
    -------
    ndarray of float, shape (n,)
        NaN where an architecture has no neighbour.
    """
    squares = np.broadcast_to(np.asarray(noise, dtype=np.float64) ** 2, scores.shape)
    one, other = graph.sources, graph.targets
    alike = np.abs(scores[one] - scores[other]) <= np.sqrt(squares[one] + squares[other])
    counts = np.bincount(one, weights=alike, minlength=len(graph))
    with np.errstate(invalid="ignore"):
        return np.asarray(counts / graph.degrees)


# -- main effects ---------------------------------------------------------------------------


def additivity(space: SearchSpace, genotypes: npt.NDArray[np.integer], scores: Floats) -> float:
    """Return the share of the variance that a sum of one effect a decision explains, R^2.

    Ordinary least squares on the choices of all decisions, architectures counted once.

    Parameters
    ----------
    space : SearchSpace
    genotypes : ndarray of int, shape (n, d)
        Canonical.
    scores : ndarray of float, shape (n,)
    """
    return _explained(one_hot(space, genotypes), scores)


def main_effects(
    space: SearchSpace, genotypes: npt.NDArray[np.integer], scores: Floats
) -> dict[str, float]:
    """Return the share of the variance that each decision explains alone, by its name."""
    blocks = (genotypes[:, [i]] == np.arange(c) for i, c in enumerate(space.cardinalities))
    pairs = zip(space.variables, blocks, strict=True)
    return {name: _explained(block.astype(np.float64), scores) for name, block in pairs}


def one_hot(space: SearchSpace, genotypes: npt.NDArray[np.integer]) -> Floats:
    """Return a column for each choice of each decision, shape (n, sum of cardinalities)."""
    choices = np.concatenate([np.arange(count) for count in space.cardinalities])
    columns = np.repeat(np.arange(space.n_variables), space.cardinalities)
    return np.asarray(genotypes[:, columns] == choices, dtype=np.float64)


def _explained(columns: Floats, scores: Floats) -> float:
    centred = scores - scores.mean()
    total = float(centred @ centred)
    if not total > 0:
        return math.nan
    # By the normal equations: there are many rows and few columns. The choices of a decision
    # sum to one, so the matrix is singular; what rounding leaves of a zero differs between
    # machines and is well below the cut.
    columns = columns - columns.mean(axis=0)
    inverse = np.linalg.pinv(columns.T @ columns, rcond=1e-10, hermitian=True)
    weights = inverse @ (columns.T @ centred)
    rest = centred - columns @ weights
    return 1 - float(rest @ rest) / total
