"""Path encoding: which operation sequences lead from the input to the output."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import check_is_fitted

from weaknas.encoders._base import Features, GraphEncoder, chunks
from weaknas.errors import check_whole
from weaknas.spaces import GraphBatch, SearchSpace

Codes: TypeAlias = npt.NDArray[np.int64]

_WIDEST = 20_000  # columns of the full encoding up to which it is offered


class _SequenceEncoder(GraphEncoder):
    """One column a sequence of operations that leads from the input to the output.

    The first and last vertex of a graph are its input and output. Sequences have
    numbers: the empty one 0, then all of length 1 in lexicographic order, of length 2, ...
    """

    def __init__(self, space: SearchSpace, length: int | None) -> None:
        super().__init__(space)
        self.length = length
        if length is not None:
            check_whole("length", length)

    def fit(self, genotypes: npt.NDArray[np.integer], y: Any = None) -> Self:
        """Choose the columns: all, or those most frequent among the genotypes, shape (n, d)."""
        if self.length is None:
            self.codes_ = np.arange(_width(self.space))
        else:
            spelled, counts = self._count(genotypes)
            best = np.lexsort([spelled, -counts])[: self.length]
            self.codes_ = np.sort(spelled[best])
        return super().fit(genotypes, y)

    def _count(self, genotypes: npt.NDArray[np.integer]) -> tuple[Codes, Codes]:
        """Return the sequences there are, and how many of the genotypes have each."""
        found = [np.empty((2, 0), dtype=np.int64)]
        for batch in chunks(self.space, genotypes):
            rows, codes = _spell(batch.graphs)
            spelled, column = np.unique(codes, return_inverse=True)
            has = np.zeros((len(batch.graphs), len(spelled)), dtype=bool)
            has[rows, column] = True
            found.append(np.stack([spelled, has.sum(axis=0)]))
        codes, counts = np.concatenate(found, axis=1)
        spelled, column = np.unique(codes, return_inverse=True)
        totals = np.zeros(len(spelled), dtype=np.int64)
        np.add.at(totals, column, counts)
        return spelled, totals

    def _encode_graphs(self, graphs: GraphBatch) -> Features:
        check_is_fitted(self)
        rows, codes = _spell(graphs)
        known = np.isin(codes, self.codes_)
        column = np.searchsorted(self.codes_, codes[known])
        features = np.zeros((len(graphs), len(self.codes_)), dtype=np.float32)
        self._mark(features.reshape(-1), rows[known] * len(self.codes_) + column)
        return features

    @abstractmethod
    def _mark(self, features: Features, paths: Codes) -> None:
        """Write the flat features, all 0, given the flat index of every path, repeats included."""


class PathEncoder(_SequenceEncoder):
    """One column a sequence of operations: 1 where a path from input to output spells it.

    Sequences are ordered by length, then lexicographically (White et al., BANANAS,
    AAAI 2021, arXiv:1910.11858).

    Parameters
    ----------
    space : SearchSpace
    length : int, optional
        Keep only the `length` sequences that are most frequent among the
        architectures given to `fit` (ties: the shorter first). Default: all
        sequences the space can spell, at most 20,000.

    Raises
    ------
    InputError
        When the space can spell more sequences; see `TruncatedPathEncoder`.
    """

    needs = f"a space of graphs that spell at most {_WIDEST:,} sequences of operations"

    def __init__(self, space: SearchSpace, length: int | None = None) -> None:
        super().__init__(space, length)

    @classmethod
    def supports(cls, space: SearchSpace) -> bool:
        """Tell whether the space has graphs with few enough sequences."""
        return super().supports(space) and _width(space) <= _WIDEST

    def _mark(self, features: Features, paths: Codes) -> None:
        features[paths] = 1.0


class TruncatedPathEncoder(PathEncoder):
    """The 40 most frequent columns of the path encoding, of any space of graphs.

    Parameters
    ----------
    space : SearchSpace
    length : int
        Number of columns.
    """

    needs = GraphEncoder.needs

    def __init__(self, space: SearchSpace, length: int = 40) -> None:
        super().__init__(space, length)

    @classmethod
    def supports(cls, space: SearchSpace) -> bool:
        """Tell whether the space has graphs."""
        return space.has_graphs


class PathCountsEncoder(_SequenceEncoder):
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

    def _mark(self, features: Features, paths: Codes) -> None:
        np.add.at(features, paths, np.float32(1.0))
        np.sqrt(features, out=features)


def _spell(graphs: GraphBatch) -> tuple[Codes, Codes]:
    """Row and sequence number of every path of every graph, repeats included."""
    rows, codes = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for hits, code in _paths(graphs):
        rows.append(hits)
        codes.append(code)
    return np.concatenate(rows), np.concatenate(codes)


def _paths(graphs: GraphBatch) -> Iterator[tuple[Codes, Codes]]:
    """Yield for each way through the nodes the graphs that have it, and what they spell there."""
    last = graphs.operations.shape[1] - 1
    edges = np.ascontiguousarray(graphs.adjacency.transpose(1, 2, 0))
    digits = np.ascontiguousarray(graphs.operations.T, dtype=np.int64) - 1
    base = len(graphs.vocabulary) - 2
    everything = np.arange(len(graphs))
    pending = [(0, everything, np.zeros_like(everything))]
    while pending:
        node, rows, codes = pending.pop()
        for target in range(node + 1, last + 1):
            has = edges[node, target][rows]
            if target == last:
                yield rows[has], codes[has]
            elif has.any():
                hits = rows[has]
                pending.append((target, hits, codes[has] * base + digits[target][hits]))


def _width(space: SearchSpace) -> int:
    """Return the number of sequences up to the longest that the space can spell."""
    sample = space.sample(1000, np.random.default_rng(0))
    graphs = space.graphs(sample)
    edges = np.asarray(graphs.adjacency.any(axis=0))
    # Most operations on a way to each node over edges that some graph has.
    most = np.where(np.arange(len(edges)) == 0, -1, -np.inf)
    for node in range(1, len(edges)):
        most[node] = np.max(most[:node] + 1, where=edges[:node, node], initial=-np.inf)
    longest = max(int(most[-1]), 0) if np.isfinite(most[-1]) else 0
    return sum((len(graphs.vocabulary) - 2) ** k for k in range(longest + 1))
