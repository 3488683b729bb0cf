"""Features that architectures of two spaces have in common."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from weaknas.encoders._base import Batch, Encoder, Features
from weaknas.encoders.graph_features import GraphFeaturesEncoder
from weaknas.encoders.operation_counts import OperationCountsEncoder
from weaknas.errors import InputError
from weaknas.spaces import GraphBatch, SearchSpace

_SKIP, _OTHER = "skip", "other"
_ENDS = 2  # the vocabulary of graphs begins with input and output
_LEAST_KINDS = 2  # of operations that both have: one alone tells them from nothing
_FARTHEST = 5.0  # standard deviations of a space


class SharedFeaturesEncoder(Encoder):
    """What another space can tell of its architectures, too, in units of each space.

    Of graphs: how often each kind of operation occurs that both spaces have, and the paths and
    degrees of `GraphFeaturesEncoder` with these kinds. Operations are of one kind where they
    are in all spaces of cells: convolutions by the size of their kernel, pooling, skip
    connections, which are taken for edges where the other space has none. Then the costs
    of the same name, and decisions of the same name by the values that both have. Each column
    has mean 0 and standard deviation 1 over a sample of its own space: cells of one may be
    larger, the order within each is what both have.

    Parameters
    ----------
    space : SearchSpace
    other : SearchSpace

    Raises
    ------
    InputError
        When the two have nothing in common.
    """

    def __init__(self, space: SearchSpace, other: SearchSpace) -> None:
        super().__init__(space)
        self.other = other
        self._kinds = _shared(_kinds_of(space), _kinds_of(other))
        self._has_kinds = len([kind for kind in self._kinds if kind != _OTHER]) >= _LEAST_KINDS
        is_quick = space.has_quick_costs and other.has_quick_costs
        self._costs = _shared(list(space.costs()), list(other.costs())) if is_quick else []
        self._values = _shared_values(space, other)
        if not (self._has_kinds or self._costs or self._values):
            raise InputError(
                f"the spaces {space.name!r} and {other.name!r} have nothing in common: no"
                " operations of graphs, no costs, no decisions of the same names and values"
            )

    def fit(self, genotypes: npt.NDArray[np.integer], y: Any = None) -> Self:
        """Take the units from a sample of the space, shape (n, d)."""
        raw = self._raw(Batch(self.space, genotypes))
        self._center, spread = raw.mean(axis=0), raw.std(axis=0)
        self._scale = np.divide(1.0, spread, where=spread > 0, out=np.zeros_like(spread))
        return super().fit(genotypes, y)

    def encode(self, batch: Batch) -> Features:
        """Encode a batch of this encoder's space, as `transform` does."""
        scaled = (self._raw(batch) - self._center) * self._scale
        return np.asarray(np.clip(scaled, -_FARTHEST, _FARTHEST), dtype=np.float32)

    @property
    def groups(self) -> list[slice]:
        """Counts of operations, paths and degrees, costs, decisions: those that there are."""
        ends = np.cumsum([0, *(width for width in self._widths if width)]).tolist()
        return [slice(start, end) for start, end in pairwise(ends)]

    def _raw(self, batch: Batch) -> Features:
        """Return the columns before they are scaled."""
        blocks: list[npt.NDArray[Any]] = []
        if self._has_kinds:
            translated = Batch(self.space, batch.canonical)
            translated.graphs = _translate(batch.graphs, self._kinds)
            blocks.append(OperationCountsEncoder(self.space).encode(translated)[:, _ENDS:])
            blocks.append(GraphFeaturesEncoder(self.space).encode(translated))
        if self._costs:
            costs = self.space.costs()
            values = np.stack([costs[name](batch.canonical) for name in self._costs], axis=1)
            blocks.append(np.sign(values) * np.log1p(np.abs(values)))
        for column, numbers in self._values:
            blocks.append(batch.canonical[:, [column]] == np.array(numbers))
        self._widths = [block.shape[1] for block in blocks]
        return np.hstack(blocks).astype(np.float64)


def kind_of(operation: str) -> str | None:
    """Return the kind of an operation of a graph by its name; None for what computes nothing.

    Examples
    --------
    >>> kind_of("normal/sep_conv_3x3"), kind_of("conv1x1-bn-relu"), kind_of("avg_pool_3x3")
    ('conv3x3', 'conv1x1', 'pool')
    >>> kind_of("skip_connect"), kind_of("normal/sum"), kind_of("tanh")
    ('skip', None, 'tanh')
    """
    name = operation.rpartition("/")[2].lower()
    if "conv" in name:
        sizes = re.findall(r"\d+", name) or ["1"]
        largest = max(map(int, sizes))
        return f"conv{largest}x{largest}"
    if "pool" in name:
        return "pool"
    if "skip" in name or name in ("identity", "id"):
        return _SKIP
    return None if re.fullmatch(r"input\d*|output|sum|add|concat", name) else name


def _kinds_of(space: SearchSpace) -> list[str]:
    """Return the kinds of the operations of a space; none without graphs."""
    if not space.has_graphs:
        return []
    one = space.canonicalize(space.sample(1, np.random.default_rng(0)))
    kinds = [kind_of(name) for name in space.graphs(one).vocabulary]
    return [kind for kind in dict.fromkeys(kinds) if kind is not None]


def _translate(graphs: GraphBatch, kinds: list[str]) -> GraphBatch:
    """Return graphs whose operations are of some kinds, or another one.

    What computes nothing is taken for an edge, as are skips where they are none of the kinds.
    """
    vocabulary = ("input", "output", *kinds, _OTHER)
    number = np.full(len(graphs.vocabulary) + 1, -1, dtype=np.int16)  # the last for -1
    number[:_ENDS] = range(_ENDS)
    for place, name in enumerate(graphs.vocabulary[_ENDS:], start=_ENDS):
        kind = kind_of(name)
        if kind in kinds:
            number[place] = vocabulary.index(kind)
        elif kind is not None and kind != _SKIP:
            number[place] = len(vocabulary) - 1
    operations = number[graphs.operations]
    adjacency = graphs.adjacency.copy()
    through = graphs.present & (operations < 0)
    for node in np.flatnonzero(through.any(axis=0)).tolist():
        rows = np.flatnonzero(through[:, node])
        edges = adjacency[rows]
        edges |= edges[:, :, [node]] & edges[:, [node], :]
        edges[:, node], edges[:, :, node] = False, False
        adjacency[rows] = edges
    return GraphBatch(adjacency, operations, vocabulary)


def _shared(first: list[str], second: list[str]) -> list[str]:
    """Return what is in both, in an order that does not depend on which is first."""
    return sorted(set(first) & set(second))


def _shared_values(space: SearchSpace, other: SearchSpace) -> list[tuple[int, list[int]]]:
    """Return the columns of decisions that both have, and the numbers of values that both have."""
    theirs = dict(zip(other.variables, other.value_names, strict=True))
    shared = []
    for name in sorted(set(space.variables) & set(theirs)):
        column = space.variables.index(name)
        names = space.value_names[column]
        both = _shared(names, theirs[name])
        if len(both) > 1:
            shared.append((column, [names.index(value) for value in both]))
    return shared
