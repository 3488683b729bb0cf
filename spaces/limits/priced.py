"""A space with costs that it does not compute itself, such as those measured on a device."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.spaces.limits.part import PartOfSpace
from weaknas.spaces.rows import Genotypes

_PROBE = 64  # architectures whose costs tell one function from another


class PricedSpace(PartOfSpace):
    """All of a space, with costs beside its own; of two of one name the given one holds.

    Parameters
    ----------
    whole : SearchSpace
    costs : mapping of str to callable
        From genotypes, shape (n, d), to numbers, shape (n,).
    """

    @property
    def size(self) -> int:
        """Number of genotypes."""
        return self.whole.size

    @property
    def is_listable(self) -> bool:
        """Whether the whole space is."""
        return self.whole.is_listable

    def describe(self) -> dict[str, Any]:
        """Return the description of the whole space with checksums of the costs."""
        rows = self.whole.canonicalize(self.whole.sample(_PROBE, np.random.default_rng(0)))
        return self._describe_whole(rows)

    def contains(self, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
        """Tell which genotypes are in the whole space."""
        return self.whole.contains(genotypes)

    def enumerate(self) -> Genotypes:
        """Return every genotype of the whole space."""
        return self.whole.enumerate()

    def sample(self, n: int, rng: np.random.Generator) -> Genotypes:
        """Draw as the whole space draws."""
        return self.whole.sample(n, rng)

    def mutate(self, genotypes: npt.NDArray[np.integer], rng: np.random.Generator) -> Genotypes:
        """Mutate as in the whole space."""
        return self.whole.mutate(genotypes, rng)

    def crossover(
        self,
        first: npt.NDArray[np.integer],
        second: npt.NDArray[np.integer],
        rng: np.random.Generator,
    ) -> Genotypes:
        """Cross as in the whole space."""
        return self.whole.crossover(first, second, rng)

    def neighbors(self, genotype: npt.NDArray[np.integer]) -> Genotypes:
        """Return the neighbours in the whole space."""
        return self.whole.neighbors(genotype)

    def all_neighbors(
        self, genotypes: npt.NDArray[np.integer]
    ) -> tuple[Genotypes, npt.NDArray[np.int64]]:
        """Return the neighbours of many genotypes in the whole space, and whose they are."""
        return self.whole.all_neighbors(genotypes)
