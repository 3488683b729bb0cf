"""Single-Path NAS: all blocks of a place in one superkernel, chosen by trained thresholds.

Stamoulis et al. (2019, arXiv:1904.02877), sections 3.1 to 3.3, over the skeleton of
MobileNetV3. A larger kernel or expansion is the smaller one and weights beside it, which
are used where their norm exceeds a threshold. Indicators are 0 or 1 forward and have the
gradient of a sigmoid, so that weights, thresholds and, through the latency of the blocks,
the architecture are learnt in one training.

Where this differs from the paper: a norm is taken relative to what it was at first, so that
one sigmoid suits layers of all widths; what an expansion leaves out is zero behind the batch
norm too, so that a chosen block computes what it computes alone; and latencies are
interpolated between all blocks that a place can have, where the paper scales two of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from weaknas.spaces.mobilenetv3.network import (
    DROPOUT,
    Frame,
    Network,
    ResidualBlock,
    initialize,
)
from weaknas.spaces.mobilenetv3.skeleton import (
    DEPTHS,
    LAYERS,
    LAYERS_PER_UNIT,
    Block,
    Part,
    Skeleton,
)
from weaknas.spaces.mobilenetv3.text import Choices

SMALL_KERNEL, LARGE_KERNEL = 3, 5
SMALL_EXPANSION, LARGE_EXPANSION = 3, 6
#: Indicators of a place; the first two are expansions of 3 at least, and of 6.
INDICATORS = ("half", "whole", "large", "squeeze")


class Choice(NamedTuple):
    """What is chosen at a place.

    Parameters
    ----------
    kernel : int
    expansion : int
        0 where the layer is left out.
    squeeze : bool
        Whether there is squeeze-and-excitation.
    """

    kernel: int
    expansion: int
    squeeze: bool


class SuperkernelBlock(nn.Module):
    """All blocks of a place; the indicators say which one computes.

    Parameters
    ----------
    skeleton : Skeleton
    layer : int
        The place, 0 to 19. The first two of a unit are always there.
    search_squeeze : bool
        Choose whether there is squeeze-and-excitation; else as the skeleton has it.
    """

    inner: Tensor
    first_norms: Tensor

    def __init__(self, skeleton: Skeleton, layer: int, search_squeeze: bool = False) -> None:
        super().__init__()
        block = skeleton.block(layer, LARGE_KERNEL, LARGE_EXPANSION)
        small = skeleton.block(layer, LARGE_KERNEL, SMALL_EXPANSION)
        self.skeleton, self.layer, self.search_squeeze = skeleton, layer, search_squeeze
        self.has_squeeze = block.squeeze or search_squeeze
        self.block = block._replace(squeeze=self.has_squeeze)
        self.can_skip = layer % LAYERS_PER_UNIT >= DEPTHS[0]
        self.leading, self.leading_squeezed = small.channels_mid, small.channels_squeezed
        # Named as in the network that is derived.
        self.mobile_inverted_conv: Any = ResidualBlock(self.block).mobile_inverted_conv
        self.thresholds = nn.Parameter(torch.zeros(len(INDICATORS)))
        border = (LARGE_KERNEL - SMALL_KERNEL) // 2
        inner = torch.zeros(LARGE_KERNEL, LARGE_KERNEL)
        inner[border:-border, border:-border] = 1
        self.register_buffer("inner", inner)
        self.register_buffer("first_norms", torch.ones(len(INDICATORS)))

    def remember_norms(self) -> None:
        """Take the norms as they are for the first ones."""
        self.first_norms.copy_(self._norms().detach())

    def _norms(self) -> Tensor:
        weight = self.mobile_inverted_conv.depth_conv.conv.weight
        squeeze = weight
        if self.has_squeeze:
            squeeze = self.mobile_inverted_conv.depth_conv.se.fc.expand.weight
        outer = weight * (1 - self.inner)
        parts = (weight[: self.leading], weight[self.leading :], outer, squeeze)
        return torch.stack([part.norm() for part in parts])

    def indicators(self) -> Tensor:
        """Return the indicators, each 0 or 1, shape (4,), with the gradient of a sigmoid."""
        margin = self._norms() / self.first_norms - self.thresholds
        soft = margin.sigmoid()
        made = (margin > 0).to(soft) + soft - soft.detach()
        fixed = [not self.can_skip, False, False, not self.search_squeeze]
        values = made.new_tensor([1.0, 1.0, 1.0, float(self.has_squeeze)])
        return torch.where(torch.tensor(fixed, device=made.device), values, made)

    def forward(self, x: Tensor, indicators: Tensor) -> Tensor:
        """Return the output of the block that the indicators, shape (4,), choose."""
        half, whole, large, squeeze = indicators
        parts = self.mobile_inverted_conv
        h = parts.inverted_bottleneck(x)
        kernel = parts.depth_conv.conv.weight
        kernel = kernel * (self.inner + (1 - self.inner) * large)
        h = functional.conv2d(
            h,
            kernel,
            stride=self.block.stride,
            padding=LARGE_KERNEL // 2,
            groups=self.block.channels_mid,
        )
        h = parts.depth_conv.act(parts.depth_conv.bn(h))
        h = h * self._mask(self.leading, self.block.channels_mid, whole).view(-1, 1, 1)
        if self.has_squeeze:
            h = h * (1 + squeeze * (self._gate(parts.depth_conv.se, h, whole) - 1))
        made: Tensor = parts.point_linear(h)
        return x + half * made if self.block.shortcut else made

    def _gate(self, se: Any, x: Tensor, whole: Tensor) -> Tensor:
        reduced = se.fc.relu(se.fc.reduce(x.mean((2, 3), keepdim=True)))
        mask = self._mask(self.leading_squeezed, self.block.channels_squeezed, whole)
        gate: Tensor = se.fc.h_sigmoid(se.fc.expand(reduced * mask.view(-1, 1, 1)))
        return gate

    def _mask(self, leading: int, count: int, whole: Tensor) -> Tensor:
        """Ones for the first half of the channels and the indicator for the rest."""
        first = torch.arange(count, device=whole.device) < leading
        return torch.where(first, torch.ones_like(whole), whole)

    def choice(self) -> Choice:
        """Return what the indicators choose."""
        half, whole, large, squeeze = (self.indicators() > 0.5).tolist()
        expansion = 0 if not half else LARGE_EXPANSION if whole else SMALL_EXPANSION
        return Choice(LARGE_KERNEL if large else SMALL_KERNEL, expansion, squeeze)

    def block_of(self, choice: Choice) -> Block:
        """Return the block that a choice other than none stands for."""
        block = self.skeleton.block(self.layer, choice.kernel, choice.expansion)
        return block._replace(squeeze=choice.squeeze)

    def weights(self, choice: Choice) -> dict[str, Tensor]:
        """Return copies of the weights of a choice, by their names in a `ResidualBlock`."""
        with torch.device("meta"):
            wanted = ResidualBlock(self.block_of(choice)).state_dict()
        parts = self.mobile_inverted_conv.state_dict()
        given = {f"mobile_inverted_conv.{name}": tensor for name, tensor in parts.items()}
        taken = {}
        for name, like in wanted.items():
            tensor = given[name]
            if name.endswith("depth_conv.conv.weight") and choice.kernel == SMALL_KERNEL:
                tensor = tensor[:, :, 1:-1, 1:-1]
            taken[name] = tensor[tuple(slice(size) for size in like.shape)].detach().clone()
        return taken

    def latencies(self, cost: Callable[[Part], float]) -> Tensor:
        """Return what each block costs, shape (2, 2, 2): expansion, kernel, squeeze.

        Where squeeze-and-excitation is not searched both are alike.
        """
        made = torch.empty(2, 2, 2)
        for whole, large, squeeze in product(range(2), repeat=3):
            has = bool(squeeze) if self.search_squeeze else self.has_squeeze
            expansion = LARGE_EXPANSION if whole else SMALL_EXPANSION
            choice = Choice(LARGE_KERNEL if large else SMALL_KERNEL, expansion, has)
            made[whole, large, squeeze] = cost(self.block_of(choice))
        return made


class SuperkernelNetwork(Frame):
    """A network whose architecture is learnt with its weights, for images and a device.

    The loss of a training is the cross-entropy and `penalty`.

    Parameters
    ----------
    skeleton : Skeleton
        What is trained.
    measured : Skeleton
        What latencies are of, perhaps wider and for larger images: the same places.
    cost : callable
        Latency of a part of the measured skeleton.
    weight : float
        Of the logarithm of the latency in the loss: the paper's lambda.
    warmup : int
        Steps in which the latency does not count and indicators are dropped at random.
    keep : float
        Probability, in these steps, that an indicator that is 1 stays.
    search_squeeze : bool
        See `SuperkernelBlock`.
    dropout : float
        Before the classifier.
    """

    tables: Tensor
    step: Tensor

    def __init__(
        self,
        skeleton: Skeleton,
        measured: Skeleton,
        cost: Callable[[Part], float],
        *,
        weight: float = 0.0,
        warmup: int = 0,
        keep: float = 0.6,
        search_squeeze: bool = False,
        dropout: float = DROPOUT,
    ) -> None:
        super().__init__(skeleton, dropout)
        self.weight, self.warmup, self.keep, self.dropout = weight, warmup, keep, dropout
        layers = [SuperkernelBlock(skeleton, layer, search_squeeze) for layer in range(LAYERS)]
        self.blocks.extend(layers)
        initialize(self)
        for layer in layers:
            layer.remember_norms()
        with torch.device("meta"):
            like = [SuperkernelBlock(measured, layer, search_squeeze) for layer in range(LAYERS)]
        with torch.device("cpu"):
            tables = torch.stack([block.latencies(cost) for block in like])
        self.register_buffer("tables", tables)
        self.fixed = math.fsum(map(cost, measured.fixed))
        self.register_buffer("step", torch.zeros(()))

    @property
    def layers(self) -> Sequence[SuperkernelBlock]:
        """The 20 places."""
        return [block for block in self.blocks if isinstance(block, SuperkernelBlock)]

    def indicators(self) -> Tensor:
        """Return the indicators of all places, shape (20, 4)."""
        return torch.stack([layer.indicators() for layer in self.layers])

    def latency(self) -> Tensor:
        """Return the latency of the architecture as it is, in the unit of the table.

        The sum of fixed parts and of blocks, each interpolated in its indicators; where
        these are 0 or 1 that is what the table says of the block.
        """
        half, whole, large, squeeze = self.indicators().unbind(1)
        parts = self.tables
        for indicator in (whole, large, squeeze):
            shape = (-1,) + (1,) * (parts.ndim - 2)
            parts = parts[:, 0] + indicator.view(shape) * (parts[:, 1] - parts[:, 0])
        return self.fixed + (half * parts).sum()

    def penalty(self) -> Tensor:
        """Return what is added to the loss: weight x log(latency), nothing in the warm-up."""
        counts = (self.step > self.warmup).to(self.tables)
        return self.weight * counts * self.latency().log()

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, shape (n, classes), of images, shape (n, channels, h, w)."""
        indicators = self.indicators()
        if self.training:
            self.step += 1
            kept = torch.rand(indicators.shape, device=indicators.device) < self.keep
            kept |= self.step > self.warmup
            # What is always there is not dropped.
            kept[:, 0] |= ~torch.tensor(
                [layer.can_skip for layer in self.layers], device=kept.device
            )
            kept[:, 3] |= ~torch.tensor(
                [layer.search_squeeze for layer in self.layers], device=kept.device
            )
            indicators = indicators * kept
        x = self.blocks[0](self.first_conv(images))
        for layer, values in zip(self.layers, indicators, strict=True):
            x = layer(x, values)
        x = self.final_expand_layer(x).mean((2, 3), keepdim=True)
        logits: Tensor = self.classifier(self.feature_mix_layer(x).flatten(1))
        return logits

    def derive(self) -> list[Choice]:
        """Return what is chosen at each place."""
        with torch.no_grad():
            return [layer.choice() for layer in self.layers]

    def extract(self) -> Network:
        """Return the derived architecture as a module of its own, with copies of its weights."""
        chosen = self.derive()
        there = [
            (layer, choice)
            for layer, choice in zip(self.layers, chosen, strict=True)
            if choice.expansion
        ]
        with torch.device("meta"):
            blocks = [layer.block_of(choice) for layer, choice in there]
            network = Network(self.skeleton, blocks, self.dropout)
        wanted = network.state_dict().keys()
        state = {
            name: tensor.detach().clone()
            for name, tensor in self.state_dict().items()
            if (name in wanted and not name.startswith("blocks.")) or name.startswith("blocks.0.")
        }
        for place, (layer, choice) in enumerate(there, start=1):
            state |= {f"blocks.{place}.{k}": v for k, v in layer.weights(choice).items()}
        network.load_state_dict(state, assign=True)
        return network.train(self.training)


def to_choices(chosen: Sequence[Choice], resolution: int) -> Choices:
    """Return the choices of the space that stand for those of 20 places.

    Of a unit the layers that are there move to the front: behind the first its places are
    alike.
    """
    kernels, expansions, depths = [], [], []
    for start in range(0, LAYERS, LAYERS_PER_UNIT):
        there = [choice for choice in chosen[start : start + LAYERS_PER_UNIT] if choice.expansion]
        absent = [0] * (LAYERS_PER_UNIT - len(there))
        kernels += [choice.kernel for choice in there] + absent
        expansions += [choice.expansion for choice in there] + absent
        depths.append(len(there))
    return Choices(tuple(kernels), tuple(expansions), tuple(depths), resolution)
