"""The elastic supernet of once-for-all: every architecture is a part of its weights.

Cai et al., ICLR 2020 (arXiv:1908.09791), section 3.3. A smaller expansion takes the
leading channels of each tensor, a smaller depth the leading blocks of a unit,
and a smaller kernel the centre of the larger one times a learnt matrix. What an
architecture takes is said once (`ElasticBlock.weights`): running it inside the
supernet and cutting it out use the same tensors in the same modules.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from weaknas.spaces.mobilenetv3.network import ResidualBlock
from weaknas.spaces.mobilenetv3.skeleton import EXPANSIONS, KERNELS, Block, Skeleton

_NESTED = ("conv", "bn")
_NO_CHANNELS = ("_matrix", "num_batches_tracked", "fc.reduce.bias")
_KERNEL = "mobile_inverted_conv.depth_conv.conv.weight"
_SHRINKS = tuple(zip(KERNELS[:0:-1], KERNELS[-2::-1], strict=True))  # (7, 5), (5, 3)


class ElasticBlock(nn.Module):
    """The weights of all blocks at one place, and each of them as a module.

    Parameters
    ----------
    skeleton : Skeleton
    layer : int
        The place, 0 to 19.
    """

    def __init__(self, skeleton: Skeleton, layer: int) -> None:
        super().__init__()
        self.skeleton, self.layer = skeleton, layer
        largest = ResidualBlock(skeleton.block(layer, max(KERNELS), max(EXPANSIONS)))
        parts = largest.mobile_inverted_conv.named_children()
        self.mobile_inverted_conv = nn.ModuleDict({name: _nested(part) for name, part in parts})
        for larger, smaller in _SHRINKS:
            matrix = nn.Parameter(torch.eye(smaller**2))
            self._depthwise.register_parameter(f"{larger}to{smaller}_matrix", matrix)
        self.active = (max(KERNELS), max(EXPANSIONS))

    @property
    def block(self) -> Block:
        """The active block."""
        return self.skeleton.block(self.layer, *self.active)

    def forward(self, x: Tensor) -> Tensor:
        """Run the active block."""
        template = _template(self.block, self.training)
        made: Tensor = functional_call(template, self.weights(), (x,))
        return made

    def weights(self) -> dict[str, Tensor]:
        """Return what the active block takes, under the names of `ResidualBlock`; no copies."""
        block = self.block
        given = self.state_dict(keep_vars=True)
        taken = {}
        for name, shape in _shapes(block).items():
            tensor = given[_elastic_name(name)]
            if name == _KERNEL:
                tensor = self._kernel(tensor[: shape[0]], block.kernel)
            taken[name] = tensor[tuple(slice(length) for length in shape)]
        return taken

    @property
    def _depthwise(self) -> Any:
        return self.mobile_inverted_conv["depth_conv"]["conv"]  # type: ignore[index]

    def _kernel(self, weight: Tensor, size: int) -> Tensor:
        """Shrink depthwise kernels, shape (c, 1, 7, 7), to (c, 1, size, size)."""
        for larger, smaller in _SHRINKS:
            if larger <= size:
                break
            matrix = self._depthwise.get_parameter(f"{larger}to{smaller}_matrix")
            centre = weight[:, :, 1:-1, 1:-1].flatten(1)
            weight = functional.linear(centre, matrix).view(-1, 1, smaller, smaller)
        return weight

    def sort_channels(self, trained: Sequence[int]) -> None:
        """Put the channels that matter most first; see `Supernet.sort_channels`."""
        blocks = [self.skeleton.block(self.layer, max(KERNELS), e) for e in sorted(trained)]
        tensors = self.mobile_inverted_conv.state_dict()
        project = tensors["point_linear.conv.conv.weight"]
        order = _order(project, [block.channels_mid for block in blocks])
        for name, tensor in tensors.items():
            axis = _axis_of_channels(name)
            if axis is not None:
                tensor.copy_(tensor.index_select(axis, order))
        if blocks[0].squeeze:
            expand = tensors["depth_conv.se.fc.expand.weight"]
            order = _order(expand, [block.channels_squeezed for block in blocks])
            expand.copy_(expand[:, order])
            for kind in ("weight", "bias"):
                reduce = tensors[f"depth_conv.se.fc.reduce.{kind}"]
                reduce.copy_(reduce[order])


def _nested(part: nn.Module) -> nn.ModuleDict:
    """Put convolution and batch norm one level deeper, as once-for-all's elastic layers do."""
    return nn.ModuleDict(
        {
            name: nn.ModuleDict({name: child}) if name in _NESTED else child
            for name, child in part.named_children()
            if name != "act"
        }
    )


def _elastic_name(name: str) -> str:
    """Name in the supernet of what has a name in `ResidualBlock`."""
    head, part, layer, rest = name.split(".", 3)
    return ".".join([head, part, *([layer] if layer in _NESTED else []), layer, rest])


@cache
def _template(block: Block, training: bool) -> ResidualBlock:
    """Return a block without weights, to run with those it is given."""
    with torch.device("meta"):
        return ResidualBlock(block).train(training)


@cache
def _shapes(block: Block) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in _template(block, False).state_dict().items()}


def _axis_of_channels(name: str) -> int | None:
    """Which axis of a tensor the channels between expansion and projection are, if any."""
    if name in ("point_linear.conv.conv.weight", "depth_conv.se.fc.reduce.weight"):
        return 1
    if name.startswith("point_linear.") or name.endswith(_NO_CHANNELS):
        return None
    return 0


def _order(weight: Tensor, bounds: Sequence[int]) -> Tensor:
    """Order of the input channels by L1 norm, largest first, within each pair of bounds."""
    importance = weight.abs().sum(dim=(0, 2, 3))
    starts = [0, *bounds[:-1]]
    return torch.cat(
        [
            start + importance[start:end].sort(descending=True, stable=True).indices
            for start, end in zip(starts, bounds, strict=True)
        ]
    )
