"""Measuring the blocks of networks on this device, for a table of latencies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from weaknas.errors import InputError, check_whole, optional_import
from weaknas.spaces import SearchSpace
from weaknas.spaces.mobilenetv3.latency import LatencyTable, required_parts
from weaknas.spaces.mobilenetv3.skeleton import Skeleton

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


def measure_networks(
    space: SearchSpace,
    genotypes: np.ndarray[tuple[int, int], np.dtype[np.integer]],
    *,
    device: str | None = None,
    batch_size: int = 1,
    repeats: int = 20,
    threads: int | None = None,
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the measured milliseconds of whole networks, shape (n,), to hold against a table.

    Parameters
    ----------
    space : MobileNetV3
    genotypes : ndarray of int, shape (n, d)
    device, batch_size, repeats, threads
        See `measure_table`.
    """
    from weaknas.training.devices import arithmetic, choose_device, own_randomness
    from weaknas.training.measure import latency

    place, values = choose_device(device), []
    with arithmetic(False, threads), own_randomness(place):
        for genotype in genotypes:
            size = space.decode(genotype)["r"][0]  # type: ignore[attr-defined]
            shape = (space.channels, size, size)  # type: ignore[attr-defined]
            network = space.network(genotype, classes=space.classes, shape=shape)  # type: ignore[attr-defined]
            seconds = latency(
                network.to(place), shape, place, batch_size=batch_size, repeats=repeats
            )
            values.append(seconds * _MILLISECONDS)
    return np.array(values)
