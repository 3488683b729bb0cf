"""Cells whose edges are weighted sums of operations (torch).

Liu, Simonyan and Yang, "DARTS", ICLR 2019 (arXiv:1806.09055, section 2.2).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from weaknas.spaces._base import SearchSpace
from weaknas.spaces.architecture import ArchitectureLike
from weaknas.spaces.cells.layers import Zero
from weaknas.spaces.files.checkpoints import load_weights, read_checkpoint
from weaknas.spaces.rows import Genotypes

Mask = npt.NDArray[np.bool_]


class MixedEdge(nn.ModuleList):
    """All operations between two nodes, each times its weight.

    Parameters
    ----------
    operations : iterable of Module
    number : int
        Of the edge among those of all kinds of cells.

    Attributes
    ----------
    kept : list of int
        Operations that are computed; those that are zeros never are.
    weights : Tensor, shape (operations,), or None
        Set by the supernet while it runs.
    dropout : float
        Probability that a value behind an identity is blanked while training (Chen et
        al., "P-DARTS", ICCV 2019, arXiv:1904.12760, section 3.3).
    """

    def __init__(self, operations: Iterable[nn.Module], number: int) -> None:
        super().__init__(operations)
        self.number = number
        self.weights: Tensor | None = None
        self.dropout = 0.0
        self.keep(np.ones(len(self), dtype=bool))

    def keep(self, allowed: npt.NDArray[np.bool_]) -> None:
        """Compute these operations only; shape (operations,)."""
        self.kept = [k for k in np.flatnonzero(allowed).tolist() if not isinstance(self[k], Zero)]

    def forward(self, x: Tensor) -> Tensor:
        """Return the weighted sum; zeros of the shape of the input where nothing is kept."""
        assert self.weights is not None
        terms = [self.weights[k] * self._value(self[k], x) for k in self.kept]
        return reduce(torch.add, terms) if terms else x * 0

    def _value(self, operation: nn.Module, x: Tensor) -> Tensor:
        value: Tensor = operation(x)
        if self.dropout and isinstance(operation, nn.Identity):
            return nn.functional.dropout(value, self.dropout, self.training)
        return value


class MixedSupernet(nn.Module):
    """The cells of a space with weighted sums of operations on their edges.

    Batch norms of operations have no scale and shift, which would undo the weights, and all
    normalise by the batch, in evaluation too: with other weights other statistics hold.

    Parameters
    ----------
    space : SearchSpace
        Gives architectures their meaning.
    network : Module
        Maps images to logits by way of `MixedEdge`.
    operations : sequence of str
        Of each edge.
    kinds : mapping of str to range
        The edges of each kind of cell, the first kind being the one that is not a reduction.
    nodes : sequence of sequence of int
        Of each node that chooses inputs, the edges into it; none where all edges stay.
    choosable : sequence of bool
        Whether an architecture can have each operation.
    inputs : int
        That each of these nodes keeps.

    Attributes
    ----------
    alpha : Parameter, shape (edges, operations)
        The logarithms of the weights, but for a constant an edge.
    allowed : Tensor of bool, shape (edges, operations)
        Operations that take part; an edge without any is absent.
    """

    alpha: nn.Parameter
    allowed: Tensor

    def __init__(
        self,
        space: SearchSpace,
        network: nn.Module,
        operations: Sequence[str],
        *,
        kinds: Mapping[str, range],
        nodes: Sequence[Sequence[int]],
        choosable: Sequence[bool],
        inputs: int = 2,
    ) -> None:
        super().__init__()
        self.space, self.network = space, network
        self.operations, self.kinds = tuple(operations), dict(kinds)
        self.nodes, self.inputs = [list(node) for node in nodes], inputs
        self.choosable = np.array(choosable)
        self._edges = [module for module in network.modules() if isinstance(module, MixedEdge)]
        count = sum(map(len, self.kinds.values()))
        self.alpha = nn.Parameter(1e-3 * torch.randn(count, len(operations)))
        self.register_buffer("allowed", torch.ones(count, len(operations), dtype=torch.bool))
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                _use_batches(module)
        for edge in self._edges:
            drop_scales(edge)
        self.register_load_state_dict_post_hook(lambda module, _: module._keep())

    def forward(self, images: Tensor, weights: Tensor | None = None) -> Tensor:
        """Return the logits, shape (n, classes), or of tokens (n, classes, length).

        Parameters
        ----------
        images : Tensor, shape (n, channels, height, width)
            Or tokens, shape (n, length).
        weights : Tensor, shape (edges, operations), optional
            Of the operations; default: `mixing`.
        """
        self._give(self.mixing() if weights is None else weights)
        logits: Tensor = self.network(images)
        self._give(None)
        return logits

    def _give(self, weights: Tensor | None) -> None:
        """Let edges weigh so, shape (edges, operations), or forget what they weighed."""
        for edge in self._edges:
            edge.weights = None if weights is None else weights[edge.number]

    def mixing(self) -> Tensor:
        """Return the weights, shape (edges, operations): a softmax over what is allowed."""
        weights = self.alpha.softmax(1) * self.allowed
        least = torch.finfo(weights.dtype).tiny  # absent edges have no sum
        return weights / weights.sum(1, keepdim=True).clamp_min(least)

    def weights(self) -> npt.NDArray[np.float64]:
        """Return `mixing` as numbers, shape (edges, operations)."""
        return np.asarray(self.mixing().detach().double().cpu().numpy())

    def mask(self) -> Mask:
        """Return `allowed` as an array of its own, shape (edges, operations)."""
        return np.array(self.allowed.cpu().numpy())

    def restrict(self, allowed: Mask) -> None:
        """Let these operations take part only, shape (edges, operations)."""
        self.allowed.copy_(torch.from_numpy(allowed))
        self._keep()

    def drop_skips(self, probability: float) -> None:
        """Set the dropout behind identities."""
        for edge in self._edges:
            edge.dropout = probability

    def _keep(self) -> None:
        allowed = self.mask()
        for edge in self._edges:
            edge.keep(allowed[edge.number])

    def load_checkpoint(self, path: str | Path) -> None:
        """Load weights from a file of ``torch.save``; nothing in it is run.

        Raises
        ------
        InputError
            When the file is missing or damaged, or of another network: the first
            entry that differs is named with its shape.
        """
        load_weights(self, read_checkpoint(path), path, f"the mixed supernet of {self.space.name}")

    def extract(self, architecture: ArchitectureLike) -> nn.Module:
        """Return the architecture as the space's own network, with copies of its weights.

        Its batch norms are as if untrained, where those here have no scale and shift.

        Raises
        ------
        InputError
            When it is none of the space.
        """
        genotype = self.space.genotypes([architecture])[0]
        made = self._own_network(genotype)
        shared = self.network.state_dict()
        state = {
            name: shared.get(self._shared_name(name, genotype), weight).clone()
            for name, weight in made.state_dict().items()
        }
        made.load_state_dict(state)
        return made.to(self.alpha.device).train(self.training)

    def input_size(self, architecture: ArchitectureLike) -> None:
        """Return None: images are as large as the data set has them."""

    @abstractmethod
    def genotype(self, chosen: Mask) -> Genotypes:
        """Return the architecture, shape (d,), whose operations are these, a row an edge."""

    @abstractmethod
    def chosen(self, genotype: npt.NDArray[np.integer]) -> Mask:
        """Return the operations of an architecture, shape (edges, operations)."""

    @abstractmethod
    def _own_network(self, genotype: npt.NDArray[np.integer]) -> nn.Module: ...

    @abstractmethod
    def _shared_name(self, name: str, genotype: npt.NDArray[np.integer]) -> str:
        """Name in the mixed network of a weight of the architecture's own."""


def _use_batches(norm: nn.BatchNorm2d) -> None:
    norm.track_running_stats = False
    norm.running_mean = norm.running_var = norm.num_batches_tracked = None


def drop_scales(module: nn.Module) -> None:
    """Take scale and shift from all batch norms in a module."""
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.affine = False
            norm.register_parameter("weight", None)
            norm.register_parameter("bias", None)
