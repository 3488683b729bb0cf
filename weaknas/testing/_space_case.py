"""A space and the architectures it is looked at with."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cached_property
from typing import TypeAlias

import numpy as np

from weaknas.spaces import Genotypes, SearchSpace

Reference: TypeAlias = Callable[[Genotypes], Hashable]

_FEW = 60  # architectures where every one is handled by itself


class SpaceCase:
    """A space and the architectures it is looked at with."""

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        reference: Reference | None,
        symmetric_neighbors: bool | None,
        shape: tuple[int, ...] = (3, 32, 32),
    ) -> None:
        self.space, self.seed, self.reference = space, seed, reference
        self._symmetric = symmetric_neighbors
        self.shape = shape

    def rng(self) -> np.random.Generator:
        """Return a new generator, the same each time."""
        return np.random.default_rng(self.seed)

    # Copies are handed out: an implementation that changes what it is given must
    # not change what the next check looks at.

    @property
    def drawn(self) -> Genotypes:
        """A sample of the space."""
        return self._drawn.copy()

    @property
    def related(self) -> Genotypes:
        """Architectures among which many are isomorphic: mutants, and canonical forms."""
        return self._related.copy()

    @property
    def few(self) -> Genotypes:
        """The first architectures of the sample."""
        return self.drawn[:_FEW]

    @cached_property
    def _drawn(self) -> Genotypes:
        return self.space.sample(400, self.rng())

    @cached_property
    def _related(self) -> Genotypes:
        if self.space.is_listable and self.space.size <= 20_000:
            rows = self.space.enumerate()
            return rows[self.rng().permutation(len(rows))[:3000]]
        rng = self.rng()
        drawn = self.drawn[:200]
        mutants = [self.space.mutate(drawn, rng) for _ in range(3)]
        return np.vstack([drawn, *mutants, self.space.canonicalize(drawn)])

    @property
    def is_plain(self) -> bool:
        """Whether every combination of choices is an architecture of its own."""
        product = self.space.size == np.prod([int(count) for count in self.space.cardinalities])
        rows = self.related
        return bool(product and (self.space.canonicalize(rows) == rows).all())

    @property
    def symmetric(self) -> bool:
        """Whether neighbours are promised to be symmetric."""
        return self.is_plain if self._symmetric is None else self._symmetric
