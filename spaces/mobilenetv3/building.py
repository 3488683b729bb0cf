"""Networks and supernets of the space: what stands around the choices, by options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from weaknas.errors import InputError, unknown
from weaknas.spaces._base import SearchSpace
from weaknas.spaces.mobilenetv3.latency import LatencyTable
from weaknas.spaces.mobilenetv3.network import DROPOUT, Network
from weaknas.spaces.mobilenetv3.skeleton import Skeleton
from weaknas.spaces.mobilenetv3.superkernel import SuperkernelNetwork
from weaknas.spaces.mobilenetv3.supernet import Supernet
from weaknas.spaces.mobilenetv3.text import Choices

_OPTIONS = ("width", "strides", "dropout")


def build_network(
    choices: Choices, classes: int, shape: tuple[int, ...], options: Mapping[str, Any]
) -> Network:
    """Return the network of an architecture; see `MobileNetV3.network`.

    Options are ``width``, ``strides`` and perhaps ``dropout``.
    """
    skeleton = _skeleton(classes, shape, options)
    layers = enumerate(zip(choices.kernels, choices.expansions, strict=True))
    blocks = [
        skeleton.block(layer, kernel, expansion) for layer, (kernel, expansion) in layers if kernel
    ]
    return Network(skeleton, blocks, options.get("dropout", DROPOUT))


def build_supernet(
    space: SearchSpace,
    resolutions: Sequence[int],
    classes: int,
    shape: tuple[int, ...],
    options: Mapping[str, Any],
) -> Supernet:
    """Return the supernet of a space with these resolutions; see `MobileNetV3.supernet`."""
    skeleton = _skeleton(classes, shape, options)
    return Supernet(space, resolutions, skeleton, options.get("dropout", DROPOUT))


def build_superkernel(
    measured: Skeleton,
    table: LatencyTable,
    classes: int,
    shape: tuple[int, ...],
    options: Mapping[str, Any],
    *,
    weight: float,
    warmup: int,
    search_squeeze: bool,
) -> SuperkernelNetwork:
    """Return superkernels with the latencies of a table; see `MobileNetV3.superkernel`."""
    return SuperkernelNetwork(
        _skeleton(classes, shape, options),
        measured,
        table.part_cost(measured),
        weight=weight,
        warmup=warmup,
        search_squeeze=search_squeeze,
        dropout=options.get("dropout", DROPOUT),
    )


def _skeleton(classes: int, shape: tuple[int, ...], options: Mapping[str, Any]) -> Skeleton:
    for name in options:
        if name not in _OPTIONS:
            raise unknown("setting of the skeleton", name, _OPTIONS)
    channels, height, width = shape
    if height != width or min(shape) < 1 or classes < 1:
        raise InputError(
            "networks of 'mobilenetv3' have one class or more and square images with a"
            f" shape (channels, size, size), not {classes} and {shape}"
        )
    return Skeleton(
        options["width"], height, classes=classes, channels=channels, strides=options["strides"]
    )
