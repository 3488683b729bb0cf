"""NSGA-II: evolution towards the front of several objectives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import check_number, check_whole
from weaknas.spaces import (
    ConstrainedSpace,
    Costs,
    Genotypes,
    SearchSpace,
    SubsetSpace,
)
from weaknas.spaces.limits.constrained import frame_of
from weaknas.strategies._base import Scores, Strategy

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

_TRIES = 200  # until enough children are new and within limits
_INDEX = 3.0  # of the polynomial distribution of steps


def sort_fronts(values: Floats, violations: Floats | None = None) -> Indices:
    """Return the front of each point: 0 for what none dominates, 1 without those, and so on.

    The non-dominated sorting of Deb et al. (2002, section III-A) with their
    constrained domination (definition 1): what violates no limit dominates what does, and
    of two that do the one that violates them less dominates.

    Parameters
    ----------
    values : ndarray of float, shape (n, k)
        Objectives, smaller is better; not looked at where a limit is violated.
    violations : ndarray of float, shape (n,), optional
        0 within the limits; default: all are.

    Returns
    -------
    ndarray of int64, shape (n,)
    """
    outside = np.zeros(len(values)) if violations is None else violations
    inside = outside == 0
    no_worse = (values[:, None] <= values[None]).all(axis=2)
    better = no_worse & (values[:, None] < values[None]).any(axis=2)
    dominates = np.where(inside[:, None] & inside[None], better, outside[:, None] < outside[None])
    fronts = np.full(len(values), -1, dtype=np.int64)
    front, left = 0, np.ones(len(values), dtype=bool)
    while left.any():
        first = left & ~dominates[left].any(axis=0)
        fronts[first] = front
        left &= ~first
        front += 1
    return fronts


def crowding_distances(values: Floats) -> Floats:
    """Return how far the neighbours of each point of one front are, shape (n,).

    Deb et al. (2002, section III-B): in each objective the distance between the next
    smaller and the next larger value in units of the range, summed; infinite for the
    smallest and the largest.

    Parameters
    ----------
    values : ndarray of float, shape (n, k)
    """
    distances = np.zeros(len(values))
    for column in values.T:
        order = np.argsort(column, kind="stable")
        ordered = column[order]
        span = ordered[-1] - ordered[0]
        gaps = np.full(len(values), np.inf)
        gaps[1:-1] = (ordered[2:] - ordered[:-2]) / span if span > 0 else 0.0
        distances[order] += gaps
    return distances


class NSGA2(Strategy):
    """NSGA-II (Deb et al. 2002, IEEE TEVC 6(2)), as NSGA-Net sets it (arXiv:1810.03522).

    A population of random architectures has as many children: of two drawn from it the
    one of the better front is a parent, of the same front the one with more room around
    it. Two parents are crossed at two points, and each decision changes with probability
    1/d: an ordered one by a step of the polynomial distribution, rounded up, another to any
    other value. Of parents and children the better fronts survive, of the last that has
    room the least crowded. Where a child is no architecture of the space its mother is
    mutated as the space does it; in a space that is a list of architectures the most
    similar one that is new takes its place.

    Limits are kept by constrained domination: the population is drawn from the whole space,
    and what is outside is not trained, but has children as long as too few are inside.
    Nothing is trained twice. A failed evaluation has no children. With the score as the
    only objective the fronts are ranks.

    Parameters
    ----------
    space : SearchSpace
    objectives : sequence of str
        Costs of the space to make small beside a large score, up to two.
    population : int
        NSGA-Net has 40.
    crossover : float
        Probability, in [0, 1], that a child is crossed before it is mutated.
    seed : int
    batch_size : int
        Children of a round; after `population` children, whatever their rounds, the next
        generation begins.

    Raises
    ------
    InputError
        When a number is out of range, or an objective is no cost of the space.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        objectives: Sequence[str] = (),
        population: int = 40,
        crossover: float = 0.9,
        seed: int = 0,
        batch_size: int = 1,
    ) -> None:
        super().__init__(space, seed=seed, batch_size=batch_size)
        self.population = check_whole("population", population, least=2)
        self.crossover = check_number("crossover", crossover, least=0, most=1)
        self._costs = Costs(space, objectives) if len(objectives) else None
        self.objectives = self._costs.names if self._costs else ()
        self._frame = frame_of(space)
        width = 1 + len(self.objectives)
        self._parents = np.empty((0, space.n_variables), dtype=space.genotype_dtype)
        self._values = np.empty((0, width))
        self._violations = np.empty(0)
        #: Front and crowding of each parent, by which tournaments are decided.
        self._fronts, self._crowding = np.empty(0, dtype=np.int64), np.empty(0)
        self._children: list[tuple[Genotypes, Floats, float]] = []
        self._outside: set[int] = set()

    def describe(self) -> dict[str, Any]:
        """Return what decides the proposals, as plain JSON types."""
        return super().describe() | {
            "objectives": list(self.objectives),
            "population": self.population,
            "crossover": self.crossover,
        }

    # -- inside -------------------------------------------------------------------

    def _propose(self, n: int) -> Genotypes:
        chosen: dict[int, Genotypes] = {}
        for _ in range(_TRIES):
            drawn = self.space.canonicalize(self._breed(n, chosen))
            codes = self.space.fingerprint(drawn).tolist()
            distances = self._violation(drawn).tolist()
            for row, code, distance in zip(drawn, codes, distances, strict=True):
                if distance > 0:
                    self._reject(row, code, distance)
                elif code not in self._seen:
                    chosen.setdefault(code, row)
                if len(chosen) == n:
                    return np.array(list(chosen.values()))
        rows = np.array(list(chosen.values()), dtype=self.space.genotype_dtype)
        return rows.reshape(-1, self.space.n_variables)

    def _learn(self, genotypes: Genotypes, scores: Scores) -> None:
        good = np.isfinite(scores)
        values = -scores[good, None]
        if self._costs is not None and good.any():
            values = np.hstack([values, self._costs(genotypes[good])])
        for row, value in zip(genotypes[good], values, strict=True):
            self._enter(row, value, 0.0)

    def _violation(self, rows: Genotypes) -> Floats:
        if isinstance(self.space, ConstrainedSpace):
            return self.space.violation(rows)
        return np.where(self.space.contains(rows), 0.0, np.inf)

    def _reject(self, row: Genotypes, code: int, distance: float) -> None:
        """Let a child that is outside the limits into the population, which costs nothing."""
        if np.isfinite(distance) and code not in self._outside:
            self._outside.add(code)
            self._enter(row, np.full(self._values.shape[1], np.nan), distance)

    def _enter(self, row: Genotypes, values: Floats, violation: float) -> None:
        self._children.append((row, values, violation))
        if len(self._children) >= self.population:
            self._survive()

    def _survive(self) -> None:
        """Make the best of parents and children the parents of the next generation."""
        rows, values, violations = zip(*self._children, strict=True)
        self._children = []
        rows_of_all = np.vstack([self._parents, *rows])
        values_of_all = np.vstack([self._values, *values])
        violations_of_all = np.append(self._violations, violations)
        fronts = sort_fronts(values_of_all, violations_of_all)
        crowding = np.empty(len(fronts))
        for front in range(int(fronts.max()) + 1):
            crowding[fronts == front] = crowding_distances(values_of_all[fronts == front])
        best = np.lexsort((-crowding, fronts))[: self.population]
        self._parents, self._values = rows_of_all[best], values_of_all[best]
        self._violations = violations_of_all[best]
        self._fronts, self._crowding = fronts[best], crowding[best]

    # -- children -------------------------------------------------------------------

    def _breed(self, count: int, chosen: dict[int, Genotypes]) -> Genotypes:
        """Return children; random architectures before there are parents."""
        if len(self._parents) == 0:
            return self._frame.sample(count, self._rng)
        mothers, fathers = self._tournament(count), self._tournament(count)
        children = self._mutate(self._cross(mothers, fathers))
        if isinstance(self._frame, SubsetSpace):
            return np.stack([self._nearest_new(child, chosen) for child in children])
        strange = np.flatnonzero(~self._frame.contains(children))
        if len(strange):
            children[strange] = self._frame.mutate(mothers[strange], self._rng)
        return children

    def _tournament(self, count: int) -> Genotypes:
        """Return parents, each of two the one of the better front, or with more room."""
        one, other = self._rng.integers(len(self._parents), size=(2, count))
        worse = np.where(
            self._fronts[one] == self._fronts[other],
            self._crowding[one] < self._crowding[other],
            self._fronts[one] > self._fronts[other],
        )
        return np.asarray(self._parents[np.where(worse, other, one)])

    def _cross(self, mothers: Genotypes, fathers: Genotypes) -> Genotypes:
        """Give children of the mothers what is between two cuts of the fathers."""
        count, width = mothers.shape
        cuts = np.sort(self._rng.integers(width + 1, size=(2, count, 1)), axis=0)
        places = np.arange(width)
        taken = (places >= cuts[0]) & (places < cuts[1])
        taken &= self._rng.random((count, 1)) < self.crossover
        return np.where(taken, fathers, mothers)

    def _mutate(self, rows: Genotypes) -> Genotypes:
        """Change each decision with probability 1/d."""
        counts = self.space.cardinalities
        changes = (self._rng.random(rows.shape) < 1 / rows.shape[1]) & (counts > 1)
        # Deb and Goyal (1996): |step| / range = 1 - (1 - u)^(1 / (index + 1)), here rounded up.
        sizes = 1 - (1 - self._rng.random(rows.shape)) ** (1 / (_INDEX + 1))
        steps = np.maximum(np.ceil(sizes * (counts - 1)), 1) * self._rng.choice([-1, 1], rows.shape)
        beyond = (rows + steps < 0) | (rows + steps >= counts)
        stepped = np.clip(rows + np.where(beyond, -steps, steps), 0, counts - 1)
        others = (rows + self._rng.integers(1, np.maximum(counts, 2), size=rows.shape)) % counts
        changed = np.where(self.space.ordered, stepped, others)
        return np.where(changes, changed, rows).astype(self.space.genotype_dtype)

    def _nearest_new(self, child: Genotypes, chosen: dict[int, Genotypes]) -> Genotypes:
        """Return the most similar listed architecture that was neither trained nor chosen."""
        assert isinstance(self._frame, SubsetSpace)
        return self._frame.nearest(child, {*self._seen, *self._outside, *chosen})
