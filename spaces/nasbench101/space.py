"""The NAS-Bench-101 search space (Ying et al., ICML 2019, arXiv:1902.09635)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError
from weaknas.spaces._base import distinct
from weaknas.spaces.cells.costs import Counts
from weaknas.spaces.cells.space import CellSpace
from weaknas.spaces.graphs import GraphBatch
from weaknas.spaces.nasbench101 import cells, counts, moves, strings
from weaknas.spaces.nasbench101.cells import EDGES, INNER, OPERATIONS, OUTPUT, VERTICES
from weaknas.spaces.nasbench101.enumeration import SIZE, load_codes
from weaknas.spaces.nasbench101.hashing import cell_hashes
from weaknas.spaces.nasbench101.skeleton import NASBench101Skeleton
from weaknas.spaces.rows import Fingerprints, Genotypes

if TYPE_CHECKING:
    from torch.nn import Module

_TRIES = 100


class NASBench101(CellSpace[NASBench101Skeleton]):
    """Cells of at most seven vertices and nine edges with one of three operations a vertex.

    A genotype has 26 values: the 21 entries above the diagonal of the 7 x 7
    adjacency matrix, row by row, then the operations of the vertices 1 to 5, each
    an index into `OPERATIONS`. Vertex 0 is the input, vertex 6 the output. An inner
    vertex of a smaller cell is ``absent``; edges from and to it mean nothing.

    A genotype is in the space when its input reaches its output and no more than
    nine edges are left once vertices and edges off every path from input to output
    are pruned. Its canonical form is the cell as the benchmark's own files have it:
    pruned, and of all orders of the vertices the one that the benchmark's generator
    meets first; absent vertices are the last ones before the output. There are
    423,624 canonical cells; `enumerate`, `sample` and all moves return them.

    The order matters in one place: where the channels of a cell do not divide
    evenly, the first vertices are one channel wider. `parameters` and `macs` are
    those of the canonical form, which is what was trained.
    """

    name = "nasbench101"
    skeleton = NASBench101Skeleton
    variables = (
        *(f"{target}<-{source}" for source, target in EDGES),
        *(f"operation{vertex}" for vertex in INNER),
    )
    cardinalities = np.array([2] * len(EDGES) + [len(OPERATIONS)] * len(INNER))
    ordered = np.zeros(len(EDGES) + len(INNER), dtype=bool)

    @property
    def size(self) -> int:
        """Number of cells, 423,624; isomorphic ones count once."""
        return SIZE

    @cached_property
    def architecture_fingerprints(self) -> Fingerprints:
        """Fingerprints of all cells in ascending order."""
        return load_codes()

    @property
    def value_names(self) -> list[list[str]]:
        """`no` and `yes` of each edge, operations of each vertex."""
        return [["no", "yes"]] * len(EDGES) + [list(OPERATIONS)] * len(INNER)

    # -- identity -------------------------------------------------------------------

    def contains(self, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
        """Tell which genotypes, shape (n, 26), are connected and have at most nine edges."""
        inside = super().contains(genotypes)
        edges = cells.count_edges(cells.prune(np.asarray(genotypes)[inside]))
        inside[inside] = (edges > 0) & (edges <= cells.MAX_EDGES)
        return inside

    def canonicalize(self, genotypes: npt.NDArray[np.integer]) -> Genotypes:
        """Prune and bring the vertices into the order of the benchmark's files.

        An unconnected cell becomes a row of zeros.
        """
        return cells.unpack(self.fingerprint(genotypes))

    def fingerprint(self, genotypes: npt.NDArray[np.integer]) -> Fingerprints:
        """Return one number below 2^31 a genotype, exactly equal for isomorphic cells."""
        return cells.canonical_codes(cells.prune(genotypes))

    def canonical_ids(self, genotypes: npt.NDArray[np.integer]) -> list[str]:
        """Return the official MD5 of each cell, by which the benchmark's files are keyed."""
        return cell_hashes(cells.prune(genotypes))

    # -- string forms -----------------------------------------------------------------

    def format(self, genotype: npt.NDArray[np.integer]) -> str:
        """Return the compact form, e.g. ``conv3x3:0+maxpool3x3:0,1+output:1,2``."""
        return strings.format_cell(genotype)

    def format_json(self, genotype: npt.NDArray[np.integer]) -> str:
        """Return JSON ``{"matrix": [[...]], "ops": [...]}`` with the official names."""
        return strings.format_json(genotype)

    def parse(self, text: str) -> Genotypes:
        """Read the compact form or JSON.

        Raises
        ------
        InputError
            When the form is wrong, or the cell is not connected or has too many edges.
        """
        row = strings.parse_cell(text)
        edges = int(cells.count_edges(cells.prune(row[None]))[0])
        if edges == 0:
            raise InputError(f"the input does not reach the output in {text!r}")
        if edges > cells.MAX_EDGES:
            raise InputError(
                f"{text!r} has {edges} edges after pruning; at most {cells.MAX_EDGES}"
                f" are in the space {self.name!r}"
            )
        return row

    # -- drawing and moving -----------------------------------------------------------

    def enumerate(self) -> Genotypes:
        """Return every cell once, shape (423624, 26), in the order of the fingerprints."""
        return cells.unpack(load_codes())

    def sample(self, n: int, rng: np.random.Generator) -> Genotypes:
        """Draw n cells uniformly from the 423,624, with replacement; shape (n, 26)."""
        return cells.unpack(load_codes()[rng.integers(SIZE, size=n)])

    def mutate(self, genotypes: npt.NDArray[np.integer], rng: np.random.Generator) -> Genotypes:
        """Mutate as the evolution that comes with the benchmark does, to another valid cell.

        Each edge flips with probability 1/7 and each operation changes with probability
        1/5, again until the cell is valid and not its parent; see `moves.mutated`.
        """
        parents = cells.prune(genotypes)
        return self._until_valid(lambda rows: moves.mutated(parents[rows], rng), parents, True)

    def crossover(
        self,
        first: npt.NDArray[np.integer],
        second: npt.NDArray[np.integer],
        rng: np.random.Generator,
    ) -> Genotypes:
        """Take each value of the canonical forms from either parent, until the cell is valid."""
        parents, others = self.canonicalize(first), self.canonicalize(second)

        def draw(rows: npt.NDArray[np.int64]) -> Genotypes:
            return super(NASBench101, self).crossover(parents[rows], others[rows], rng)

        return self._until_valid(draw, parents, False)

    def _until_valid(
        self,
        draw: Callable[[npt.NDArray[np.int64]], Genotypes],
        parents: Genotypes,
        differ: bool,
    ) -> Genotypes:
        """Draw each row anew until it is valid; one that never is remains its parent."""
        codes = self.fingerprint(parents)
        waiting = np.arange(len(parents))
        results = codes.copy()
        for _ in range(_TRIES):
            if len(waiting) == 0:
                break
            rows = draw(waiting)
            drawn = self.fingerprint(rows)
            valid = self.contains(rows)
            if differ:
                valid &= drawn != codes[waiting]
            results[waiting[valid]] = drawn[valid]
            waiting = waiting[~valid]
        return cells.unpack(results)

    def neighbors(self, genotype: npt.NDArray[np.integer]) -> Genotypes:
        """Return the cells one edit away, canonical, each once; shape (m, 26).

        An edit removes an edge, adds one, changes an operation, or adds a vertex with
        one edge in and one edge out. What an edit cuts off is pruned. Isomorphic
        genotypes have the same neighbours.
        """
        return self.all_neighbors(np.asarray(genotype)[None])[0]

    def all_neighbors(
        self, genotypes: npt.NDArray[np.integer]
    ) -> tuple[Genotypes, npt.NDArray[np.int64]]:
        """Return the neighbours of many cells at once, of each in the order of fingerprints.

        Parameters
        ----------
        genotypes : ndarray of int, shape (n, 26)

        Returns
        -------
        rows : ndarray of int16, shape (m, 26)
        owners : ndarray of int64, shape (m,)
            Index of the genotype that each is a neighbour of, ascending.
        """
        given = self.fingerprint(genotypes)
        codes, owners = moves.edited(cells.unpack(given))
        # A code has less than 32 bits: with its owner before it, one number tells both apart.
        pairs = np.unique((owners << 32 | codes)[codes != given[owners]])
        return cells.unpack(pairs & 0xFFFFFFFF), pairs >> 32

    # -- growing ----------------------------------------------------------------------

    @property
    def levels(self) -> int:
        """Number of inner vertices of the largest cells."""
        return len(INNER)

    def smallest(self) -> Genotypes:
        """Return the cell in which the input is the output, shape (1, 26)."""
        row = np.zeros((1, self.n_variables), dtype=np.int16)
        row[0, EDGES.index((0, OUTPUT))] = 1
        return row

    def extend(self, genotypes: npt.NDArray[np.integer], level: int) -> Genotypes:
        """Return the cells with one vertex more, right before the output, canonical, each once.

        See `moves.grown`; all cells of a level grow from those of the level before.
        """
        rows = [moves.grown(row) for row in self.canonicalize(genotypes)]
        grown = np.vstack([np.empty((0, self.n_variables), dtype=np.int16), *rows])
        return distinct(self, grown[self.contains(grown)])

    # -- graphs and the network -------------------------------------------------------

    def graphs(self, genotypes: npt.NDArray[np.integer]) -> GraphBatch:
        """Return graphs of 7 nodes: input, up to five operations, output.

        Canonical forms are drawn, so that isomorphic cells give equal graphs.
        """
        rows = self.canonicalize(genotypes)
        sources, targets = np.array(EDGES).T
        adjacency = np.zeros((len(rows), VERTICES, VERTICES), dtype=bool)
        adjacency[:, sources, targets] = rows[:, : len(EDGES)] > 0
        operations = np.zeros((len(rows), VERTICES), dtype=np.int16)
        operations[:, OUTPUT] = 1
        inner = rows[:, len(EDGES) :]
        operations[:, 1:OUTPUT] = np.where(inner > 0, inner + 1, -1)
        return GraphBatch(adjacency, operations, ("input", "output", *OPERATIONS[1:]))

    # -- the network ----------------------------------------------------------------

    def _parameters(
        self, genotypes: npt.NDArray[np.integer], skeleton: NASBench101Skeleton
    ) -> Counts:
        return counts.parameters(self.canonicalize(genotypes), skeleton)

    def _macs(self, genotypes: npt.NDArray[np.integer], skeleton: NASBench101Skeleton) -> Counts:
        return counts.macs(self.canonicalize(genotypes), skeleton)

    def _network(self, genotype: npt.NDArray[np.integer], skeleton: NASBench101Skeleton) -> Module:
        from weaknas.spaces.nasbench101.network import Network

        return Network(self.canonicalize(genotype[None])[0], skeleton)
