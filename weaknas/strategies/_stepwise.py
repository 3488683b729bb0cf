"""What strategies share that learn from one architecture at a time."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from weaknas.spaces import Genotypes, SearchSpace
from weaknas.strategies._base import Scores, Strategy


class StepwiseStrategy(Strategy):
    """Draws one architecture at a time and learns its score.

    The published algorithms draw with repetition. Here an architecture that was
    evaluated already is answered from memory, as if it had been evaluated again:
    the algorithm takes its step, and nothing is paid. After `tries` draws without
    a new one, `ask` adds a fresh random architecture.
    """

    tries = 100

    def __init__(self, space: SearchSpace, *, seed: int = 0, batch_size: int = 1) -> None:
        super().__init__(space, seed=seed, batch_size=batch_size)
        self._canonical: dict[bytes, tuple[Genotypes, int]] = {}

    @abstractmethod
    def _draw(self) -> Genotypes | None:
        """Draw one genotype, shape (d,); None when none of the space was found."""

    @abstractmethod
    def _step(self, genotype: Genotypes, score: float) -> None:
        """Learn the score of one canonical genotype, shape (d,); NaN for a failure."""

    def _propose(self, n: int) -> Genotypes:
        chosen: dict[int, Genotypes] = {}
        for _ in range(n * self.tries):
            drawn = self._draw()
            if drawn is None:
                continue
            row, code = self._identify(drawn)
            known = self._score_of(code)
            if known is not None:
                self._step(row, known)
            elif code not in self._seen:
                chosen[code] = row
                if len(chosen) == n:
                    break
        rows = np.array(list(chosen.values()), dtype=self.space.genotype_dtype)
        return rows.reshape(-1, self.space.n_variables)

    def _learn(self, genotypes: Genotypes, scores: Scores) -> None:
        for genotype, score in zip(genotypes, scores.tolist(), strict=True):
            self._step(genotype, score)

    def _identify(self, genotype: Genotypes) -> tuple[Genotypes, int]:
        """Canonical form and fingerprint, remembered: a settled search repeats itself."""
        key = genotype.tobytes()
        if key not in self._canonical:
            row = self.space.canonicalize(genotype[None])
            self._canonical[key] = row[0], int(self.space.fingerprint(row)[0])
        return self._canonical[key]

    def _random(self) -> Genotypes:
        """One genotype drawn uniformly, shape (d,)."""
        genotype: Genotypes = self.space.sample(1, self._rng)[0]
        return genotype

    def _mutant(self, parent: Genotypes) -> Genotypes:
        """One genotype a decision away from its parent, shape (d,)."""
        genotype: Genotypes = self.space.mutate(parent[None], self._rng)[0]
        return genotype
