"""The NAS-Bench-Graph search space (Qin et al., NeurIPS 2022, arXiv:2206.09166)."""

from __future__ import annotations

import ast
import re
from functools import cache
from itertools import permutations, product

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, shown, unknown
from weaknas.spaces._base import SearchSpace
from weaknas.spaces.graphs import GraphBatch
from weaknas.spaces.rows import Genotypes

#: For each of the nine patterns, where the four operations get their input: 0 is
#: the input of the network, 1 the first operation, and so on.
LINKS = (
    (0, 0, 0, 0),
    (0, 0, 0, 1),
    (0, 0, 1, 1),
    (0, 0, 1, 2),
    (0, 0, 1, 3),
    (0, 1, 1, 1),
    (0, 1, 1, 2),
    (0, 1, 2, 2),
    (0, 1, 2, 3),
)
OPERATIONS = ("gat", "gcn", "gin", "cheb", "sage", "arma", "graph", "fc", "skip")
_SKIP = OPERATIONS.index("skip")
_NODES = 4
_ORDERS = tuple(permutations(range(_NODES)))
# Each tree of the patterns, then the operations that nothing follows, which lead
# to the output.
_EDGES = np.zeros((len(LINKS), _NODES + 2, _NODES + 2), dtype=bool)
for _pattern, _parents in enumerate(LINKS):
    for _node, _parent in enumerate(_parents, start=1):
        _EDGES[_pattern, _parent, _node] = True
        _EDGES[_pattern, _node, _NODES + 1] = _node not in _parents

_FORM = re.compile(r"(?:Arch)?\s*\(\s*(\[[\d,\s]*\])\s*,\s*(\[[^\[\]]*\])\s*\)")


