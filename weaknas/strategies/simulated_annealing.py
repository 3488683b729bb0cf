"""Simulated annealing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from weaknas.errors import MOST_AT_ONCE, check_number, check_whole
from weaknas.spaces import Genotypes, SearchSpace
from weaknas.strategies._stepwise import StepwiseStrategy


def acceptance_probability(change: float, temperature: float) -> float:
    """Return the probability of a step, min(1, exp(change / temperature)).

    Metropolis et al. (1953); `change` is negative where the score falls.
    """
    if change >= 0:
        return 1.0
    return math.exp(change / temperature) if temperature > 0 else 0.0


class SimulatedAnnealing(StepwiseStrategy):
    """A random walk that goes down ever more rarely (Kirkpatrick et al., Science 1983).

    From the best of a random sample, one decision is changed at a time; the step
    is taken with `acceptance_probability`, and each step lowers the temperature by
    the factor `cooling`. When everything near is known, the temperature returns to
    its start. An architecture whose evaluation failed is never moved to.

    Parameters
    ----------
    space : SearchSpace
    initial : int
        Size of the random sample.
    temperature : float, optional
        At the start, in units of the score. Default: a twentieth of the median
        difference between two architectures of the sample, so that steps among the
        good are free and falls to the average are not (hotter starts spend hundreds
        of queries on a random walk).
    cooling : float
        Ratio of successive temperatures, in (0, 1).
    seed : int
    batch_size : int
        Steps of a round; all start from the same architecture.

    Raises
    ------
    InputError
        When a number is out of range.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        initial: int = 10,
        temperature: float | None = None,
        cooling: float = 0.98,
        seed: int = 0,
        batch_size: int = 1,
    ) -> None:
        super().__init__(space, seed=seed, batch_size=batch_size)
        self.initial = check_whole("initial", initial, most=MOST_AT_ONCE)
        self.temperature = (
            None if temperature is None else check_number("temperature", temperature, above=0)
        )
        self.cooling = check_number("cooling", cooling, above=0, below=1)
        self._sample: list[tuple[Genotypes, float]] = []
        self._current: tuple[Genotypes, float] | None = None
        self._start = 0.0
        self._steps = 0

    def describe(self) -> dict[str, Any]:
        """Return what decides the proposals, as plain JSON types."""
        return super().describe() | {
            "initial": self.initial,
            "temperature": self.temperature,
            "cooling": self.cooling,
        }

    def _propose(self, n: int) -> Genotypes:
        rows = super()._propose(n)
        if len(rows) < n:  # all around is known
            self._steps = 0
        return rows

    def _draw(self) -> Genotypes:
        if self._current is None:
            return self._random()
        return self._mutant(self._current[0])

    def _step(self, genotype: Genotypes, score: float) -> None:
        if self._current is None:
            self._begin(genotype, score)
            return
        change = score - self._current[1]  # NaN for a failure: no comparison holds
        temperature = self._start * self.cooling**self._steps
        self._steps += 1
        if self._rng.random() < acceptance_probability(change, temperature):
            self._current = genotype, score

    def _begin(self, genotype: Genotypes, score: float) -> None:
        if not math.isnan(score):
            self._sample.append((genotype, score))
        if len(self._sample) < self.initial:
            return
        self._current = max(self._sample, key=lambda member: member[1])
        scores = np.array([score for _, score in self._sample])
        above, below = np.triu_indices(len(scores), k=1)
        typical = float(np.median(np.abs(scores[above] - scores[below]))) if len(above) else 0.0
        self._start = self.temperature or typical / 20
