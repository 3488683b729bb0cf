"""The arithmetic of the Gaussian process: kernel, hyperparameters, Cholesky factors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, lapack, solve_triangular
from scipy.optimize import minimize

from weaknas.predictors._base import Floats

Singles: TypeAlias = npt.NDArray[np.float32]
Rows: TypeAlias = npt.NDArray[np.int64]

_JITTER = 1e-6
_CACHED = 2**18  # numbers of 4 bytes that are worked on at a time
_SMALLEST_NOISE = 1e-4
_TYPICAL_NOISE = 0.05
_TYPICAL_TREND = 0.1  # where its variance is learnt
_FAR = 30.0  # root mean square distances from zero
# Standard deviations of the log-normal priors. Features and targets are scaled
# before, so they mean the same for every data set.
_PRIOR_VARIANCE, _PRIOR_LENGTH, _PRIOR_NOISE, _PRIOR_TREND = 1.5, 0.5, 1.5, 1.5


class Scaling:
    """Centre all columns, and scale each block to a mean squared distance of 1.

    Parameters
    ----------
    features : ndarray, shape (n, f)
        The rows the scale is taken from.
    groups : sequence of slice or of index arrays, optional
        The blocks; default: one of all columns.
    trend : sequence of int, optional
        Columns with a linear trend.

    Attributes
    ----------
    center, scale : ndarray of float32, shape (f,)
        `scale` is 0 where a column is in no block or its block is constant.
    blocks : list of ndarray of int, length g
        Columns of each block.
    norms : ndarray of float32, shape (n, g)
        Squared length of each block of the scaled rows.
    trend : ndarray of int
        Columns with a linear trend.
    slope : float
        What their scaled values are multiplied by for a mean squared length of 1.
    """

    def __init__(
        self,
        features: Any,
        groups: Sequence[Any] | None,
        trend: Sequence[int] | None = None,
    ) -> None:
        width = features.shape[1]
        chosen = [slice(None)] if groups is None else groups
        self.blocks = [np.arange(width)[group] for group in chosen]
        member = np.zeros((width, len(self.blocks)), dtype=np.float32)
        for index, block in enumerate(self.blocks):
            member[block, index] = 1.0
        self.center = features.mean(axis=0, dtype=np.float64).astype(np.float32)
        self.norms = np.empty((len(features), len(self.blocks)), dtype=np.float32)
        for part in parts(len(features), width):
            self.norms[part] = np.square(features[part] - self.center) @ member
        # the mean squared distance of two rows is twice that from the centre
        spread = 2.0 * self.norms.mean(axis=0, dtype=np.float64)
        factors = np.where(spread > 0, 1.0 / np.sqrt(np.where(spread > 0, spread, 1.0)), 0.0)
        self.scale = np.asarray(member @ factors, dtype=np.float32)
        self.norms *= np.square(factors).astype(np.float32)
        self.trend = np.asarray([] if trend is None else trend, dtype=np.int64)
        spread = features[:, self.trend].var(axis=0, dtype=np.float64)  # of these: less memory
        length = float((self.scale[self.trend] ** 2 * spread).sum())
        self.slope = 1.0 / np.sqrt(length) if length > 0 else 0.0

    def __call__(self, features: Any) -> Singles:
        """Return scaled features, shape (n, f)."""
        return np.asarray((features - self.center) * self.scale, dtype=np.float32)


def trend_columns(
    features: Any, trend: Sequence[int] | None, additive: bool
) -> Sequence[int] | None:
    """Return the columns with a linear trend: all of them in an additive process."""
    return range(features.shape[1]) if additive else trend


def parts(rows: int, width: int) -> list[slice]:
    """Return slices of rows whose temporaries of so many columns stay in the processor's cache."""
    length = min(max(_CACHED // max(width, 1), 256), 8192)
    return [slice(start, start + length) for start in range(0, rows, length)]


@dataclass(frozen=True)
class Hyperparameters:
    """Of the kernel and the noise.

    Parameters
    ----------
    variance : float
        Prior variance of a score.
    lengths : ndarray of float, shape (g,)
        Length scale of each block.
    noise : float
        Variance of the noise of a label.
    trend : float
        Prior variance of a score by the linear trend, if there is one.
    """

    variance: float
    lengths: Floats
    noise: float
    trend: float = 1.0

    @classmethod
    def typical(cls, blocks: int) -> Hyperparameters:
        """Return the medians of the priors: two random rows are one length apart in all."""
        return cls(1.0, np.full(blocks, np.sqrt(blocks)), _TYPICAL_NOISE)

    def to_vector(self) -> Floats:
        """Return the logarithms of all but the trend as one vector, shape (g + 2,)."""
        return np.asarray(np.log([self.variance, *self.lengths, self.noise]))

    @classmethod
    def from_vector(cls, vector: Floats, blocks: int) -> Hyperparameters:
        """Rebuild from `to_vector`, with the logarithm of the trend or without."""
        values = np.exp(vector)
        return cls(float(values[0]), values[1 : blocks + 1], *map(float, values[blocks + 1 :]))


class Kernel:
    """Matérn-5/2 of the distance in which each block is divided by its length scale.

    ``k = v (1 + r + r^2 / 3) exp(-r)`` with ``r = sqrt(5 sum_g d_g^2 / l_g^2)``
    (Rasmussen and Williams 2006, eq. 4.17). Columns with a trend add the product
    of their scaled values: a linear mean whose slopes have normal priors around 0
    (sec. 2.7), so that their signs and sizes are learnt from the data.

    Parameters
    ----------
    hyper : Hyperparameters
    scaling : Scaling
    """

    def __init__(self, hyper: Hyperparameters, scaling: Scaling) -> None:
        self.hyper = hyper
        self._trend = scaling.trend
        self.slope = np.float32(scaling.slope * np.sqrt(hyper.trend))
        self.of_blocks = np.asarray(5.0 / hyper.lengths**2, dtype=np.float32)
        self.weights = np.zeros(len(scaling.scale), dtype=np.float32)
        for block, weight in zip(scaling.blocks, self.of_blocks, strict=True):
            self.weights[block] = weight

    def __call__(self, first: Singles, second: Singles) -> Singles:
        """Return the covariance of scaled features, shapes (n, f) and (m, f); shape (n, m)."""
        weighted = first * self.weights
        squares = np.asarray((-2.0 * weighted) @ second.T, dtype=np.float32)
        squares += np.einsum("ij,ij->i", weighted, first)[:, None]
        squares += np.square(second) @ self.weights
        covariance = self.of_squares(squares)
        if len(self._trend):
            covariance += self.linear(first) @ self.linear(second).T
        return covariance

    def linear(self, points: Singles) -> Singles:
        """Return what the products of which are the covariance by the trend, shape (n, t)."""
        return np.asarray(points[:, self._trend] * self.slope)

    def variance(self, points: Singles) -> Singles:
        """Return the prior variance of scaled features, shape (n, f); shape (n,)."""
        trend = np.square(self.linear(points)).sum(axis=1)
        return np.asarray(self.hyper.variance + trend, dtype=np.float32)

    def of_squares(self, squares: Singles) -> Singles:
        """Return the covariance, in place, of any shape, where r^2 is `squares`."""
        r = np.sqrt(np.maximum(squares, 0, out=squares), out=squares)
        decay = np.subtract(np.float32(np.log(self.hyper.variance)), r)
        np.exp(decay, out=decay)
        # (1 + r + r^2 / 3) by Horner's rule; decay is v exp(-r)
        polynomial = np.multiply(r, np.float32(1 / 3))
        polynomial += 1
        polynomial *= r
        polynomial += 1
        polynomial *= decay
        return np.asarray(polynomial, dtype=np.float32)


class Points:
    """The rows of a pool. Their features are kept as they are, and scaled when looked at.

    Parameters
    ----------
    features : ndarray of float32, shape (N, f)
    groups, trend : sequence, optional
        See `Scaling`.
    """

    def __init__(
        self, features: Any, groups: Sequence[Any] | None, trend: Sequence[int] | None
    ) -> None:
        self.scaling = Scaling(features, groups, trend)
        self.features, self._origin = features, self.scaling.center
        # Products of columns that are far from zero lose digits of single precision.
        if (np.abs(self.scaling.center * self.scaling.scale) > _FAR).any():
            self.features, self._origin = features - self._origin, np.zeros_like(self._origin)

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: Rows) -> Singles:
        """Return scaled features of some rows, shape (n, f)."""
        return np.asarray(
            (self.features[rows] - self._origin) * self.scaling.scale, dtype=np.float32
        )

    def covariance(self, kernel: Kernel, data: Singles) -> Callable[[slice], Singles]:
        """Return the covariance with scaled data, shape (n, f), as a function of part of the pool.

        The function returns shape (m, n) for a slice of m rows. Of ``r^2 = |x|^2 + |p|^2
        - 2 x p`` the lengths of the pool's rows are known by blocks, and centre and scale
        go into x: one product with the features as they are is left.
        """
        weighted = data * kernel.weights
        factors = (-2.0 * weighted * self.scaling.scale).T
        offset = np.einsum("ij,ij->i", weighted, data) - self._origin @ factors

        def of_part(part: slice) -> Singles:
            squares: Singles = self.features[part] @ factors
            squares += offset
            squares += (self.scaling.norms[part] @ kernel.of_blocks)[:, None]
            covariance = kernel.of_squares(squares)
            if len(self.scaling.trend):
                covariance += self.linear(part, kernel) @ slopes
            return covariance

        slopes = kernel.linear(data).T
        return of_part

    def linear(self, part: slice, kernel: Kernel) -> Singles:
        """Return `Kernel.linear` of a part of the pool without scaling its other columns."""
        trend = self.scaling.trend
        columns = self.features[part][:, trend] - self._origin[trend]
        return np.asarray(columns * self.scaling.scale[trend] * kernel.slope)


def fit_hyperparameters(
    data: Singles,
    blocks: list[Rows],
    targets: Floats,
    start: Hyperparameters,
    max_iter: int,
    *,
    linear: Singles | None = None,
    learn_trend: bool = False,
) -> Hyperparameters:
    """Maximise the posterior density of the hyperparameters.

    Parameters
    ----------
    data : ndarray of float32, shape (n, f)
        Scaled features.
    blocks : list of ndarray of int
    targets : ndarray of float, shape (n,)
        Of mean about 0 and variance about 1.
    start : Hyperparameters
    max_iter : int
        Steps of L-BFGS-B.
    linear : ndarray of float32, shape (n, t), optional
        See `Kernel.linear`, for a trend of variance 1.
    learn_trend : bool
        Whether its variance is one of the hyperparameters.
    """
    distances = np.stack([_squared_distances(data[:, block]) for block in blocks])
    center = Hyperparameters.typical(len(blocks)).to_vector()
    width = np.array([_PRIOR_VARIANCE, *[_PRIOR_LENGTH] * len(blocks), _PRIOR_NOISE])
    first = start.to_vector()
    if learn_trend:
        center, width = np.append(center, np.log(_TYPICAL_TREND)), np.append(width, _PRIOR_TREND)
        first = np.append(first, center[-1])
    low, high = center - 4 * width, center + 4 * width
    low[len(blocks) + 1] = np.log(_SMALLEST_NOISE)
    best = minimize(
        negative_log_posterior,
        np.clip(first, low, high),
        args=(distances, targets, center, width, _products(linear)),
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(low, high, strict=True)),
        options={"maxiter": max_iter},
    )
    return Hyperparameters.from_vector(best.x, len(blocks))


