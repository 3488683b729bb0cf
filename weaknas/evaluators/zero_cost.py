"""Zero-cost proxies of untrained networks: as scores of an evaluator, and of many at once."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.encoders.zero_cost import PROXIES, ZeroCostEncoder
from weaknas.errors import InputError, check_whole, optional_import, unknown
from weaknas.evaluators._base import Evaluation
from weaknas.files import cache_folder, checksum
from weaknas.spaces import Architecture, Genotypes, SearchSpace, distinct

#: Those that rank trained networks best, of what there is.
MEASURED = ("synflow", "jacov", "naswot")
#: Networks that are measured: as many as the process of a source is conditioned on.
NETWORKS = 400

_IMAGES = 32
_LEAST, _MOST = 2, 100_000
_DRAWS = 20  # of a sample, until it has enough different architectures


class ZeroCostEvaluator:
    """Scores each architecture by a zero-cost proxy of a small untrained network.

    For searches that take seconds, and as the baseline that a trained score must beat. A
    proxy ranks roughly: it is no accuracy. See `weaknas.encoders.zero_cost` for what there is.

    Parameters
    ----------
    space : SearchSpace
        With networks.
    proxy : str
        The score, one of `weaknas.encoders.zero_cost.PROXIES`; the others are metrics, but
        for ``grasp``, which is measured where it is the score.
    cache : path, optional
        A file of JSON lines where measurements are kept.

    Raises
    ------
    InputError
        When the proxy is unknown, the space has no networks or torch is not installed.
    """

    def __init__(
        self, space: SearchSpace, *, proxy: str = "naswot", cache: str | Path | None = None
    ) -> None:
        if proxy not in PROXIES:
            raise unknown("zero-cost proxy", proxy, PROXIES)
        ZeroCostEncoder(space)  # says what is missing
        self.space, self.proxy, self.cache = space, proxy, cache
        self.name = f"{space.name}/digits"

    def trainings(self, architecture: Architecture) -> float:
        """Return infinity: every seed draws other weights and images."""
        return math.inf

    def evaluate(
        self, architecture: Architecture, *, seed: int, fidelity: float | None = None
    ) -> Evaluation:
        """Measure one architecture with weights, and 32 of the digits, of a seed.

        Raises
        ------
        InputError
            When the architecture is not of the space.
        """
        begin = time.perf_counter()
        # Not every network has the second derivatives that GraSP needs.
        names = [name for name in PROXIES if name != "grasp" or self.proxy == "grasp"]
        encoder = ZeroCostEncoder(self.space, names, seed=seed, cache=self.cache)
        metrics = encoder.measure(self.space.genotypes([architecture]))[0]
        return Evaluation(metrics[self.proxy], dict(metrics), time.perf_counter() - begin)

    def describe(self) -> dict[str, Any]:
        """Return what decides the scores, as plain JSON types."""
        return {
            "evaluator": "zero-cost",
            "proxy": self.proxy,
            "skeleton": self.space.small_network,
        }


@dataclass(frozen=True, eq=False)
class MeasuredProxies:
    """Zero-cost proxies of some architectures of a space.

    Parameters
    ----------
    genotypes : ndarray of int, shape (n, d)
        Canonical, each architecture once.
    values : mapping of str to ndarray of float, shape (n,)
        By proxy; the higher, the better it should be. What overflows is the largest
        number there is, what is no number the smallest.
    seconds : float
        That it took; next to nothing where all was measured before.
    """

    genotypes: Genotypes
    values: dict[str, npt.NDArray[np.float64]]
    seconds: float


def measure_proxies(
    space: SearchSpace,
    proxies: Sequence[str] = MEASURED,
    *,
    networks: int = NETWORKS,
    dataset: str = "digits",
    path: str | None = None,
    seed: int = 0,
    cache: str | Path | None = None,
) -> MeasuredProxies:
    """Measure zero-cost proxies of random architectures, or of all where there are no more.

    Every network is small, untrained and measured on one core with one batch of 32 images.
    What was measured before is read from the cache, whose lines say of which space, images,
    weights and proxy they are.

    Parameters
    ----------
    space : SearchSpace
        With networks that read images.
    proxies : sequence of str
        Some of `weaknas.encoders.zero_cost.PROXIES`.
    networks : int
        How many are measured.
    dataset : str
        See `weaknas.training.load_dataset`: of its training images 32 are taken, the
        classes in proportion.
    path : str, optional
        Of the data set.
    seed : int
        Of the choice of architectures, and of the weights.
    cache : path, optional
        A file of JSON lines; default: one a space in the user's cache.

    Raises
    ------
    InputError
        When the space has no networks that read images, torch is not installed, a name is
        unknown or a number out of bounds, or the data set has no images with classes.
    """
    check_whole("networks", networks, _LEAST, _MOST)
    if cache is None:
        cache = cache_folder() / "zero-cost" / f"{checksum(space.describe())}.jsonl"
    images, labels = _batch_of(dataset, path)
    encoder = ZeroCostEncoder(
        space, tuple(proxies), images=images, labels=labels, seed=seed, cache=cache
    )
    begin = time.perf_counter()
    rows = _draw(space, networks, np.random.default_rng(seed))
    found = encoder.measure(rows)
    values = {name: np.array([one[name] for one in found], dtype=np.float64) for name in proxies}
    lowest = float(np.finfo(np.float64).min)
    finite = {name: np.nan_to_num(each, nan=lowest) for name, each in values.items()}
    return MeasuredProxies(rows, finite, time.perf_counter() - begin)


def _draw(space: SearchSpace, count: int, rng: np.random.Generator) -> Genotypes:
    """Return so many different architectures, or all that there are."""
    if space.is_listable:
        rows = distinct(space, space.enumerate())
        return rows[rng.permutation(len(rows))[:count]]
    rows = distinct(space, space.sample(count, rng))
    for _ in range(_DRAWS):
        if len(rows) >= count:
            break
        rows = distinct(space, np.vstack([rows, space.sample(count, rng)]))
    return rows[:count]


def _batch_of(name: str, path: str | None) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return images of a data set as a network is given them, and their labels."""
    optional_import("torch", "train")
    import torch

    from weaknas.supernets.measure import in_memory
    from weaknas.training.data import load_dataset, representative
    from weaknas.training.transforms import make_normalization

    dataset = load_dataset(name, path)
    if dataset.task != "classification" or len(dataset.shape) != 3:
        raise InputError(f"zero-cost proxies need images with classes, which {name!r} has not")
    taken = in_memory(dataset.train.take(np.sort(representative(dataset.train)[:_IMAGES])))
    images = make_normalization(dataset)(torch.from_numpy(taken.inputs))
    return images.numpy(), np.asarray(taken.labels, dtype=np.int64)
