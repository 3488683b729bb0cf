"""One architecture as a torch module: OFA's MobileNetV3, with the names of its state dicts.

The modules, their order and their names are those of once-for-all (Cai et al.,
ICLR 2020, arXiv:1908.09791): batch norms have an epsilon of 1e-5 and a momentum
of 0.1, padding is half the kernel, activations are ReLU or hard swish, and
squeeze-and-excitation, by four and with a hard sigmoid, follows the activation
of the depthwise convolution.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from weaknas.spaces.cells.layers import drop_path
from weaknas.spaces.mobilenetv3.skeleton import Block, Skeleton

DROPOUT = 0.1


class SqueezeExcite(nn.Module):
    """Scale channels by what all positions say together (Hu et al., 2018).

    Parameters
    ----------
    channels, squeezed : int
        Channels of the input, and between the two layers.
    """

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        parts = {
            "reduce": nn.Conv2d(channels, squeezed, 1),
            "relu": nn.ReLU(inplace=True),
            "expand": nn.Conv2d(squeezed, channels, 1),
            "h_sigmoid": nn.Hardsigmoid(inplace=True),
        }
        self.fc = nn.Sequential(OrderedDict(parts))

    def forward(self, x: Tensor) -> Tensor:
        """Return the scaled input, shape (n, channels, h, w)."""
        return x * self.fc(x.mean((2, 3), keepdim=True))


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise convolution, squeeze-and-excitation, 1x1 projection.

    Parameters
    ----------
    block : Block
    """

    def __init__(self, block: Block) -> None:
        super().__init__()
        mid, hard = block.channels_mid, block.hard_swish
        if block.expansion > 1:
            self.inverted_bottleneck = convolution(block.channels_in, mid, 1, act=_act(hard))
        else:
            self.inverted_bottleneck = nn.Sequential()
        self.depth_conv = convolution(
            mid, mid, block.kernel, block.stride, groups=mid, act=_act(hard)
        )
        if block.squeeze:
            self.depth_conv.add_module("se", SqueezeExcite(mid, block.channels_squeezed))
        self.point_linear = convolution(mid, block.channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the block without its shortcut."""
        return self.point_linear(self.depth_conv(self.inverted_bottleneck(x)))


class ResidualBlock(nn.Module):
    """An inverted residual block and perhaps its shortcut.

    Parameters
    ----------
    block : Block

    Attributes
    ----------
    drop_path : float
        Probability that what is added to the shortcut is left out while training.
    """

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.block, self.drop_path = block, 0.0
        self.mobile_inverted_conv = InvertedResidual(block)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the block, shape (n, channels_out, h, w)."""
        made = self.mobile_inverted_conv(x)
        if not self.block.shortcut:
            return made
        if self.training and self.drop_path > 0:
            made = drop_path(made, self.drop_path)
        return x + made


class Classifier(nn.Module):
    """Dropout and a linear layer.

    Parameters
    ----------
    channels, classes : int
    dropout : float
        Share of the values that is dropped while training.
    """

    def __init__(self, channels: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, shape (n, classes), of features, shape (n, channels)."""
        return self.linear(self.dropout(x))


class Frame(nn.Module):
    """What all architectures have: stem, first block and head, without the blocks between.

    Parameters
    ----------
    skeleton : Skeleton
    dropout : float
        Before the classifier.
    """

    def __init__(self, skeleton: Skeleton, dropout: float) -> None:
        super().__init__()
        self.skeleton = skeleton
        stem, _, final, _, mix, linear = skeleton.fixed
        self.first_conv = convolution(
            stem.channels_in, stem.channels_out, 3, skeleton.strides[0], act=nn.Hardswish()
        )
        self.blocks = nn.ModuleList([ResidualBlock(skeleton.first_block)])
        self.final_expand_layer = convolution(
            final.channels_in, final.channels_out, 1, act=nn.Hardswish()
        )
        self.feature_mix_layer = convolution(
            mix.channels_in, mix.channels_out, 1, norm=False, act=nn.Hardswish()
        )
        self.classifier = Classifier(linear.channels_in, linear.channels_out, dropout)

    def active_blocks(self) -> Iterable[nn.Module]:
        """Return the blocks that images go through, in order."""
        return self.blocks

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, shape (n, classes), of images, shape (n, channels, h, w)."""
        x = self.first_conv(images)
        for block in self.active_blocks():
            x = block(x)
        x = self.final_expand_layer(x).mean((2, 3), keepdim=True)
        logits: Tensor = self.classifier(self.feature_mix_layer(x).flatten(1))
        return logits


class Network(Frame):
    """A MobileNetV3 of given blocks.

    Weights are drawn from torch's global generator as once-for-all draws them
    (He, by fan-out); ``torch.manual_seed`` before makes them repeatable.

    Parameters
    ----------
    skeleton : Skeleton
        What stands around the blocks.
    blocks : sequence of Block
        Those of the five units, in order.
    dropout : float
        Before the classifier.
    """

    def __init__(
        self, skeleton: Skeleton, blocks: Sequence[Block], dropout: float = DROPOUT
    ) -> None:
        super().__init__(skeleton, dropout)
        self.blocks.extend(ResidualBlock(block) for block in blocks)
        initialize(self)


def initialize(network: nn.Module) -> None:
    """Draw weights: convolutions by He's rule with the fan-out, linear layers uniformly."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear):
            bound = 1.0 / math.sqrt(module.in_features)
            nn.init.uniform_(module.weight, -bound, bound)
            nn.init.zeros_(module.bias)


def convolution(
    channels_in: int,
    channels_out: int,
    kernel: int,
    stride: int = 1,
    *,
    groups: int = 1,
    norm: bool = True,
    act: nn.Module | None = None,
) -> nn.Sequential:
    """Convolution without bias, batch norm and activation, named as once-for-all does."""
    parts: dict[str, nn.Module] = {
        "conv": nn.Conv2d(
            channels_in, channels_out, kernel, stride, kernel // 2, groups=groups, bias=False
        )
    }
    if norm:
        parts["bn"] = nn.BatchNorm2d(channels_out)
    if act is not None:
        parts["act"] = act
    return nn.Sequential(OrderedDict(parts))


def _act(hard_swish: bool) -> nn.Module:
    return nn.Hardswish() if hard_swish else nn.ReLU(inplace=True)
