"""Random search."""

from __future__ import annotations

from weaknas.spaces import Genotypes
from weaknas.strategies._base import Strategy


class RandomSearch(Strategy):
    """Draws architectures uniformly, without replacement up to isomorphism."""

    def _propose(self, n: int) -> Genotypes:
        return self._random_unseen(n)
