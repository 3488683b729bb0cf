"""Local search."""

from __future__ import annotations

from typing import Any

import numpy as np

from weaknas.spaces import Genotypes, SearchSpace
from weaknas.strategies._base import Scores, Strategy


class LocalSearch(Strategy):
    """Hill climbing with restarts (White et al., UAI 2021, arXiv:2005.02960, Algorithm 1).

    Evaluates all architectures one decision away from the current one, moves to
    the best of them if it is better, and starts again from a random architecture,
    not evaluated before, at a local optimum. Neighbours that were evaluated
    already count with their known scores and are not queried again; those that
    failed count as worse than any other.

    Parameters
    ----------
    space : SearchSpace
    first_improvement : bool
        Move to the first neighbour, in random order, that is better, without looking
        at the others (the paper's ``query_until_lower``).
    continue_at_optimum : bool
        At a local optimum go on from the best architecture whose neighbours were not
        looked at, instead of from a random one (the paper's ``continue_at_min``).
    seed : int
    batch_size : int
        Largest number of neighbours in a round.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        first_improvement: bool = False,
        continue_at_optimum: bool = False,
        seed: int = 0,
        batch_size: int = 1,
    ) -> None:
        super().__init__(space, seed=seed, batch_size=batch_size)
        self.first_improvement = first_improvement
        self.continue_at_optimum = continue_at_optimum
        self._height: float | None = None  # score of the current one; None: at a restart
        self._neighbors: dict[int, Genotypes] = {}
        self._expanded: set[int] = set()

    @property
    def round_size(self) -> int:
        """One architecture at a restart, then neighbours until all are known."""
        return min(self.batch_size, max(1, len(self._unknown())))

    def describe(self) -> dict[str, Any]:
        """Return what decides the proposals, as plain JSON types."""
        return super().describe() | {
            "first_improvement": self.first_improvement,
            "continue_at_optimum": self.continue_at_optimum,
        }

    def _propose(self, n: int) -> Genotypes:
        unknown = self._unknown()[:n]
        rows = np.array(unknown, dtype=self.space.genotype_dtype)
        return rows.reshape(-1, self.space.n_variables)

    def _unknown(self) -> list[Genotypes]:
        return [row for code, row in self._neighbors.items() if code not in self._seen]

    def _learn(self, genotypes: Genotypes, scores: Scores) -> None:
        if self._height is None and np.isfinite(scores).any():
            best = int(np.nanargmax(scores))
            self._move(genotypes[best], float(scores[best]))
        while self._height is not None and self._climb():
            pass

    def _climb(self) -> bool:
        """Take a step if it is known where to; tell whether there may be another."""
        assert self._height is not None
        best, height = None, self._height
        for code in self._neighbors:
            score = self._score_of(code)
            if score is None:
                return False
            if score > height:
                best, height = code, score
                if self.first_improvement:
                    break
        if best is not None:
            self._move(self._neighbors[best], height)
            return True
        self._height, self._neighbors = None, {}
        return self.continue_at_optimum and self._move_to_next_best()

    def _move_to_next_best(self) -> bool:
        """Move to the best architecture that was not moved to before; tell if there is one."""
        genotypes, scores = self.history.successful
        codes = self.space.fingerprint(genotypes)
        for index in np.argsort(-scores, kind="stable").tolist():
            if int(codes[index]) not in self._expanded:
                self._move(genotypes[index], float(scores[index]))
                return True
        return False

    def _move(self, genotype: Genotypes, score: float) -> None:
        self._expanded.add(int(self.space.fingerprint(genotype[None])[0]))
        # In random order, so that where a budget ends within a neighbourhood does
        # not depend on how a space happens to number its choices.
        rows = self._rng.permutation(self.space.neighbors(genotype))
        codes = self.space.fingerprint(rows).tolist()
        self._height, self._neighbors = score, dict(zip(codes, rows, strict=True))
