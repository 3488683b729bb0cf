"""The search that knows the process a table was drawn from: a bound for those that do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import erfcx, log_ndtr

from weaknas.spaces import Genotypes, SearchSpace
from weaknas.strategies import Strategy

_FIRST = 5  # random architectures, as the default of WeakNAS has
_JITTER = 1e-6


class KnownProcess(Strategy):
    """Expected improvement by the very Gaussian process of which the scores are a draw.

    Nothing is fitted: neither kernel nor mean, which is zero, nor scale. No model that has to
    learn them from labels can be expected to need fewer queries.

    Parameters
    ----------
    space : SearchSpace
        Listed.
    parts : sequence of (variance, correlation)
        ``cov(f(x), f(y))`` is their sum of ``variance * correlation ** (decisions in which x
        and y differ)``.
    """

    def __init__(
        self, space: SearchSpace, parts: Sequence[tuple[float, float]], *, seed: int = 0
    ) -> None:
        super().__init__(space, seed=seed)
        self._parts = parts
        self._rows = space.enumerate()
        codes = space.fingerprint(self._rows)
        self._order = np.argsort(codes)
        self._codes = codes[self._order]
        self._taken = np.zeros(len(codes), dtype=bool)
        self._mean = np.zeros(len(codes))
        self._variance = np.full(len(codes), float(sum(variance for variance, _ in parts)))
        # Rows of L^-1 k(X, all), see `weaknas.predictors`.
        self._whitened: list[npt.NDArray[np.float64]] = []

    def _propose(self, n: int) -> Genotypes:
        if len(self.history) < _FIRST:
            return self.space.sample(_FIRST - len(self.history), self._rng)
        deviation = np.sqrt(np.maximum(self._variance, _JITTER))
        best = float(self.history.scores.max())
        value = np.log(deviation) + log_improvement((self._mean - best) / deviation)
        value[self._taken] = -np.inf
        return self._rows[np.argsort(-value)[:n]]

    def _learn(self, genotypes: Genotypes, scores: npt.NDArray[np.float64]) -> None:
        codes = self.space.fingerprint(genotypes)
        for index, score in zip(
            self._order[np.searchsorted(self._codes, codes)].tolist(), scores.tolist(), strict=True
        ):
            self._condition(index, score)

    def _condition(self, index: int, score: float) -> None:
        """Add one label: a step of the Cholesky factorisation, for all architectures."""
        differ = (self._rows != self._rows[index]).sum(axis=1)
        covariance = sum(variance * alike**differ for variance, alike in self._parts)
        for known in self._whitened:
            covariance = covariance - known[index] * known
        row = covariance / np.sqrt(max(covariance[index], 0.0) + _JITTER)
        self._mean = self._mean + row * (score - self._mean[index]) / row[index]
        self._variance = self._variance - row**2
        self._whitened.append(row)
        self._taken[index] = True


def log_improvement(z: npt.NDArray[np.float64]) -> Any:
    """Return log(phi(z) + z Phi(z)), shape (n,), exact where z is far below 0, too.

    There it is ``log phi(z) + log(1 - |z| m)``, m Mills' ratio, see Ament et al. 2023, eq. 9.
    """
    low = np.minimum(z, -1.0)
    density = -0.5 * z**2 - 0.5 * np.log(2 * np.pi)
    mills = np.sqrt(np.pi / 2) * erfcx(-low / np.sqrt(2))
    far = np.log(np.maximum(1.0 + low * mills, 1e-300))
    near = np.log(np.maximum(1.0 + np.maximum(z, -1.0) * np.exp(log_ndtr(z) - density), 1e-300))
    return density + np.where(z < -1.0, far, near)
