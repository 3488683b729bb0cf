"""A part of a space: the architectures that a partial table holds."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError
from weaknas.spaces._base import CostFunction, SearchSpace, distinct
from weaknas.spaces.limits.part import PartOfSpace, checksum
from weaknas.spaces.rows import Genotypes


class SubsetSpace(PartOfSpace):
    """The given architectures of a space, with its structure.

    Sampling, moves and enumeration stay inside; encoders, graphs, string forms
    and ids are those of the whole space.

    Parameters
    ----------
    whole : SearchSpace
    genotypes : ndarray of int, shape (n, d), or sequence of Architecture or str
        The members. Isomorphic ones count once.
    costs : mapping of str to callable, optional
        What is known of the members beside what the space itself tells, from
        genotypes, shape (n, d), to numbers, shape (n,).
    """

    def __init__(
        self,
        whole: SearchSpace,
        genotypes: npt.NDArray[np.integer],
        costs: Mapping[str, CostFunction] | None = None,
    ) -> None:
        if len(genotypes) == 0:
            raise InputError(f"no architecture of the space {whole.name!r} was given")
        super().__init__(whole, costs)
        self._rows = distinct(whole, whole.genotypes(genotypes))
        self._row_codes = whole.fingerprint(self._rows)
        self._codes = np.sort(self._row_codes)

    @property
    def size(self) -> int:
        """Number of architectures."""
        return len(self._rows)

    @property
    def is_listable(self) -> bool:
        """Always true: the members are held."""
        return True

    def describe(self) -> dict[str, Any]:
        """Return the description of the whole space with size and checksums of this part."""
        members = {"subset": self.size, "members": checksum(self._codes)}
        return self._describe_whole(self._rows) | members

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

    def nearest(
        self, genotype: npt.NDArray[np.integer], other_than: Collection[int] = ()
    ) -> Genotypes:
        """Return the member that differs in the fewest decisions from a genotype.

        Parameters
        ----------
        genotype : ndarray of int, shape (d,)
            Of the whole space; its canonical form is compared.
        other_than : collection of int
            Fingerprints of members that are passed over, as long as there are others.

        Returns
        -------
        ndarray of int, shape (d,)
            Canonical; of equally near ones the first of `enumerate`.
        """
        row = self.canonicalize(np.asarray(genotype)[None])
        taken = np.fromiter(other_than, dtype=np.int64, count=len(other_than))
        distances = (self._rows != row).sum(axis=1) + np.isin(self._row_codes, taken) * row.size
        nearest: Genotypes = self._rows[np.argmin(distances)]
        return nearest

    def sample(self, n: int, rng: np.random.Generator) -> Genotypes:
        """Draw members uniformly, with replacement."""
        return self._rows[rng.integers(self.size, size=n)]
