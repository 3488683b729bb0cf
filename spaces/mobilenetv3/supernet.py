"""The whole supernet: which architecture is active, cutting it out, published weights."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from weaknas.spaces._base import SearchSpace
from weaknas.spaces.architecture import ArchitectureLike
from weaknas.spaces.files.checkpoints import load_weights, read_checkpoint
from weaknas.spaces.mobilenetv3.coding import decode
from weaknas.spaces.mobilenetv3.elastic import ElasticBlock
from weaknas.spaces.mobilenetv3.network import DROPOUT, Frame, Network, initialize
from weaknas.spaces.mobilenetv3.skeleton import EXPANSIONS, LAYERS, LAYERS_PER_UNIT, Skeleton
from weaknas.spaces.mobilenetv3.text import Choices

_SHORT = re.compile(r"^(blocks\.\d+)\.conv\.")


class Supernet(Frame):
    """OFA's elastic MobileNetV3 (Cai et al., ICLR 2020, arXiv:1908.09791).

    Its state dict has the names and shapes of the published
    ``ofa_mbv3_d234_e346_k357_w1.0`` and ``_w1.2``, for a space of that width.
    The largest architecture is active at first.

    Parameters
    ----------
    space : SearchSpace
        Gives architectures their meaning.
    resolutions : sequence of int
        Those of the space.
    skeleton : Skeleton
        What stands around the blocks.
    dropout : float
        Before the classifier.
    """

    def __init__(
        self,
        space: SearchSpace,
        resolutions: Sequence[int],
        skeleton: Skeleton,
        dropout: float = DROPOUT,
    ) -> None:
        super().__init__(skeleton, dropout)
        self.space, self.resolutions, self.dropout = space, resolutions, dropout
        self.blocks.extend(ElasticBlock(skeleton, layer) for layer in range(LAYERS))
        initialize(self)
        self.activate(self.space.cardinalities - 1)

    def activate(self, architecture: ArchitectureLike) -> None:
        """Let `forward` run this architecture.

        Raises
        ------
        InputError
            When it is none of the space.
        """
        choices = self._choices(architecture)
        self._active = [
            layer
            for layer in range(LAYERS)
            if layer % LAYERS_PER_UNIT < choices.depths[layer // LAYERS_PER_UNIT]
        ]
        for layer in self._active:
            self._elastic(layer).active = (choices.kernels[layer], choices.expansions[layer])

    def active_blocks(self) -> Iterable[nn.Module]:
        """Return the first block and those of the active architecture."""
        return [self.blocks[0], *map(self._elastic, self._active)]

    def input_size(self, architecture: ArchitectureLike) -> int:
        """Return the resolution of an architecture: height and width of its images."""
        resolution = self._choices(architecture).resolution
        assert resolution is not None
        return resolution

    def extract(self, architecture: ArchitectureLike) -> Network:
        """Return the architecture as a module of its own, with copies of its weights.

        Raises
        ------
        InputError
            When it is none of the space.
        """
        self.activate(architecture)
        blocks = [self._elastic(layer).block for layer in self._active]
        with torch.device("meta"):
            network = Network(self.skeleton, blocks, self.dropout)
        network.load_state_dict(self._weights(), assign=True)
        return network.train(self.training)

    def sort_channels(self, trained: Sequence[int] = EXPANSIONS[-1:]) -> None:
        """Put the channels between expansion and projection in order of importance.

        Importance is the L1 norm of what the projection gives a channel (section
        3.3). Architectures of the largest expansion give what they gave before.

        Parameters
        ----------
        trained : sequence of int
            Expansions that have been trained: channels keep to the side they are
            on of each, so that those architectures give what they gave before.
        """
        for layer in range(LAYERS):
            self._elastic(layer).sort_channels(sorted({*trained, max(EXPANSIONS)}))

    def load_checkpoint(self, path: str | Path) -> None:
        """Load weights, e.g. published ones, from a file of ``torch.save``.

        A state dict, or a mapping with one under ``state_dict``. Nothing in the
        file is run. Later versions of once-for-all call ``mobile_inverted_conv``
        ``conv``; both are read.

        Raises
        ------
        InputError
            When the file is missing or damaged, or of another network: the first
            entry that differs is named with its shape.
        """
        state = read_checkpoint(path)
        renamed = {_SHORT.sub(r"\1.mobile_inverted_conv.", name): t for name, t in state.items()}
        load_weights(self, renamed, path, f"the supernet of width {self.skeleton.width:g}")

    def _choices(self, architecture: ArchitectureLike) -> Choices:
        return decode(self.space.genotypes([architecture])[0], self.resolutions)

    def _elastic(self, layer: int) -> ElasticBlock:
        block: Any = self.blocks[1 + layer]
        return block

    def _weights(self) -> dict[str, torch.Tensor]:
        """Copy what the active architecture takes, under the names of `Network`."""
        state = {
            name: tensor
            for name, tensor in self.state_dict().items()
            if not name.startswith("blocks.") or name.startswith("blocks.0.")
        }
        for place, layer in enumerate(self._active, start=1):
            weights = self._elastic(layer).weights()
            state |= {f"blocks.{place}.{name}": tensor for name, tensor in weights.items()}
        return {name: tensor.detach().clone() for name, tensor in state.items()}