def _products(linear: Singles | None) -> Floats | float:
    if linear is None:
        return 0.0
    exact = linear.astype(np.float64)
    return np.asarray(exact @ exact.T)


def _squared_distances(block: Singles) -> Floats:
    exact = block.astype(np.float64)
    norms = np.einsum("ij,ij->i", exact, exact)
    distances = norms[:, None] + norms - 2 * exact @ exact.T
    np.fill_diagonal(distances, 0.0)
    return np.asarray(np.maximum(distances, 0.0))


def negative_log_posterior(
    vector: Floats,
    distances: Floats,
    targets: Floats,
    center: Floats,
    width: Floats,
    trend: Floats | float = 0.0,
) -> tuple[float, Floats]:
    """Negative log posterior density of the hyperparameters, and its gradient.

    Marginal likelihood with a constant mean by generalised least squares
    (Rasmussen and Williams 2006, eq. 5.8, 5.9 and 2.42) times normal priors.

    Parameters
    ----------
    vector : ndarray, shape (g + 2,) or (g + 3,)
        See `Hyperparameters.from_vector`.
    distances : ndarray, shape (g, n, n)
        Squared distances in each block.
    targets : ndarray, shape (n,)
    center, width : ndarray, of the same shape
        Mean and standard deviation of the priors.
    trend : ndarray, shape (n, n), optional
        Covariance by a linear trend of variance 1.
    """
    hyper, n = Hyperparameters.from_vector(vector, len(distances)), len(targets)
    weights = 1.0 / hyper.lengths**2
    r = np.sqrt(5.0 * np.tensordot(weights, distances, axes=1))
    decay = hyper.variance * np.exp(-r)
    scores = (1 + r + r**2 / 3) * decay
    covariance = scores + hyper.trend * trend
    covariance.flat[:: n + 1] += hyper.noise + _JITTER
    factor, failed = lapack.dpotrf(covariance, lower=1, clean=1)
    if failed:
        return 1e10, np.zeros_like(vector)
    solved = cho_solve((factor, True), np.stack([targets, np.ones(n)], axis=1))
    mean = solved[:, 0].sum() / solved[:, 1].sum()
    alpha = solved[:, 0] - mean * solved[:, 1]
    half, _ = lapack.dpotri(factor, lower=1)  # the lower triangle; zeros above it
    outer = np.outer(alpha, alpha) - half
    half.flat[:: n + 1] = 0.0
    outer -= half.T
    # dk / d log l_g = 5/3 v d_g^2 / l_g^2 (1 + r) exp(-r)
    by_length = 5.0 / 3.0 * weights * np.tensordot(distances, outer * (1 + r) * decay, axes=2)
    likelihood = 0.5 * (targets - mean) @ alpha + np.log(np.diag(factor)).sum()
    by_others = [hyper.noise * np.trace(outer)]
    if len(vector) == len(distances) + 3:
        by_others.append(hyper.trend * np.vdot(trend, outer))
    gradient = -0.5 * np.concatenate([[np.vdot(scores, outer)], by_length, by_others])
    z = (vector - center) / width
    return float(likelihood + 0.5 * z @ z), gradient + z / width


