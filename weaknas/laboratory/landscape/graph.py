"""The architectures of a listed space, isomorphic ones once, and who is next to whom."""

from __future__ import annotations

from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse import csgraph

from weaknas.errors import InputError
from weaknas.spaces import SearchSpace, distinct_with_fingerprints

Floats: TypeAlias = npt.NDArray[np.float64]
Indices: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]

_AT_ONCE = 4096  # genotypes whose neighbours are made together


class NeighborGraph:
    """A listed space as an undirected graph.

    Two architectures are neighbours if `SearchSpace.all_neighbors` names one of them for the
    other. It need not name both for each other: an edit that cuts off part of a cell cannot be
    undone by one edit of what is left.

    Parameters
    ----------
    space : SearchSpace
        Listed.

    Attributes
    ----------
    genotypes : ndarray of int, shape (n, d)
        Canonical, in ascending order of their fingerprints.
    fingerprints : ndarray of int64, shape (n,)
    multiplicity : ndarray of int64, shape (n,)
        How many genotypes of the space are each architecture.
    starts : ndarray of int64, shape (n + 1,)
    targets : ndarray of int64, shape (m,)
        Neighbours of architecture i are ``targets[starts[i]:starts[i + 1]]``, ascending.

    Raises
    ------
    InputError
        When the space is too large to list.
    """

    def __init__(self, space: SearchSpace) -> None:
        listed = space.enumerate()
        rows, codes = distinct_with_fingerprints(space, listed)
        order = np.argsort(codes)
        self.space = space
        self.genotypes, self.fingerprints = rows[order], codes[order]
        self.multiplicity = np.bincount(
            np.searchsorted(self.fingerprints, space.fingerprint(listed)), minlength=len(order)
        )
        matrix = self._link()
        self.starts = matrix.indptr.astype(np.int64)
        self.targets = matrix.indices.astype(np.int64)

    def _link(self) -> Any:
        """Return the adjacency as a sparse matrix, shape (n, n), rows sorted."""
        n = len(self.fingerprints)
        sources, targets = [], []
        for start in range(0, n, _AT_ONCE):
            near, owners = self.space.all_neighbors(self.genotypes[start : start + _AT_ONCE])
            sources.append(owners + start)
            targets.append(self.locate(near))
        pairs = (np.concatenate(sources), np.concatenate(targets))
        named = sparse.coo_matrix((np.ones(len(pairs[0]), dtype=np.int8), pairs), shape=(n, n))
        both = (named + named.T).tocsr()
        both.sort_indices()
        return both

    def __len__(self) -> int:
        return len(self.fingerprints)

    def locate(self, genotypes: npt.NDArray[np.integer]) -> Indices:
        """Return the place of each genotype, shape (n, d), among the architectures.

        Raises
        ------
        InputError
            When one is not in the space.
        """
        codes = self.space.fingerprint(np.asarray(genotypes))
        places = np.searchsorted(self.fingerprints, codes).clip(0, len(self) - 1)
        unknown = self.fingerprints[places] != codes
        if unknown.any():
            wrong = np.asarray(genotypes)[unknown][0].tolist()
            raise InputError(f"the genotype {wrong} is not in the space {self.space.name!r}")
        return np.asarray(places)

    @property
    def degrees(self) -> Indices:
        """Number of neighbours of each architecture, shape (n,)."""
        return np.asarray(np.diff(self.starts))

    @cached_property
    def sources(self) -> Indices:
        """Whose neighbour each of `targets` is, shape (m,)."""
        return np.asarray(np.repeat(np.arange(len(self)), self.degrees))

    @property
    def adjacency(self) -> Any:
        """The graph as a sparse matrix of ones, shape (n, n)."""
        ones = np.ones(len(self.targets))
        return sparse.csr_matrix((ones, self.targets, self.starts), shape=(len(self), len(self)))

    @cached_property
    def largest_component(self) -> Mask:
        """Which architectures are in the largest connected part, shape (n,)."""
        _, labels = csgraph.connected_components(self.adjacency, directed=False)
        return np.asarray(labels == np.bincount(labels).argmax())

    def distances(self, places: npt.NDArray[np.integer]) -> Indices:
        """Return the steps from each architecture to the nearest of some, breadth first.

        Parameters
        ----------
        places : ndarray of int, shape (k,)

        Returns
        -------
        ndarray of int64, shape (n,)
            -1 where none of them can be reached.
        """
        steps = np.full(len(self), -1)
        front = np.unique(places)
        steps[front] = 0
        far = 0
        while len(front):
            far += 1
            reached = np.zeros(len(self), dtype=bool)
            reached[self._targets_of(front)] = True
            front = np.flatnonzero(reached & (steps < 0))
            steps[front] = far
        return steps

    def _targets_of(self, places: Indices) -> Indices:
        counts = self.degrees[places]
        offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.asarray(self.targets[np.repeat(self.starts[places], counts) + offsets])

    def best_neighbors(self, scores: Floats) -> Indices:
        """Return the best of each architecture's neighbours (ties: the first), shape (n,).

        Itself where it has none.
        """
        best = np.arange(len(self))
        # Sorted by owner, then best first; of equal ones the first stays first.
        order = np.lexsort((-scores[self.targets], self.sources))
        has = self.degrees > 0
        best[has] = self.targets[order[self.starts[:-1][has]]]
        return best
