"""The arithmetic of the Gaussian process: kernel, hyperparameters, Cholesky factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, lapack, solve_triangular
from scipy.optimize import minimize

from weaknas.predictors._base import Floats

Singles: TypeAlias = npt.NDArray[np.float32]

_JITTER = 1e-6
_SMALLEST_NOISE = 1e-4
# Standard deviations of the log-normal priors; features and targets are scaled,
# so that they hold for every data set: a length scale of 1 is the root mean
# square distance within the pool, amplitudes share a variance of 1.
_PRIOR_AMPLITUDE, _PRIOR_LENGTH, _PRIOR_NOISE = 1.5, 1.0, 1.5
_TYPICAL_NOISE = 0.05


@dataclass(frozen=True)
class Points:
    """Rows in the scaled coordinates of a kernel.

    Parameters
    ----------
    coordinates : list of ndarray of float32, each (n, f_g)
        One a block.
    norms : ndarray of float32, shape (g, n)
        Squared norms.
    """

    coordinates: list[Singles]
    norms: Singles

    def __len__(self) -> int:
        return self.norms.shape[1]

    def __getitem__(self, rows: slice | npt.NDArray[np.int64]) -> Points:
        return Points([block[rows] for block in self.coordinates], self.norms[:, rows])


class Scaling:
    """Blocks of columns, each centred and scaled to a mean squared distance of 1.

    Parameters
    ----------
    features : ndarray, shape (n, f)
        The rows the scale is taken from.
    groups : sequence of slice or of index arrays, optional
        The blocks; default: one of all columns.
    """

    def __init__(self, features: Any, groups: Sequence[Any] | None) -> None:
        self.groups = [slice(None)] if groups is None else list(groups)
        self._centers, self._scales = [], []
        for group in self.groups:
            block = np.asarray(features[:, group], dtype=np.float32)
            self._centers.append(block.mean(axis=0))
            # the mean squared distance of two rows is twice the total variance
            spread = 2.0 * float(block.var(axis=0).sum())
            self._scales.append(np.float32(1.0 / np.sqrt(spread) if spread > 0 else 1.0))

    def __call__(self, features: Any) -> Points:
        """Return features, shape (n, f), as points."""
        blocks = [
            (np.asarray(features[:, group], dtype=np.float32) - center) * scale
            for group, center, scale in zip(self.groups, self._centers, self._scales, strict=True)
        ]
        norms = np.stack([np.einsum("ij,ij->i", block, block) for block in blocks])
        return Points(blocks, norms)


def squared_distances(first: Points, second: Points, block: int) -> Singles:
    """Return squared distances in one block, shape (n, m)."""
    inner = first.coordinates[block] @ second.coordinates[block].T
    inner *= -2
    inner += first.norms[block][:, None]
    inner += second.norms[block]
    return np.maximum(inner, 0, out=inner)


@dataclass(frozen=True)
class Hyperparameters:
    """Of the kernel and the noise.

    Parameters
    ----------
    amplitudes, lengths : ndarray of float, shape (g,)
        Variance and length scale of each block.
    noise : float
        Variance of the noise of a label.
    """

    amplitudes: Floats
    lengths: Floats
    noise: float

    @classmethod
    def typical(cls, blocks: int) -> Hyperparameters:
        """Return the medians of the priors."""
        return cls(np.full(blocks, 1.0 / blocks), np.ones(blocks), _TYPICAL_NOISE)

    def to_vector(self) -> Floats:
        """Return the logarithms as one vector."""
        return np.log(np.concatenate([self.amplitudes, self.lengths, [self.noise]]))

    @classmethod
    def from_vector(cls, vector: Floats) -> Hyperparameters:
        """Rebuild from `to_vector`."""
        amplitudes, lengths = np.exp(vector[:-1]).reshape(2, -1)
        return cls(amplitudes, lengths, float(np.exp(vector[-1])))

    @property
    def variance(self) -> float:
        """Prior variance of a score."""
        return float(self.amplitudes.sum())


def kernel(first: Points, second: Points, hyper: Hyperparameters) -> Singles:
    """Return the sum of Matérn-3/2 kernels of the blocks, shape (n, m).

    Each is ``a (1 + r) exp(-r)`` with ``r = sqrt(3) d / l`` (Rasmussen and
    Williams 2006, eq. 4.17).
    """
    total = np.zeros((len(first), len(second)), dtype=np.float32)
    for block, (amplitude, length) in enumerate(zip(hyper.amplitudes, hyper.lengths, strict=True)):
        r = squared_distances(first, second, block)
        r *= np.float32(3.0 / length**2)
        np.sqrt(r, out=r)
        decay = np.exp(-r)
        r += 1
        r *= decay
        r *= np.float32(amplitude)
        total += r
    return total


def fit_hyperparameters(
    points: Points, targets: Floats, start: Hyperparameters, max_iter: int
) -> Hyperparameters:
    """Maximise the posterior density of the hyperparameters.

    Parameters
    ----------
    points : Points
        n rows.
    targets : ndarray of float, shape (n,)
        Of mean about 0 and variance about 1.
    start : Hyperparameters
    max_iter : int
        Steps of L-BFGS-B.
    """
    blocks = len(points.coordinates)
    distances = np.stack(
        [squared_distances(points, points, block) for block in range(blocks)]
    ).astype(np.float64)
    center = Hyperparameters.typical(blocks).to_vector()
    width = np.repeat([_PRIOR_AMPLITUDE, _PRIOR_LENGTH], blocks)
    width = np.append(width, _PRIOR_NOISE)
    low, high = center - 4 * width, center + 4 * width
    low[-1] = np.log(_SMALLEST_NOISE)
    best = minimize(
        _negative_log_posterior,
        np.clip(start.to_vector(), low, high),
        args=(distances, targets, center, width),
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(low, high, strict=True)),
        options={"maxiter": max_iter},
    )
    return Hyperparameters.from_vector(best.x)


def _negative_log_posterior(
    vector: Floats, distances: Floats, targets: Floats, center: Floats, width: Floats
) -> tuple[float, Floats]:
    """Value and gradient (Rasmussen and Williams 2006, eq. 5.8 and 5.9), plus the priors."""
    hyper = Hyperparameters.from_vector(vector)
    n = len(targets)
    r = np.sqrt(3.0 * distances) / hyper.lengths[:, None, None]
    decay = hyper.amplitudes[:, None, None] * np.exp(-r)
    parts = decay * (1 + r)  # also the derivatives by the log amplitudes
    by_length = decay * r**2
    covariance = parts.sum(axis=0)
    covariance.flat[:: n + 1] += hyper.noise + _JITTER
    factor, failed = lapack.dpotrf(covariance, lower=1, clean=1)
    if failed:
        return 1e10, np.zeros_like(vector)
    solved = cho_solve((factor, True), np.stack([targets, np.ones(n)], axis=1))
    mean = solved[:, 0].sum() / solved[:, 1].sum()  # generalised least squares
    alpha = solved[:, 0] - mean * solved[:, 1]
    half, _ = lapack.dpotri(factor, lower=1)
    inverse = np.tril(half) + np.tril(half, -1).T
    outer = np.outer(alpha, alpha) - inverse
    value = 0.5 * (targets - mean) @ alpha + np.log(np.diag(factor)).sum()
    gradient = -0.5 * np.concatenate(
        [
            np.tensordot(parts, outer, axes=2),
            np.tensordot(by_length, outer, axes=2),
            [hyper.noise * np.trace(outer)],
        ]
    )
    z = (vector - center) / width
    return float(value + 0.5 * z @ z), gradient + z / width


class Cholesky:
    """Factor of the covariance of the labels, grown a few rows at a time.

    Parameters
    ----------
    hyper : Hyperparameters
    points : Points
        The rows of which labels may come.
    """

    def __init__(self, hyper: Hyperparameters, points: Points) -> None:
        self.hyper, self._points = hyper, points
        self.rows = np.empty(0, dtype=np.int64)
        self.factor: Floats = np.empty((0, 0))

    def append(self, rows: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Add rows; return the new off-diagonal, shape (m, n), and diagonal block, (m, m)."""
        new, old = self._points[rows], self._points[self.rows]
        across = solve_triangular(
            self.factor, kernel(old, new, self.hyper).astype(np.float64), lower=True
        ).T if len(old) else np.empty((len(new), 0))
        schur = kernel(new, new, self.hyper).astype(np.float64) - across @ across.T
        schur.flat[:: len(new) + 1] += self.hyper.noise + _JITTER
        corner = np.linalg.cholesky(schur)
        n, m = len(old), len(new)
        factor = np.zeros((n + m, n + m))
        factor[:n, :n], factor[n:, :n], factor[n:, n:] = self.factor, across, corner
        self.factor, self.rows = factor, np.concatenate([self.rows, rows])
        return across, corner

    def truncate(self, count: int) -> None:
        """Keep the first rows only."""
        self.factor, self.rows = self.factor[:count, :count], self.rows[:count]

    def weights(self, targets: Floats) -> tuple[float, Floats]:
        """Return the mean and the whitened residuals of targets, shape (n,)."""
        both = solve_triangular(
            self.factor, np.stack([targets, np.ones(len(targets))], axis=1), lower=True
        )
        mean = float(both[:, 0] @ both[:, 1] / (both[:, 1] @ both[:, 1]))
        return mean, both[:, 0] - mean * both[:, 1]
