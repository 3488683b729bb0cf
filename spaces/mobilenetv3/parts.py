"""Single parts of a network as modules, to be measured."""

from __future__ import annotations

from torch import nn

from weaknas.errors import unknown
from weaknas.spaces.mobilenetv3.network import ResidualBlock, convolution
from weaknas.spaces.mobilenetv3.skeleton import Block, Part


def build_part(part: Part) -> nn.Module:
    """Return a part as a module that takes images, shape (n, channels_in, size_in, size_in).

    Raises
    ------
    InputError
        When a layer of this name is not known.
    """
    if isinstance(part, Block):
        return ResidualBlock(part)
    given, made = part.channels_in, part.channels_out
    if part.name == "pool":
        return nn.AdaptiveAvgPool2d(1)
    if part.name == "classifier":
        return nn.Sequential(nn.Flatten(), nn.Linear(given, made))
    if part.name in ("stem", "final_expand", "feature_mix"):
        stride = 2 if part.size_out < part.size_in else 1
        return convolution(given, made, part.kernel, stride, norm=part.norm, act=nn.Hardswish())
    raise unknown("part", part.name, ("stem", "final_expand", "pool", "feature_mix", "classifier"))
