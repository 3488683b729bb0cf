"""An evaluator without training: a zero-cost proxy of the untrained network as the score."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

from weaknas.encoders.zero_cost import PROXIES, ZeroCostEncoder
from weaknas.errors import unknown
from weaknas.evaluators._base import Evaluation
from weaknas.spaces import Architecture, SearchSpace


class ZeroCostEvaluator:
    """Scores each architecture by a zero-cost proxy of a small untrained network.

    For searches that take seconds, and as the baseline that a trained score must beat. A
    proxy ranks roughly: it is no accuracy. See `weaknas.encoders.zero_cost` for what there is.

    Parameters
    ----------
    space : SearchSpace
        With networks.
    proxy : str
        The score, one of `weaknas.encoders.zero_cost.PROXIES`; the others are metrics.
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
        encoder = ZeroCostEncoder(self.space, PROXIES, seed=seed, cache=self.cache)
        metrics = encoder.measure(self.space.genotypes([architecture]))[0]
        return Evaluation(metrics[self.proxy], dict(metrics), time.perf_counter() - begin)

    def describe(self) -> dict[str, Any]:
        """Return what decides the scores, as plain JSON types."""
        return {
            "evaluator": "zero-cost",
            "proxy": self.proxy,
            "skeleton": self.space.small_network,
        }
