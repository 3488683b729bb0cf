"""The recurrent cells of ENAS (Pham et al., ICML 2018) and DARTS (Liu et al., ICLR 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, check_whole, optional_import, unknown
from weaknas.spaces.cells.costs import Counts
from weaknas.spaces.graphs import GraphBatch
from weaknas.spaces.language import LanguageSkeleton, LanguageSpace
from weaknas.spaces.recurrent.cell import ACTIVATIONS, in_order, read_cell, split, write_cell
from weaknas.spaces.rows import Genotypes

if TYPE_CHECKING:
    from torch.nn import Module

    from weaknas.spaces.recurrent.mixed import MixedRecurrent
    from weaknas.spaces.recurrent.supernet import Supernet

OUTPUTS = ("all", "leaves")
_MOST_NODES = 30


class Recurrent(LanguageSpace[LanguageSkeleton]):
    """Cells of N nodes, each with one earlier node as predecessor and one of four activations.

    Node 0 is made of the input x and the state s of the token before by a highway
    connection, with tanh: [c, h] = [x, s] W, s_0 = s + sigmoid(c) (tanh(h) - s). Node l
    comes from node p < l alike, by a matrix of its own and its activation f: [c, h] = s_p W_l,
    s_l = s_p + sigmoid(c) (f(h) - s_p). The next state is the mean of the nodes 1 to N, as
    DARTS (arXiv:1806.09055, appendix A.1.2) and the released code of ENAS
    (google-research/enas_lm) have it, or of the leaves, those that no other node comes
    from, as the paper of ENAS has it (arXiv:1802.03268, section 2.1).

    A genotype has the activation of node 1, which comes from node 0, then predecessor and
    activation of each further node. Every node is used, by another or by the output, so that
    the canonical form drops none; it numbers nodes anew, for cells that differ in the
    numbers only are one: see `cell.in_order`. DARTS' operation ``none``, which it never
    derives, is left out.

    Parameters
    ----------
    nodes : int
        N; DARTS has 8, ENAS 8 to 12.
    output : {"all", "leaves"}
        Which nodes the next state is the mean of.

    Raises
    ------
    InputError
        When a value cannot be used.
    """

    name = "recurrent"
    skeleton = LanguageSkeleton

    def __init__(self, nodes: int = 8, output: str = "all") -> None:
        self.nodes = check_whole("nodes", nodes, 2, _MOST_NODES)
        if output not in OUTPUTS:
            raise unknown("output of a recurrent cell", output, OUTPUTS)
        self.output = output
        pairs = [(f"from{node}", f"act{node}") for node in range(2, self.nodes + 1)]
        self.variables = ("act1", *(name for pair in pairs for name in pair))
        counts = [(node, len(ACTIVATIONS)) for node in range(2, self.nodes + 1)]
        self.cardinalities = np.array([len(ACTIVATIONS), *np.ravel(counts)])
        self.ordered = np.zeros(len(self.variables), dtype=bool)
        self.choices = (ACTIVATIONS, *(x for node, _ in counts for x in (range(node), ACTIVATIONS)))

    @property
    def value_names(self) -> list[list[str]]:
        """Values of each decision."""
        return [list(map(str, values)) for values in self.choices]

    def describe(self) -> dict[str, Any]:
        """Return name, size and options as plain JSON types."""
        return super().describe() | {"nodes": self.nodes, "output": self.output}

    @property
    def shared_choices(self) -> list[npt.NDArray[np.int64]]:
        """Columns of the activations."""
        return [np.arange(0, self.n_variables, 2)]

    def format(self, genotype: npt.NDArray[np.integer]) -> str:
        """Return ``tanh~0+relu~1+...``: the activation of each node and its predecessor."""
        return write_cell(genotype)

    def parse(self, text: str) -> Genotypes:
        """Read the string form.

        Raises
        ------
        InputError
            When the form is wrong or an activation is unknown.
        """
        return read_cell(text, self.nodes)

    def canonicalize(self, genotypes: npt.NDArray[np.integer]) -> Genotypes:
        """Renumber the nodes, in an order that is the same for isomorphic cells."""
        return in_order(*split(genotypes)).astype(self.genotype_dtype)

    def graphs(self, genotypes: npt.NDArray[np.integer]) -> GraphBatch:
        """Return graphs of N + 2 nodes: the input, one a node with its activation, the output.

        Canonical forms are drawn, so that isomorphic cells give equal graphs.
        """
        predecessors, activations = split(self.canonicalize(genotypes))
        count, last = len(predecessors), self.nodes + 1
        operations = np.zeros((count, last + 1), dtype=np.int16)
        operations[:, 1:last], operations[:, last] = activations + 2, 1
        adjacency = np.zeros((count, last + 1, last + 1), dtype=bool)
        for node in range(1, last):
            adjacency[np.arange(count), predecessors[:, node - 1], node] = True
        goes_on = adjacency[:, 1:last].any(axis=2)
        adjacency[:, 1:last, last] = ~goes_on if self.output == "leaves" else True
        return GraphBatch(adjacency, operations, ("input", "output", *ACTIVATIONS))

    # -- the network ----------------------------------------------------------------

    def _parameters(self, genotypes: npt.NDArray[np.integer], skeleton: LanguageSkeleton) -> Counts:
        embedding = skeleton.classes * (skeleton.width + 1)
        return np.full(len(genotypes), self._matrices(skeleton) + embedding, dtype=np.int64)

    def _macs(self, genotypes: npt.NDArray[np.integer], skeleton: LanguageSkeleton) -> Counts:
        token = self._matrices(skeleton) + skeleton.classes * skeleton.width
        return np.full(len(genotypes), skeleton.length * token, dtype=np.int64)

    def _matrices(self, skeleton: LanguageSkeleton) -> int:
        """Numbers of the matrices of a cell: of input and state, and one a node."""
        return (2 + self.nodes) * 2 * skeleton.width**2

    def _network(self, genotype: npt.NDArray[np.integer], skeleton: LanguageSkeleton) -> Module:
        from weaknas.spaces.recurrent.network import Network

        return Network(genotype, skeleton, self.output)

    def supernet(
        self,
        *,
        classes: int | None = None,
        shape: tuple[int, ...] | None = None,
        **skeleton: Any,
    ) -> Supernet:
        """Return a network that shares weights among all cells, untrained.

        Parameters
        ----------
        classes, shape, **skeleton
            As for `network`.

        Raises
        ------
        InputError
            When a value cannot be used or torch is not installed.
        """
        settings = self.skeleton.read(classes, shape, skeleton)
        optional_import("torch", "train")
        from weaknas.spaces.recurrent.supernet import Supernet

        return Supernet(self, settings, self.nodes, self.output)

    def mixed_supernet(
        self,
        *,
        classes: int | None = None,
        shape: tuple[int, ...] | None = None,
        **skeleton: Any,
    ) -> MixedRecurrent:
        """Return a network of all cells at once, whose nodes are weighted sums, untrained.

        Parameters
        ----------
        classes, shape, **skeleton
            As for `network`.

        Raises
        ------
        InputError
            When a value cannot be used, the next state is that of leaves, which are none
            before inputs are chosen, or torch is not installed.
        """
        if self.output != "all":
            raise InputError(
                f"the space recurrent with output={self.output} has no sum of all cells, for which"
                " nodes are leaves is known in the end; with output=all it has"
            )
        settings = self.skeleton.read(classes, shape, skeleton)
        optional_import("torch", "train")
        from weaknas.spaces.recurrent.mixed import MixedRecurrent

        return MixedRecurrent(self, settings, self.nodes)
