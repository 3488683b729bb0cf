"""Finding and drawing architectures within limits, where rejection alone would not do.

Drawing from the whole space until enough are inside takes for ever where few
are. Instead, random architectures are driven towards the limits level by level:
those nearer than the median multiply, and each then takes steps of a Markov
chain that never leaves its level (subset simulation: Au and Beck, Probabilistic
Engineering Mechanics 2001; Cerou et al., Statistics and Computing 2012), until
a good part of a level is inside. The chain goes on in that level, and what is
inside after every few steps is drawn. A step draws some decisions anew. Where
the space draws its decisions independently, that leaves its own distribution,
limited to the level, as it is: what comes out is distributed as rejection would
have it, but for the finite number of steps.

Measured in `MobileNetV3`, of width 1.2 at resolution 236, with 10,000 draws: at
594 to 600 M multiply-adds (1 in 100 is inside) the shares of all choices differ
from those of rejection as much as two samples by rejection differ (root mean
square 0.007); at 330 to 333 M (1 in 800) 0.0084 instead of 0.0068. The
draws take about a second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from weaknas.errors import unknown
from weaknas.spaces._base import CostFunction, SearchSpace
from weaknas.spaces.limits.constraints import Constraint
from weaknas.spaces.rows import Genotypes

Values = npt.NDArray[np.float64]

# Steps of the Markov chain: on each level, once on the last, and for each draw.
_LEVEL_STEPS, _SETTLE_STEPS, _DRAW_STEPS = 10, 100, 20
_ENOUGH_INSIDE = 0.2  # of a level, to draw from it by rejection
_MOST_LEVELS = 200
_PATIENCE = 8  # levels without progress
# Decisions that a step draws anew besides the first, on average: near and far.
_REDRAWN = np.array([0.0, 1.0, 3.0])


class Limits:
    """How far architectures are from where constraints hold.

    Parameters
    ----------
    space : SearchSpace
    constraints : sequence of Constraint
    costs : mapping of str to callable
        The costs that constraints may name.
    sample : ndarray of int, shape (n, d)
        Architectures whose spread makes distances comparable.

    Raises
    ------
    InputError
        When a constraint is on an unknown cost.
    """

    def __init__(
        self,
        space: SearchSpace,
        constraints: Sequence[Constraint],
        costs: Mapping[str, CostFunction],
        sample: Genotypes,
    ) -> None:
        for constraint in constraints:
            if constraint.cost not in costs:
                raise unknown(f"cost of the space {space.name!r}", constraint.cost, costs)
        self.space = space
        self.costs = {name: costs[name] for name in {c.cost: None for c in constraints}}
        with np.errstate(invalid="ignore"):  # infinite costs have no spread
            spreads = {name: float(np.std(cost(sample))) for name, cost in self.costs.items()}
        scales = {name: s if s > 0 and np.isfinite(s) else 1.0 for name, s in spreads.items()}
        self._bound = [(c.bind(self.costs[c.cost]), scales[c.cost]) for c in constraints]

    @property
    def limited(self) -> dict[str, CostFunction]:
        """What must not be too large, by what it is called: a cost, or a quantile of one."""
        return {bound.name: bound.largest for bound, _ in self._bound}

    def distance(self, genotypes: npt.NDArray[np.integer]) -> Values:
        """Return 0 inside, infinity outside the space, else a sum over constraints; shape (n,).

        What counts are the costs of the canonical form, in which an architecture is
        searched: formulas of published networks also count what has no effect.
        """
        rows = np.asarray(genotypes)
        distance = np.where(self.space.contains(rows), 0.0, np.inf)
        canonical = self.space.canonicalize(rows[distance == 0])
        distance[distance == 0] = sum(
            bound.distance(canonical) / scale for bound, scale in self._bound
        )
        return distance


def walk(
    limits: Limits,
    genotypes: Genotypes,
    bound: float | Values,
    steps: int,
    rng: np.random.Generator,
) -> Genotypes:
    """Take steps of a Markov chain that never goes further out than a bound.

    Parameters
    ----------
    limits : Limits
    genotypes : ndarray of int, shape (n, d)
        Not further out than the bound.
    bound : float or ndarray of float, shape (n,)
        In the units of `Limits.distance`.
    steps : int
    rng : Generator

    Returns
    -------
    ndarray of int, shape (n, d)
    """
    rows = genotypes.copy()
    for _ in range(steps):
        moved = _redraw(limits.space, rows, rng)
        keep = limits.distance(moved) <= bound
        rows[keep] = moved[keep]
    return rows


def approach(
    limits: Limits, genotypes: Genotypes, steps: int, rng: np.random.Generator
) -> Genotypes:
    """Let each architecture, shape (n, d), come as near as single steps bring it."""
    rows = genotypes.copy()
    away = limits.distance(rows)
    for _ in range(steps):
        far = np.flatnonzero(away > 0)
        if len(far) == 0:
            break
        moved = _redraw(limits.space, rows[far], rng)
        distance = limits.distance(moved)
        nearer = distance <= away[far]
        rows[far[nearer]], away[far[nearer]] = moved[nearer], distance[nearer]
    return rows


class Chains:
    """Markov chains in the neighbourhood of what is inside limits, and draws from them.

    Parameters
    ----------
    limits : Limits
    genotypes : ndarray of int, shape (n, d)
        A sample of the whole space.
    rng : Generator

    Attributes
    ----------
    inside : ndarray of int, shape (m, d)
        Architectures inside; none where none was found.
    """

    def __init__(self, limits: Limits, genotypes: Genotypes, rng: np.random.Generator) -> None:
        self._limits = limits
        self._rows, self._bound = _drive_near(limits, genotypes, rng)
        self.inside = self._rows[limits.distance(self._rows) == 0]

    def draw(self, n: int, rng: np.random.Generator) -> Genotypes:
        """Draw n architectures inside, shape (n, d)."""
        rows = self._rows[rng.integers(len(self._rows), size=n)]
        waiting = np.arange(n)
        for _ in range(_MOST_LEVELS):
            rows[waiting] = walk(self._limits, rows[waiting], self._bound, _DRAW_STEPS, rng)
            waiting = waiting[self._limits.distance(rows[waiting]) > 0]
            if len(waiting) == 0:
                return rows
        # A chain that cannot get inside.
        rows[waiting] = self.inside[rng.integers(len(self.inside), size=len(waiting))]
        return rows


def _drive_near(
    limits: Limits, genotypes: Genotypes, rng: np.random.Generator
) -> tuple[Genotypes, float]:
    """Return a sample of a level and its bound: the first of which enough is inside.

    Where no level is, go on from the nearest single architecture; the bound is 0
    if it is inside.
    """
    rows, bound = genotypes, np.inf
    distance = limits.distance(rows)
    best, stale = np.inf, 0
    for _ in range(_MOST_LEVELS):
        if (distance == 0).mean() >= _ENOUGH_INSIDE:
            return walk(limits, rows, bound, _SETTLE_STEPS, rng), bound
        bound = float(np.quantile(distance, 0.5, method="lower"))
        nearer = np.flatnonzero(distance <= bound)
        rows = rows[nearer[rng.integers(len(nearer), size=len(rows))]]
        rows = walk(limits, rows, bound, _LEVEL_STEPS, rng)
        distance = limits.distance(rows)
        stale = 0 if bound < best else stale + 1
        best = min(best, bound)
        if stale == _PATIENCE:
            break
    nearest = descend(limits.space, limits.distance, rows[int(np.argmin(distance))])[None]
    bound = float(limits.distance(nearest)[0])
    if bound > 0:
        return nearest, bound
    return walk(limits, np.repeat(nearest, len(rows), axis=0), 0.0, _SETTLE_STEPS, rng), 0.0


def descend(
    space: SearchSpace, objective: Callable[[Genotypes], Values], genotype: Genotypes
) -> Genotypes:
    """Go to the best neighbour until none is better; shapes (d,)."""
    value = float(objective(genotype[None])[0])
    while True:
        near = space.neighbors(genotype)
        values = objective(near)
        if len(near) == 0 or not values.min() < value:
            return genotype
        value = float(values.min())
        genotype = near[int(values.argmin())]


def feasible_range(
    space: SearchSpace, cost: CostFunction, sample: Genotypes
) -> tuple[float, float]:
    """Return the smallest and largest cost that are found going downhill from a sample's ends.

    NaN where the cost is no finite number for any architecture of the sample.
    """
    ends = []
    for sign in (1.0, -1.0):

        def height(rows: Genotypes, sign: float = sign) -> Values:
            values = np.asarray(cost(rows), dtype=np.float64)
            return np.where(np.isnan(values), np.inf, sign * values)

        heights = height(sample)
        lowest = int(np.argmin(heights))
        if heights[lowest] == np.inf:
            return np.nan, np.nan
        ends.append(sign * float(height(descend(space, height, sample[lowest])[None])[0]))
    return ends[0], ends[1]


def _redraw(space: SearchSpace, rows: Genotypes, rng: np.random.Generator) -> Genotypes:
    """Draw a few decisions of each architecture anew; which ones does not depend on it."""
    count, width = rows.shape
    rate = _REDRAWN[rng.integers(len(_REDRAWN), size=(count, 1))] / width
    chosen = rng.random(rows.shape, dtype=np.float32) < rate
    chosen[np.arange(count), rng.integers(width, size=count)] = True
    return np.where(chosen, space.sample(count, rng), rows)
