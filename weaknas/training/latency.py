"""Measuring networks and their blocks on this device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, check_whole, optional_import
from weaknas.spaces import SearchSpace
from weaknas.spaces.limits.part import whole_of
from weaknas.spaces.mobilenetv3.latency import LatencyTable, required_parts
from weaknas.spaces.mobilenetv3.skeleton import Skeleton

Floats: TypeAlias = npt.NDArray[np.float64]
Progress = Callable[[int, int], None]
_MILLISECONDS = 1000.0


def measure_table(
    space: SearchSpace,
    *,
    device: str | None = None,
    batch_size: int = 1,
    rounds: int = 3,
    repeats: int = 20,
    threads: int | None = None,
    name: str = "measured",
    progress: Progress | None = None,
) -> LatencyTable:
    """Measure every block that an architecture of a space can have.

    Each block is timed by itself, in each of several rounds over all of them, so that
    a disturbance does not hit the same block every time; the least median counts.

    Parameters
    ----------
    space : MobileNetV3
        Of the width and resolutions that are measured.
    device : str, optional
        Default: the fastest there is.
    batch_size : int
        Images at a time.
    rounds, repeats : int
        How often each block is timed in how many rounds.
    threads : int, optional
        Of the CPU; default: as torch is set.
    name : str
        Of the table.
    progress : callable, optional
        Is given how many of how many measurements are done.

    Returns
    -------
    LatencyTable
        In milliseconds a batch.

    Raises
    ------
    InputError
        When the space is not made of such blocks, a number is not positive, or there is
        no such device.
    """
    for what, value in (("batch_size", batch_size), ("rounds", rounds), ("repeats", repeats)):
        check_whole(what, value)
    skeletons: list[Skeleton] | None = getattr(space, "skeletons", None)
    if skeletons is None:
        raise InputError(
            f"the space {space.name!r} has no table of blocks to measure (allowed: mobilenetv3)"
        )
    optional_import("torch", "train")
    from weaknas.spaces.mobilenetv3.parts import build_part
    from weaknas.training.devices import arithmetic, choose_device, own_randomness
    from weaknas.training.measure import latency

    place = choose_device(device)
    wanted = [
        (skeleton.resolution, key, part)
        for skeleton in skeletons
        for key, part in required_parts(skeleton).items()
    ]
    times: dict[tuple[int, str], list[float]] = {}
    with arithmetic(False, threads), own_randomness(place):
        for done in range(rounds * len(wanted)):
            resolution, key, part = wanted[done % len(wanted)]
            shape = (part.channels_in, part.size_in, part.size_in)
            seconds = latency(
                build_part(part).to(place), shape, place, batch_size=batch_size, repeats=repeats
            )
            times.setdefault((resolution, key), []).append(seconds * _MILLISECONDS)
            if progress is not None:
                progress(done + 1, rounds * len(wanted))
    blocks: dict[int | None, dict[str, float]] = {s.resolution: {} for s in skeletons}
    for (resolution, key), values in times.items():
        blocks[resolution][key] = min(values)
    return LatencyTable(blocks, "phone", name)


@runtime_checkable
class KnowsImages(Protocol):
    """A space that knows the images its networks are for."""

    @property
    def classes(self) -> int:
        """Number of classes."""

    @property
    def channels(self) -> int:
        """Of an image."""

    def decode(self, architecture: Any, /) -> Mapping[str, Any]:
        """Return the choices of an architecture; ``r`` is the list of its resolution."""


@dataclass(frozen=True)
class Timings:
    """What was measured of networks, in milliseconds a batch.

    Parameters
    ----------
    medians : ndarray, shape (n,)
        Of each network the least median over rounds.
    spreads : ndarray, shape (n,)
        Half of what the middle two thirds of all repeats of it span.
    """

    medians: Floats
    spreads: Floats


def measure_networks(
    space: SearchSpace,
    genotypes: npt.NDArray[np.integer],
    *,
    device: str | None = None,
    batch_size: int = 1,
    rounds: int = 3,
    repeats: int = 20,
    threads: int | None = None,
    classes: int = 10,
    shape: tuple[int, ...] = (3, 32, 32),
    keep: Callable[[Timings], None] | None = None,
) -> Timings:
    """Measure whole networks on this device, each in several rounds over all of them.

    Parameters
    ----------
    space : SearchSpace
        With networks. Where it knows the images they are for, those are taken.
    genotypes : ndarray of int, shape (n, d)
    device, batch_size, rounds, repeats, threads
        See `measure_table`.
    classes : int
    shape : tuple of int
        Channels, height and width of an image.
    keep : callable, optional
        Is given what is measured so far after each round, so that nothing is lost.

    Raises
    ------
    InputError
        When the space has no networks, a number is not positive, or there is no such device.
    """
    for what, value in (("batch_size", batch_size), ("rounds", rounds), ("repeats", repeats)):
        check_whole(what, value)
    if not space.has_networks:
        raise InputError(
            f"the space {space.name!r} has no networks to measure; its architectures can be"
            " measured elsewhere, and a model learnt from what came out"
        )
    optional_import("torch", "train")
    from weaknas.training.devices import arithmetic, choose_device, own_randomness
    from weaknas.training.measure import times

    space = whole_of(space)
    place, seconds = choose_device(device), np.zeros((len(genotypes), 0, repeats))
    with arithmetic(False, threads), own_randomness(place):
        for _ in range(rounds):
            found = []
            for genotype in genotypes:
                images, number = _images(space, genotype, shape, classes)
                network = space.network(genotype, classes=number, shape=images).to(place)
                found.append(times(network, images, place, batch_size=batch_size, repeats=repeats))
            seconds = np.concatenate([seconds, np.array(found)[:, None]], axis=1)
            measured = _summarize(seconds * _MILLISECONDS)
            if keep is not None:
                keep(measured)
    return measured


def _images(
    space: SearchSpace,
    genotype: npt.NDArray[np.integer],
    shape: tuple[int, ...],
    classes: int,
) -> tuple[tuple[int, ...], int]:
    if not isinstance(space, KnowsImages):
        return shape, classes
    size = int(space.decode(genotype)["r"][0])
    return (space.channels, size, size), space.classes


def _summarize(times: Floats) -> Timings:
    medians = np.median(times, axis=2).min(axis=1)
    low, high = np.quantile(times.reshape(len(times), -1), [1 / 6, 5 / 6], axis=1)
    return Timings(medians, (high - low) / 2)