class Cholesky:
    """Factor of the covariance of labels, grown a few points at a time.

    Parameters
    ----------
    kernel : Kernel
    """

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.points: Singles = np.empty((0, len(kernel.weights)), dtype=np.float32)
        self.factor: Floats = np.empty((0, 0))

    def append(self, new: Singles) -> tuple[Floats, Floats]:
        """Add m scaled points to the n there are; return the new blocks, (m, n) and (m, m)."""
        old = self.points
        across = np.empty((len(new), 0))
        if len(old):
            cross = self.kernel(old, new).astype(np.float64)
            across = solve_triangular(self.factor, cross, lower=True).T
        schur = self.kernel(new, new).astype(np.float64) - across @ across.T
        schur.flat[:: len(new) + 1] += self.kernel.hyper.noise + _JITTER
        corner = np.linalg.cholesky(schur)
        factor = np.zeros((len(old) + len(new), len(old) + len(new)))
        factor[: len(old), : len(old)] = self.factor
        factor[len(old) :, : len(old)], factor[len(old) :, len(old) :] = across, corner
        self.factor, self.points = factor, np.concatenate([old, new])
        return across, np.asarray(corner, dtype=np.float64)

    def truncate(self, count: int) -> None:
        """Keep the first points only."""
        self.factor, self.points = self.factor[:count, :count], self.points[:count]

    def whiten(self, targets: Floats) -> tuple[float, Floats]:
        """Return the mean of targets, shape (n,), and their whitened residuals."""
        both = np.stack([targets, np.ones(len(targets))], axis=1)
        both = solve_triangular(self.factor, both, lower=True)
        mean = float(both[:, 0] @ both[:, 1] / (both[:, 1] @ both[:, 1]))
        return mean, both[:, 0] - mean * both[:, 1]
