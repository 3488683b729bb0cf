"""Networks and supernets of the space: what stands around the choices, by options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, unknown
from weaknas.spaces.mobilenetv3.network import DROPOUT, Network
from weaknas.spaces.mobilenetv3.skeleton import Skeleton, strides_for
from weaknas.spaces.mobilenetv3.supernet import Supernet

if TYPE_CHECKING:
    from weaknas.spaces.mobilenetv3.space import MobileNetV3

_OPTIONS = ("width", "strides", "dropout")


def build_network(
    space: MobileNetV3,
    genotype: npt.NDArray[np.integer],
    classes: int,
    shape: tuple[int, int, int],
    options: Mapping[str, Any],
) -> Network:
    """Return the network of a genotype, shape (d,); see `MobileNetV3.network`."""
    if shape[-1] not in space.resolutions:
        options = {"strides": strides_for(shape[-1]), **options}
    skeleton = _skeleton(space, classes, shape, options)
    choices = space.decode(genotype)
    layers = enumerate(zip(choices["ks"], choices["e"], strict=True))
    blocks = [skeleton.block(layer, k, e) for layer, (k, e) in layers if k]
    return Network(skeleton, blocks, options.get("dropout", DROPOUT))


def build_supernet(
    space: MobileNetV3, classes: int, shape: tuple[int, int, int], options: Mapping[str, Any]
) -> Supernet:
    """Return the supernet; see `MobileNetV3.supernet`."""
    skeleton = _skeleton(space, classes, shape, options)
    return Supernet(space, skeleton, options.get("dropout", DROPOUT))


def _skeleton(
    space: MobileNetV3, classes: int, shape: tuple[int, int, int], options: Mapping[str, Any]
) -> Skeleton:
    for name in options:
        if name not in _OPTIONS:
            raise unknown("setting of the skeleton", name, _OPTIONS)
    channels, height, width = shape
    if height != width or min(shape) < 1 or classes < 1:
        raise InputError(
            f"networks of {space.name!r} have one class or more and square images with a"
            f" shape (channels, size, size), not {classes} and {shape}"
        )
    return Skeleton(
        options.get("width", space.width),
        height,
        classes=classes,
        channels=channels,
        strides=options.get("strides", space.strides),
    )
