"""Regularized (ageing) evolution."""

from __future__ import annotations

import math
from collections import deque
from typing import Any

from weaknas.errors import check_whole
from weaknas.spaces import Genotypes, SearchSpace
from weaknas.strategies._stepwise import StepwiseStrategy


class RegularizedEvolution(StepwiseStrategy):
    """Evolution in which the oldest dies (Real et al., AAAI 2019, arXiv:1802.01548, Algorithm 1).

    A population of random architectures is the start. Each cycle draws a
    tournament from the population, with replacement, mutates the best of it in
    one decision, adds the child and removes the oldest. Architectures whose
    evaluation failed do not enter the population.

    Parameters
    ----------
    space : SearchSpace
    population : int
        P of the paper, which has 100; White et al. (AAAI 2021, arXiv:1910.11858)
        use 30 for a few hundred queries, as does the default.
    tournament : int
        S of the paper, which has 25; White et al. use 10.
    seed : int
    batch_size : int
        Children of a round; they do not see one another.

    Raises
    ------
    InputError
        When a number is no whole number from 1 on.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        population: int = 30,
        tournament: int = 10,
        seed: int = 0,
        batch_size: int = 1,
    ) -> None:
        super().__init__(space, seed=seed, batch_size=batch_size)
        self.population = check_whole("population", population)
        self.tournament = check_whole("tournament", tournament)
        self._alive: deque[tuple[Genotypes, float]] = deque(maxlen=self.population)

    def describe(self) -> dict[str, Any]:
        """Return what decides the proposals, as plain JSON types."""
        return super().describe() | {
            "population": self.population,
            "tournament": self.tournament,
        }

    def _draw(self) -> Genotypes:
        if len(self._alive) < self.population:
            return self._random()
        picks = self._rng.integers(self.population, size=self.tournament)
        parent, _ = max((self._alive[i] for i in picks.tolist()), key=lambda member: member[1])
        return self._mutant(parent)

    def _step(self, genotype: Genotypes, score: float) -> None:
        if not math.isnan(score):
            self._alive.append((genotype, score))  # at its full length the deque drops the oldest
