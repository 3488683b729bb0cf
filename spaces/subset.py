"""A part of a space: the architectures that a partial table holds."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError
from weaknas.spaces._base import Genotypes, SearchSpace
from weaknas.spaces.graphs import GraphBatch

_TRIES = 8


class SubsetSpace(SearchSpace):
    """The given architectures of a space, with its structure.

    Sampling, moves and enumeration stay inside; encoders, graphs, string forms
    and ids are those of the whole space.

    Parameters
    ----------
    whole : SearchSpace
    genotypes : ndarray of int, shape (n, d)
        The members. Isomorphic ones count once.
    """

    def __init__(self, whole: SearchSpace, genotypes: npt.NDArray[np.integer]) -> None:
        if len(genotypes) == 0:
            raise InputError(f"no architecture of the space {whole.name!r} was given")
        self.whole = whole
        self.name = whole.name
        self.variables = whole.variables
        self.cardinalities = whole.cardinalities
        self.ordered = whole.ordered
        self._rows = whole._distinct(np.asarray(genotypes, dtype=np.int16))
        self._codes = np.sort(whole.fingerprint(self._rows))

    @property
    def size(self) -> int:
        """Number of architectures."""
        return len(self._rows)

    @property
    def is_listable(self) -> bool:
        """Always true: the members are held."""
        return True

    def describe(self) -> dict[str, Any]:
        """Return the description of the whole space with size and checksum of this part."""
        members = hashlib.blake2b(self._codes.tobytes(), digest_size=8).hexdigest()
        return self.whole.describe() | {"subset": self.size, "members": members}

    def format(self, genotype: npt.NDArray[np.integer]) -> str:
        """Return the string form in the whole space."""
        return self.whole.format(genotype)

    def parse(self, text: str) -> Genotypes:
        """Read the string form of the whole space."""
        return self.whole.parse(text)

    def canonicalize(self, genotypes: npt.NDArray[np.integer]) -> Genotypes:
        """Return the canonical forms in the whole space."""
        return self.whole.canonicalize(genotypes)

    def fingerprint(self, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """Return the fingerprints in the whole space."""
        return self.whole.fingerprint(genotypes)

    def canonical_ids(self, genotypes: npt.NDArray[np.integer]) -> list[str]:
        """Return the ids in the whole space."""
        return self.whole.canonical_ids(genotypes)

    @property
    def has_graphs(self) -> bool:
        """Whether the whole space has graphs."""
        return self.whole.has_graphs

    def graphs(self, genotypes: npt.NDArray[np.integer]) -> GraphBatch:
        """Return the graphs of the whole space."""
        return self.whole.graphs(genotypes)

    def contains(self, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
        """Tell which genotypes are (isomorphic to) members."""
        inside = self.whole.contains(genotypes)
        codes = self.fingerprint(np.asarray(genotypes)[inside])
        position = np.minimum(np.searchsorted(self._codes, codes), self.size - 1)
        inside[inside] = self._codes[position] == codes
        return inside

    def enumerate(self) -> Genotypes:
        """Return every member, shape (size, d)."""
        return self._rows.copy()

    def sample(self, n: int, rng: np.random.Generator) -> Genotypes:
        """Draw members uniformly, with replacement."""
        return self._rows[rng.integers(self.size, size=n)]

    def mutate(self, genotypes: npt.NDArray[np.integer], rng: np.random.Generator) -> Genotypes:
        """Mutate as in the whole space; a row that finds no member in a few tries is redrawn."""
        return self._inside(lambda: self.whole.mutate(genotypes, rng), rng)

    def crossover(
        self,
        first: npt.NDArray[np.integer],
        second: npt.NDArray[np.integer],
        rng: np.random.Generator,
    ) -> Genotypes:
        """Cross as in the whole space; a row that finds no member in a few tries is redrawn."""
        return self._inside(lambda: self.whole.crossover(first, second, rng), rng)

    def neighbors(self, genotype: npt.NDArray[np.integer]) -> Genotypes:
        """Return the neighbours that are members; there may be none."""
        rows = self.whole.neighbors(genotype)
        return rows[self.contains(rows)]

    def _inside(self, draw: Any, rng: np.random.Generator) -> Genotypes:
        rows: Genotypes = draw()
        inside = self.contains(rows)
        for _ in range(_TRIES):
            if inside.all():
                return rows
            again = draw()
            rows[~inside] = again[~inside]
            inside = self.contains(rows)
        rows[~inside] = self.sample(int((~inside).sum()), rng)
        return rows

    def __getattr__(self, name: str) -> Any:
        # What only the whole space knows (parameters, macs, choices, decode, ...).
        if name.startswith("_") or name == "whole":
            raise AttributeError(name)
        return getattr(self.whole, name)
