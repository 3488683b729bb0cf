"""Path encoding: which operation sequences lead from the input to the output."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from weaknas.encoders._base import Features, GraphEncoder
from weaknas.errors import InputError
from weaknas.spaces import SearchSpace

_WIDEST = 20_000  # columns of the full encoding before it is refused


class PathEncoder(GraphEncoder):
    """One column a sequence of operations: 1 where a path from input to output spells it.

    The first and last vertex of a graph are its input and output. Sequences are
    ordered by length, then lexicographically (White et al., BANANAS, AAAI 2021,
    arXiv:1910.11858).

    Parameters
    ----------
    space : SearchSpace
    length : int, optional
        Keep only the `length` sequences that are most frequent among the
        architectures given to `fit` (ties: the shorter first). Default: all
        sequences the space can spell.

    Raises
    ------
    InputError
        When the full encoding would have more than 20,000 columns.
    """

    def __init__(self, space: SearchSpace, length: int | None = None) -> None:
        super().__init__(space)
        self.length = length
        if length is not None and length < 1:
            raise InputError(f"length must be at least 1, not {length}")

    def fit(self, genotypes: npt.NDArray[np.integer], y: Any = None) -> Self:
        """Choose the columns."""
        if self.length is None:
            probe = self.space.graphs(self.space.canonicalize(genotypes[:1]))
            inner = probe.operations.shape[1] - 2
            longest = _longest_path(self.space, inner)
            width = sum(self._base(probe.vocabulary) ** k for k in range(longest + 1))
            if width > _WIDEST:
                raise InputError(
                    f"the full path encoding of {self.space.name!r} has {width} columns;"
                    " give a length or use 'truncated-path'"
                )
            self.codes_ = np.arange(width)
        else:
            rows, codes = self._spell(self.space.canonicalize(genotypes))
            spelled, counts = np.unique(np.unique([rows, codes], axis=1)[1], return_counts=True)
            best = np.lexsort([spelled, -counts])[: self.length]
            self.codes_ = np.sort(spelled[best])
        return super().fit(genotypes, y)

    def _encode(self, canonical: npt.NDArray[np.int16]) -> Features:
        check_is_fitted(self)
        rows, codes = self._spell(canonical)
        known = np.isin(codes, self.codes_)
        column = np.searchsorted(self.codes_, codes)
        features = np.zeros((len(canonical), len(self.codes_)), dtype=np.float32)
        self._mark(features, rows[known], column[known])
        return features

    def _mark(
        self, features: Features, rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]
    ) -> None:
        features[rows, columns] = 1.0

    @staticmethod
    def _base(vocabulary: tuple[str, ...]) -> int:
        return len(vocabulary) - 2

    def _spell(
        self, canonical: npt.NDArray[np.int16]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Row and sequence number of every path of every graph, repeats included."""
        graphs = self.space.graphs(canonical)
        base = self._base(graphs.vocabulary)
        # Sequence numbers: the empty one 0, then all of length 1, of length 2, ...
        label = graphs.operations.astype(np.int64) - 2
        rows, codes = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
        reach = np.asarray(graphs.adjacency.any(axis=0))
        for path in _node_paths(reach):
            alive = np.ones(len(canonical), dtype=bool)
            code = np.zeros(len(canonical), dtype=np.int64)
            for source, target in pairwise(path):
                alive &= graphs.adjacency[:, source, target]
            for node in path[1:-1]:
                code = code * base + label[:, node] + 1
            hits = np.flatnonzero(alive)
            rows.append(hits)
            codes.append(code[hits])
        return np.concatenate(rows), np.concatenate(codes)


class TruncatedPathEncoder(PathEncoder):
    """The 40 most frequent columns of the path encoding.

    Parameters
    ----------
    space : SearchSpace
    length : int
        Number of columns.
    """

    def __init__(self, space: SearchSpace, length: int = 40) -> None:
        super().__init__(space, length)


class PathCountsEncoder(PathEncoder):
    """Path encoding by counts: the square root of the number of paths that spell a sequence.

    Distances between square roots of counts are Hellinger distances: architectures
    with very many paths do not outweigh all else.

    Parameters
    ----------
    space : SearchSpace
    length : int
        Number of columns: the sequences most frequent among the architectures
        given to `fit`.
    """

    def __init__(self, space: SearchSpace, length: int = 200) -> None:
        super().__init__(space, length)

    def _mark(
        self, features: Features, rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]
    ) -> None:
        np.add.at(features, (rows, columns), np.float32(1.0))
        np.sqrt(features, out=features)


def _node_paths(reach: npt.NDArray[np.bool_]) -> Iterator[tuple[int, ...]]:
    """All paths from the first to the last node over edges that some graph has."""
    last = len(reach) - 1
    pending: list[tuple[int, ...]] = [(0,)]
    while pending:
        path = pending.pop()
        if path[-1] == last:
            yield path
        else:
            pending.extend((*path, int(node)) for node in np.flatnonzero(reach[path[-1]]))


def _longest_path(space: SearchSpace, inner: int) -> int:
    """Most operations on one path, over a sample of the space; at most `inner`."""
    sample = space.sample(1000, np.random.default_rng(0))
    reach = np.asarray(space.graphs(sample).adjacency.any(axis=0))
    return min(inner, max((len(path) - 2 for path in _node_paths(reach)), default=0))
