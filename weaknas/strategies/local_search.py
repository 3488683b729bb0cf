"""Local search."""

from __future__ import annotations

from typing import Any

import numpy as np

from weaknas.errors import check_whole
from weaknas.spaces import Genotypes, SearchSpace
from weaknas.spaces.rows import all_changes
from weaknas.strategies._base import Scores, Strategy

_DRAWN = 20  # genotypes a wanted start, of which some are known


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
    canonical : bool
        Walk on canonical forms. Otherwise on genotypes as they are drawn and changed: what
        an architecture does not use stays with it, and an isomorphic one is a known score.
    starts : int
        Random architectures at a restart, of which the best is climbed from; the authors'
        code has 10.
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
        canonical: bool = True,
        starts: int = 1,
        seed: int = 0,
        batch_size: int = 1,
    ) -> None:
        super().__init__(space, seed=seed, batch_size=batch_size)
        self.first_improvement = first_improvement
        self.continue_at_optimum = continue_at_optimum
        self.canonical = canonical
        self.starts = check_whole("starts", starts)
        self._height: float | None = None  # score of the current one; None: at a restart
        self._started: list[tuple[float, Genotypes]] = []
        self._drawn: dict[int, Genotypes] = {}  # by fingerprint, where not the canonical form
        self._neighbors: dict[int, Genotypes] = {}
        self._expanded: set[int] = set()

    @property
    def round_size(self) -> int:
        """The starts at a restart, then neighbours until all are known."""
        missing = self.starts - len(self._started) if self._height is None else 1
        return min(self.batch_size, max(missing, len(self._unknown())))

    def describe(self) -> dict[str, Any]:
        """Return what decides the proposals, as plain JSON types."""
        return super().describe() | {
            "first_improvement": self.first_improvement,
            "continue_at_optimum": self.continue_at_optimum,
            "canonical": self.canonical,
            "starts": self.starts,
        }

    def _propose(self, n: int) -> Genotypes:
        unknown = self._unknown()[:n]
        rows = np.array(unknown, dtype=self.space.genotype_dtype)
        rows = rows.reshape(-1, self.space.n_variables)
        if self._height is None and not self.canonical:
            rows = self.space.sample(_DRAWN * n, self._rng)
        if not self.canonical:
            self._drawn |= zip(self.space.fingerprint(rows).tolist(), rows, strict=True)
        return rows

    def _unknown(self) -> list[Genotypes]:
        return [row for code, row in self._neighbors.items() if code not in self._seen]

    def _learn(self, genotypes: Genotypes, scores: Scores) -> None:
        if self._height is None:
            told = zip(scores.tolist(), genotypes, strict=True)
            self._started += [(score, row) for score, row in told if np.isfinite(score)]
            if len(self._started) >= self.starts:
                score, row = max(self._started, key=lambda start: start[0])
                self._started = []
                self._move(row, score)
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
        current = int(self.space.fingerprint(genotype[None])[0])
        self._expanded.add(current)
        # In random order, so that where a budget ends within a neighbourhood does
        # not depend on how a space happens to number its choices.
        rows = self._rng.permutation(self._around(genotype, current))
        codes = self.space.fingerprint(rows).tolist()
        self._height, self._neighbors = score, dict(zip(codes, rows, strict=True))

    def _around(self, genotype: Genotypes, code: int) -> Genotypes:
        """Return the neighbours of an architecture, shape (m, d)."""
        if self.canonical:
            return self.space.neighbors(genotype)
        rows = all_changes(self._drawn.get(code, genotype), self.space.cardinalities)
        rows = rows[self.space.contains(rows)]
        others: Genotypes = rows[self.space.fingerprint(rows) != code]
        return others