class GraphNetworks(SearchSpace):
    """Trees of four operations of graph networks; what nothing follows leads to the output.

    A genotype has five values: one of the nine patterns in `LINKS` and four
    indices into `OPERATIONS`. The 59,040 genotypes (those of ``skip`` alone are
    not in the space) are 26,206 architectures, those of the benchmark.

    The canonical form follows the benchmark. (1) A ``skip`` that something
    follows, that is the only operation on its input, or before which there is
    nothing but ``skip``, may stand anywhere: it is moved to the front, before all
    other operations. (2) Of the numberings of the same tree that give a pattern,
    the one with the smallest operations stands for all. Its number in base 10,
    pattern first, is the key of the official tables.
    """

    name = "graph"
    variables = ("links", "op1", "op2", "op3", "op4")
    cardinalities = np.array([len(LINKS)] + [len(OPERATIONS)] * _NODES)
    ordered = np.zeros(_NODES + 1, dtype=bool)
    choices = (tuple(map(str, LINKS)), *(OPERATIONS,) * _NODES)

    @property
    def value_names(self) -> list[list[str]]:
        """Values of each decision."""
        return [list(map(str, values)) for values in self.choices]

    @property
    def size(self) -> int:
        """Number of genotypes."""
        return int(len(LINKS) * (len(OPERATIONS) ** _NODES - 1))

    def contains(self, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
        """Tell which genotypes are in range and have an operation that is not ``skip``."""
        has_operation = (np.asarray(genotypes)[:, 1:] != _SKIP).any(axis=1)
        return np.asarray(super().contains(genotypes) & has_operation)

    def format(self, genotype: npt.NDArray[np.integer]) -> str:
        """Return the form of the benchmark, ``Arch([0, 1, 2, 1], ['gcn', 'gin', ...])``."""
        operations = [OPERATIONS[index] for index in genotype[1:]]
        return f"Arch({list(LINKS[int(genotype[0])])}, {operations})"

    def parse(self, text: str) -> Genotypes:
        """Read the form of `format`; any numbering of a tree that puts inputs first is read.

        Raises
        ------
        InputError
            When the form is wrong, an operation is unknown or all are ``skip``.
        """
        match = _FORM.fullmatch(text.strip())
        try:
            links, operations = (list(ast.literal_eval(part)) for part in match.groups())  # type: ignore[union-attr]
        except (AttributeError, SyntaxError, ValueError) as error:
            raise _malformed(text) from error
        for operation in operations:
            if operation not in OPERATIONS:
                raise unknown("operation", operation, OPERATIONS)
        earlier = all(0 <= source <= node for node, source in enumerate(links))
        if len(links) != _NODES or len(operations) != _NODES or not earlier:
            raise _malformed(text)
        if set(operations) == {"skip"}:
            raise InputError(f"an architecture of skip alone is not in the space: {text!r}")
        pattern, orders = _numberings(tuple(links))
        chosen = [OPERATIONS.index(operations[node]) for node in orders[0]]
        return np.array([pattern, *chosen], dtype=np.int16)

    def canonicalize(self, genotypes: npt.NDArray[np.integer]) -> Genotypes:
        """Move ``skip`` to the front and order what is alike; see the class."""
        rows = np.asarray(genotypes).astype(np.int64)
        patterns, orders = _lookup()
        masks = (rows[:, 1:] == _SKIP) @ (1 << np.arange(_NODES))
        candidates = rows[:, 1:][np.arange(len(rows))[:, None, None], orders[rows[:, 0], masks]]
        best = (candidates @ 10 ** np.arange(_NODES)[::-1]).argmin(axis=1)
        operations = candidates[np.arange(len(rows)), best]
        return np.column_stack([patterns[rows[:, 0], masks], operations]).astype(np.int16)

    def official_hashes(self, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """Return the key of each genotype, shape (n, 5), in the tables of the benchmark."""
        digits = self.canonicalize(genotypes).astype(np.int64)
        return np.asarray(digits @ 10 ** np.arange(_NODES + 1)[::-1])

    def enumerate(self) -> Genotypes:
        """Return every genotype, shape (59040, 5), in lexicographic order."""
        rows = np.stack(np.unravel_index(np.arange(self.cardinalities.prod()), self.cardinalities))
        genotypes = rows.T.astype(np.int16)
        return genotypes[self.contains(genotypes)]

    def sample(self, n: int, rng: np.random.Generator) -> Genotypes:
        """Draw n genotypes uniformly, with replacement; shape (n, 5)."""
        operations = rng.integers(len(OPERATIONS) ** _NODES - 1, size=n)  # the last is skip alone
        digits = np.unravel_index(operations, (len(OPERATIONS),) * _NODES)
        return np.column_stack([rng.integers(len(LINKS), size=n), *digits]).astype(np.int16)

    def mutate(self, genotypes: npt.NDArray[np.integer], rng: np.random.Generator) -> Genotypes:
        """Change the pattern or one operation, drawn uniformly, of each genotype."""
        rows = super().mutate(genotypes, rng)
        outside = ~self.contains(rows)
        while outside.any():
            rows[outside] = super().mutate(np.asarray(genotypes)[outside], rng)
            outside = ~self.contains(rows)
        return rows

    def crossover(
        self,
        first: npt.NDArray[np.integer],
        second: npt.NDArray[np.integer],
        rng: np.random.Generator,
    ) -> Genotypes:
        """Take each decision from either parent; a child of ``skip`` alone is the first parent."""
        children = super().crossover(first, second, rng)
        outside = ~self.contains(children)
        children[outside] = np.asarray(first)[outside]
        return children

    def graphs(self, genotypes: npt.NDArray[np.integer]) -> GraphBatch:
        """Return graphs of 6 nodes: input, the four operations of the canonical form, output."""
        rows = self.canonicalize(genotypes)
        operations = np.column_stack([np.zeros(len(rows)), rows[:, 1:] + 2, np.ones(len(rows))])
        return GraphBatch(
            _EDGES[rows[:, 0]], operations.astype(np.int16), ("input", "output", *OPERATIONS)
        )


def _malformed(text: str) -> InputError:
    return InputError(
        f"malformed architecture {shown(text)}; the form is Arch([0, 1, 2, 1], ['gcn', 'gin', 'fc',"
        " 'cheb']): the input of each of four operations, 0 the network's, 1 the first operation"
    )


@cache
def _lookup() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Pattern (9, 16) and orders of operations (9, 16, 24, 4) by pattern and set of skips.

    Where a tree has fewer than 24 numberings the first is repeated.
    """
    patterns = np.empty((len(LINKS), 2**_NODES), dtype=np.int64)
    orders = np.empty((len(LINKS), 2**_NODES, len(_ORDERS), _NODES), dtype=np.int64)
    for index, mask in product(range(len(LINKS)), range(2**_NODES)):
        skips = [bool(mask >> node & 1) for node in range(_NODES)]
        patterns[index, mask], found = _numberings(_move_skips(LINKS[index], skips))
        orders[index, mask] = found + [found[0]] * (len(_ORDERS) - len(found))
    return patterns, orders


def _move_skips(links: tuple[int, ...], skips: list[bool]) -> tuple[int, ...]:
    """Return the inputs of the four operations after free ones of skip have gone to the front."""
    parent = dict(enumerate(links, start=1))
    for node in [node for node in parent if skips[node - 1]]:
        before, line = parent[node], [node]
        while line[-1]:
            line.append(parent[line[-1]])
        followers = [other for other in parent if parent[other] == node]
        beside = [other for other in parent if other != node and parent[other] == before]
        if followers or not beside or all(skips[other - 1] for other in line[:-1]):
            parent |= dict.fromkeys(followers, before)
            parent |= {other: node for other in parent if parent[other] == 0}
            parent[node] = 0
    return tuple(parent[node] for node in range(1, _NODES + 1))


def _numberings(links: tuple[int, ...]) -> tuple[int, list[list[int]]]:
    """Pattern of a tree, and the orders of its operations that give the pattern."""
    for order in _ORDERS:
        pattern = _renumber(links, order)
        if pattern in LINKS:
            orders = [list(other) for other in _ORDERS if _renumber(links, other) == pattern]
            return LINKS.index(pattern), orders
    raise AssertionError(f"no pattern is a numbering of {links}")  # the nine are all trees


def _renumber(links: tuple[int, ...], order: tuple[int, ...]) -> tuple[int, ...]:
    names = {0: 0} | {node + 1: place for place, node in enumerate(order, start=1)}
    return tuple(names[links[node]] for node in order)
