"""A sampling distribution that narrows round by round: the progressive idea, made explicit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from weaknas.spaces import Genotypes, SearchSpace

Probabilities = list[npt.NDArray[np.float64]]

_OVERSAMPLED = 4


class Narrowing:
    """One probability a choice of each decision, learnt from the best found so far.

    After each round the probabilities move towards the shares of choices among an
    elite (the cross-entropy method: Rubinstein 1999; De Boer et al. 2005, eq. 9,
    with the smoothing of their remark 2.3). No choice falls below a floor, so that
    nothing is given up for good. When a search is stuck, `widen` takes them part
    of the way back to the whole space.

    Parameters
    ----------
    space : SearchSpace
    rng : Generator
        Draws the sample that the beginning is estimated from.
    rate : float
        How far a round moves, in (0, 1].
    floor : float
        Share of the beginning that always remains.

    Attributes
    ----------
    probabilities : list of ndarray, shape (choices,)
        Of each decision, now.
    start : list of ndarray
        The same of the whole space.
    entropies : list of ndarray, shape (d,)
        Bits of each decision after each round; ``2 ** entropy`` is the number of
        choices that effectively remain.
    """

    def __init__(
        self,
        space: SearchSpace,
        rng: np.random.Generator,
        rate: float = 0.3,
        floor: float = 0.1,
    ) -> None:
        self.space, self.rate, self.floor = space, rate, floor
        self.start = self._shares(space.sample(2000, rng))
        self.probabilities = self.start
        self.entropies: list[npt.NDArray[np.float64]] = []

    def learn(self, elite: Genotypes) -> None:
        """Move towards the choices of an elite, shape (n, d)."""
        self._move(self._shares(elite), self.rate)

    def widen(self) -> None:
        """Go half of the way back to the whole space."""
        self._move(self.start, 0.5)

    def sample(self, n: int, rng: np.random.Generator) -> Genotypes:
        """Draw up to n architectures of the space, shape (m, d), decision by decision.

        What such a product has outside the space is dropped; fewer than n come
        where that is most of it.
        """
        columns = [
            rng.choice(len(shares), size=_OVERSAMPLED * n, p=shares)
            for shares in self.probabilities
        ]
        rows = np.stack(columns, axis=1).astype(self.space.genotype_dtype)
        rows = rows[self.space.contains(rows)][:n]
        return self.space.canonicalize(rows)

    def _move(self, goal: Probabilities, rate: float) -> None:
        moved = [(1 - rate) * p + rate * q for p, q in zip(self.probabilities, goal, strict=True)]
        self.probabilities = [
            (1 - self.floor) * p + self.floor * q for p, q in zip(moved, self.start, strict=True)
        ]
        self.entropies.append(np.array([_bits(shares) for shares in self.probabilities]))

    def _shares(self, rows: Genotypes) -> Probabilities:
        counts = self.space.cardinalities.tolist()
        return [
            np.bincount(column, minlength=count) / len(rows)
            for column, count in zip(rows.T, counts, strict=True)
        ]


def _bits(shares: npt.NDArray[np.float64]) -> float:
    positive = shares[shares > 0]
    return float(-(positive * np.log2(positive)).sum())
