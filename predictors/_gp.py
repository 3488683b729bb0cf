"""The arithmetic of the Gaussian process: kernel, hyperparameters, posterior.

A label is the mean of one training or more: ``y_i = f(x_i) + d_i + e_i``, f a Gaussian
process, d_i what is particular to the architecture and e_i what another training would
change, both normal, of variances ``particular`` and ``noise / count_i``. Numbers of equations
are those of Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.linalg import blas, cho_solve, lapack, solve_triangular
from scipy.optimize import minimize
from scipy.special import chdtri

from weaknas.predictors._base import standardize
from weaknas.predictors.labels import Floats, Joint, Repeats

Singles: TypeAlias = npt.NDArray[np.float32]
#: Single precision in searches, double in the estimator.
Reals: TypeAlias = npt.NDArray[np.floating[Any]]

_JITTER = 1e-6
_CACHED = 2**18  # numbers of 4 bytes that are worked on at a time
_SMALLEST_NOISE = 1e-4
_SMALLEST_VARIANCE = 1e-10
_TYPICAL_NOISE = 0.05
_LEVEL = 0.6  # of the upper end of what repeats allow the noise to be
_TYPICAL = {"trend": 0.1, "particular": 0.08}  # where they are learnt
# Standard deviations of the log-normal priors. Features and targets are scaled
# before, so they mean the same for every data set.
_PRIOR_VARIANCE, _PRIOR_LENGTH, _PRIOR_NOISE, _PRIOR_FURTHER = 1.5, 0.5, 1.5, 1.5


class Scaling:
    """Centre all columns, and scale each block to a mean squared distance of 1.

    Parameters
    ----------
    features : ndarray of float32, shape (n, f)
        The rows the scale is taken from.
    groups : sequence of slice or of index arrays, optional
        The blocks; default: one of all columns.
    trend : sequence of int, optional
        Columns with a linear trend.
    additive : bool
        Whether all columns have one, of a variance that is a hyperparameter.
    sources : sequence of int, optional
        Columns of what earlier measurements predict, with a linear trend each and in no block.
        They keep their unit: a source that is unsure of everything predicts small
        differences, and so says little.
    dtype : type
        Of scaled features, and so of all that is computed of them.

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
    sources : ndarray of int
        Columns whose scale is 1, as is the deviation of their slopes.
    """

    def __init__(
        self,
        features: Any,
        *,
        groups: Sequence[Any] | None = None,
        trend: Sequence[int] | None = None,
        additive: bool = False,
        sources: Sequence[int] | None = None,
        dtype: type[np.floating[Any]] = np.float32,
    ) -> None:
        width, self._dtype = features.shape[1], dtype
        chosen = [slice(None)] if groups is None else groups
        self.sources = np.asarray([] if sources is None else sources, dtype=np.int64)
        own = np.setdiff1d(np.arange(width), self.sources)
        self.blocks = [np.intersect1d(np.arange(width)[group], own) for group in chosen]
        member = np.zeros((width, len(self.blocks)), dtype=np.float32)
        for index, block in enumerate(self.blocks):
            member[block, index] = 1.0
        self.center = features.mean(axis=0, dtype=np.float64).astype(np.float32)
        self.norms = np.empty((len(features), len(self.blocks)), dtype=np.float32)
        for rows in row_slices(len(features), width):
            self.norms[rows] = np.square(features[rows] - self.center) @ member
        # the mean squared distance of two rows is twice that from the centre
        spread = 2.0 * self.norms.mean(axis=0, dtype=np.float64)
        factors = np.where(spread > 0, 1.0 / np.sqrt(np.where(spread > 0, spread, 1.0)), 0.0)
        self.scale = np.asarray(member @ factors, dtype=np.float32)
        self.norms *= np.square(factors).astype(np.float32)
        self.additive = additive
        columns = own if additive else [] if trend is None else trend
        self.trend = np.asarray(columns, dtype=np.int64)
        spread = features[:, self.trend].var(axis=0, dtype=np.float64)  # of these: less memory
        length = float((self.scale[self.trend] ** 2 * spread).sum())
        self.slope = float(1.0 / np.sqrt(length)) if length > 0 else 0.0
        self.scale[self.sources] = 1.0

    def __call__(self, features: Any) -> Reals:
        """Return scaled features, shape (n, f)."""
        centered = np.subtract(features, self.center, dtype=self._dtype)
        return np.asarray(centered * self.scale)


def _as_slice(columns: npt.NDArray[np.int64]) -> slice | npt.NDArray[np.int64]:
    """Return columns that stand side by side as a slice, which is looked at without a copy."""
    if len(columns) and (np.diff(columns) == 1).all():
        return slice(int(columns[0]), int(columns[-1]) + 1)
    return columns


def row_slices(rows: int, width: int) -> list[slice]:
    """Return slices of rows whose temporaries of so many columns stay in the processor's cache."""
    length = min(max(_CACHED // max(width, 1), 256), 8192)
    return [slice(start, start + length) for start in range(0, rows, length)]


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """Hyperparameters of the kernel and the noise.

    Parameters
    ----------
    variance : float
        Prior variance of a score.
    lengths : ndarray of float, shape (g,)
        Length scale of each block.
    noise : float
        Variance of the noise of one training.
    trend : float
        Prior variance of a score by the linear trend, if there is one.
    particular : float
        Variance of what is particular to an architecture, which neither features nor
        another training tell; without repeats `noise` is the sum of both.
    """

    variance: float
    lengths: Floats
    noise: float
    trend: float = 1.0
    particular: float = 0.0

    @classmethod
    def typical(cls, blocks: int) -> Hyperparameters:
        """Return the medians of the priors: two random rows are one length apart in all."""
        return cls(variance=1.0, lengths=np.full(blocks, np.sqrt(blocks)), noise=_TYPICAL_NOISE)

    def to_vector(self) -> Floats:
        """Return the logarithms of all but the trend as one vector, shape (g + 2,)."""
        return np.asarray(np.log([self.variance, *self.lengths, self.noise]))

    @classmethod
    def from_vector(
        cls, vector: Floats, *, blocks: int, further: Sequence[str] = ()
    ) -> Hyperparameters:
        """Rebuild from `to_vector`, followed by the logarithms of further ones by name."""
        values = np.exp(vector)
        return cls(
            variance=float(values[0]),
            lengths=values[1 : blocks + 1],
            noise=float(values[blocks + 1]),
            **dict(zip(further, values[blocks + 2 :].tolist(), strict=True)),
        )


class Kernel:
    """Matérn-5/2 of the distance in which each block is divided by its length scale.

    ``k = v (1 + r + r^2 / 3) exp(-r)`` with ``r = sqrt(5 sum_g d_g^2 / l_g^2)``
    (eq. 4.17). Columns with a trend add the product of their scaled values: a
    linear mean whose slopes have normal priors around 0 (sec. 2.7), so that their
    signs and sizes are learnt from the data.

    Parameters
    ----------
    hyper : Hyperparameters
    scaling : Scaling
    """

    def __init__(self, hyper: Hyperparameters, scaling: Scaling) -> None:
        self.hyper = hyper
        #: Columns with a trend, and the deviations of their slopes.
        self.trend = np.concatenate([scaling.trend, scaling.sources])
        #: Those as they are looked at without a copy, where they stand side by side.
        self.columns = _as_slice(self.trend)
        slope = np.full(len(scaling.trend), scaling.slope * np.sqrt(hyper.trend))
        self.slopes = np.concatenate([slope, np.ones(len(scaling.sources))])
        self.block_weights = np.asarray(5.0 / hyper.lengths**2, dtype=np.float32)
        self.weights = np.zeros(len(scaling.scale), dtype=np.float32)
        for block, weight in zip(scaling.blocks, self.block_weights, strict=True):
            self.weights[block] = weight

    def __call__(self, left: Reals, right: Reals) -> Reals:
        """Return the covariance of scaled features, shapes (n, f) and (m, f); shape (n, m)."""
        return Across(self, left)(right)

    def linear(self, points: Reals) -> Reals:
        """Return what the products of which are the covariance by the trend, shape (n, t)."""
        return np.asarray(points[:, self.columns] * self.slopes.astype(points.dtype))

    def variance(self, points: Reals) -> Reals:
        """Return the prior variance of scaled features, shape (n, f); shape (n,)."""
        return np.asarray(self.hyper.variance + np.square(self.linear(points)).sum(axis=1))

    def from_squares(self, squares: Reals) -> Reals:
        """Return the covariance where r^2 is `squares`, of any shape, which is overwritten."""
        r = np.sqrt(np.maximum(squares, 0, out=squares), out=squares)
        decay = np.subtract(float(np.log(self.hyper.variance)), r)
        np.exp(decay, out=decay)
        # (1 + r + r^2 / 3) by Horner's rule; decay is v exp(-r)
        polynomial = np.multiply(r, 1 / 3)
        polynomial += 1
        polynomial *= r
        polynomial += 1
        polynomial *= decay
        return np.asarray(polynomial)


class Across:
    """The covariance with some points as a function of others.

    What does not depend on the others is computed once, and these are not copied.

    Parameters
    ----------
    kernel : Kernel
    points : ndarray of float, shape (n, f)
        Scaled features.
    """

    def __init__(self, kernel: Kernel, points: Reals) -> None:
        weighted = points * kernel.weights
        self._kernel = kernel
        self._lengths = np.einsum("ij,ij->i", weighted, points)[:, None]
        self._factors = -2.0 * weighted
        self._slopes = kernel.linear(points) * kernel.slopes.astype(points.dtype)

    def __call__(self, others: Reals) -> Reals:
        """Return the covariance with scaled features, shape (m, f); shape (n, m)."""
        squares = self._factors @ others.T
        squares += self._lengths
        squares += np.square(others) @ self._kernel.weights
        covariance = self._kernel.from_squares(squares)
        if self._slopes.size:
            covariance += self._slopes @ others[:, self._kernel.columns].T
        return covariance


def fit_hyperparameters(
    points: Reals,
    targets: Floats,
    *,
    scaling: Scaling,
    start: Hyperparameters,
    max_iter: int,
    repeats: Repeats | None = None,
) -> Hyperparameters:
    """Maximise the posterior density of the hyperparameters.

    Parameters
    ----------
    points : ndarray of float, shape (n, f)
        Scaled features.
    targets : ndarray of float, shape (n,)
        In any unit: they are standardised here.
    scaling : Scaling
    start : Hyperparameters
    max_iter : int
        Steps of L-BFGS-B.
    repeats : Repeats, optional
        Default: each target is the label of one training.
    """
    blocks = scaling.blocks
    distances = np.stack([_squared_distances(points[:, block]) for block in blocks])
    center = Hyperparameters.typical(len(blocks)).to_vector()
    width = np.array([_PRIOR_VARIANCE, *[_PRIOR_LENGTH] * len(blocks), _PRIOR_NOISE])
    # What is particular to an architecture is told from noise by repeats alone.
    further = [*["trend"] * scaling.additive, *["particular"] * is_repeated(repeats)]
    center = np.append(center, [np.log(_TYPICAL[name]) for name in further])
    width = np.append(width, [_PRIOR_FURTHER] * len(further))
    begin = np.append(start.to_vector(), center[len(center) - len(further) :])
    low, high = center - 4 * width, center + 4 * width
    low[len(blocks) + 1] = np.log(_SMALLEST_NOISE)
    standard, _, scale = standardize(targets)
    given = repeats or Repeats.counted(np.ones(len(points)))
    density = partial(
        negative_log_posterior,
        further=further,
        distances=distances,
        targets=standard,
        repeats=given._replace(squares=given.squares / scale**2),
        center=center,
        width=width,
        trend=_products(points, scaling.trend, scaling.slope),
        sources=_products(points, scaling.sources, 1.0),
    )
    best = minimize(
        density,
        np.clip(begin, low, high),
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(low, high, strict=True)),
        options={"maxiter": max_iter},
    )
    hyper = Hyperparameters.from_vector(best.x, blocks=len(blocks), further=further)
    return _cautious(hyper, given.freedom)


def _cautious(hyper: Hyperparameters, freedom: int) -> Hyperparameters:
    """Take the noise at the upper end of what f labels beyond the first ones allow.

    That of the one-sided interval of a variance, ``(f + 1) / chi2_(f+1)(1 - level)`` times what
    they tell, the prior being worth one more. What is particular is less by as much: of single
    labels nothing changes. A few repeats that happen to be near each other look like no noise at
    all; a search that believed it would see no use in more of them, and never learn better.
    """
    factor = (freedom + 1) / float(chdtri(freedom + 1, _LEVEL))
    moved = min(hyper.noise * (factor - 1.0), hyper.particular)
    return replace(hyper, noise=hyper.noise + moved, particular=hyper.particular - moved)


def is_repeated(repeats: Repeats | None) -> bool:
    """Tell whether repeats tell noise from what is particular to an architecture."""
    return repeats is not None and (repeats.freedom > 0 or bool((repeats.errors == 0).any()))


def _products(points: Reals, columns: Any, slopes: Any) -> Floats | float:
    """Return the covariance by linear trends, shape (n, n); 0 without one."""
    if len(columns) == 0:
        return 0.0
    linear = (points[:, columns] * slopes).astype(np.float64)
    return np.asarray(linear @ linear.T)


def _squared_distances(block: Reals) -> Floats:
    exact = block.astype(np.float64)
    norms = np.einsum("ij,ij->i", exact, exact)
    distances = norms[:, None] + norms - 2 * exact @ exact.T
    np.fill_diagonal(distances, 0.0)
    return np.asarray(np.maximum(distances, 0.0))


def negative_log_posterior(
    vector: Floats,
    *,
    distances: Floats,
    targets: Floats,
    repeats: Repeats,
    center: Floats,
    width: Floats,
    trend: Floats | float = 0.0,
    sources: Floats | float = 0.0,
    further: Sequence[str] = (),
) -> tuple[float, Floats]:
    """Negative log posterior density of the hyperparameters, and its gradient.

    The marginal likelihood times normal priors. With ``K = k(X, X) + particular I + noise
    diag(errors)`` and the mean m by generalised least squares (eq. 2.42 with one constant column),
    ``m = 1' K^-1 y / 1' K^-1 1``, ``a = K^-1 (y - m)``, it is
    ``-log p = (y - m)' a / 2 + log|K| / 2 + const`` (eq. 5.8), and its derivative by
    a hyperparameter ``-tr((a a' - K^-1) dK) / 2`` (eq. 5.9). The f labels beyond the first
    ones of their architectures add ``f log(noise) / 2 + squares / (2 noise)``.

    Parameters
    ----------
    vector : ndarray, shape (g + 2,) or (g + 3,)
        See `Hyperparameters.from_vector`.
    distances : ndarray, shape (g, n, n)
        Squared distances in each block.
    targets : ndarray, shape (n,)
        Of mean about 0 and variance about 1.
    repeats : Repeats
    center, width : ndarray, of the same shape as `vector`
        Mean and standard deviation of the priors.
    trend : ndarray, shape (n, n), optional
        Covariance by a linear trend of variance 1.
    sources : ndarray, shape (n, n), optional
        Covariance by the trends of sources.
    further : sequence of str
        Hyperparameters at the end of `vector`: "trend", "particular".
    """
    hyper = Hyperparameters.from_vector(vector, blocks=len(distances), further=further)
    n = len(targets)
    weights = 1.0 / hyper.lengths**2
    r = np.sqrt(5.0 * np.tensordot(weights, distances, axes=1))
    decay = hyper.variance * np.exp(-r)
    scores = (1 + r + r**2 / 3) * decay
    covariance = scores + hyper.trend * trend + sources
    covariance.flat[:: n + 1] += hyper.particular + hyper.noise * repeats.errors + _JITTER
    factor, failed = lapack.dpotrf(covariance, lower=1, clean=1)
    if failed:
        return 1e10, np.zeros_like(vector)
    solved = cho_solve((factor, True), np.stack([targets, np.ones(n)], axis=1))
    mean = solved[:, 0].sum() / solved[:, 1].sum()
    alpha = solved[:, 0] - mean * solved[:, 1]
    half, _ = lapack.dpotri(factor, lower=1)  # K^-1: the lower triangle; zeros above it
    outer = np.outer(alpha, alpha) - half
    half.flat[:: n + 1] = 0.0
    outer -= half.T
    # dk / d log l_g = 5/3 v d_g^2 / l_g^2 (1 + r) exp(-r)
    by_length = 5.0 / 3.0 * weights * np.tensordot(distances, outer * (1 + r) * decay, axes=2)
    likelihood = 0.5 * (targets - mean) @ alpha + np.log(np.diag(factor)).sum()
    left = repeats.squares / hyper.noise
    likelihood += 0.5 * (repeats.freedom * np.log(hyper.noise) + left)
    by_noise = hyper.noise * (repeats.errors * np.diagonal(outer)).sum() - repeats.freedom + left
    by_further = {
        "trend": lambda: hyper.trend * np.vdot(trend, outer),
        "particular": lambda: hyper.particular * np.trace(outer),
    }
    by_others = [by_noise, *(by_further[name]() for name in further)]
    gradient = -0.5 * np.concatenate([[np.vdot(scores, outer)], by_length, by_others])
    z = (vector - center) / width
    return float(likelihood + 0.5 * z @ z), gradient + z / width


class Posterior:
    """A Gaussian process given the labels of n points, n grown a few at a time.

    All of it comes from the lower triangular L of ``L L' = K``, see `negative_log_posterior`,
    and from whitened covariances, ``W = L^-1 k(X, x)`` for points x: of f(x) the mean
    is ``m + w' L^-1 (y - m)`` and the covariance ``k(x, x) - W' W`` (eq. 2.25, 2.26 and
    algorithm 2.1); m is the mean by generalised least squares (eq. 2.42).

    Parameters
    ----------
    kernel : Kernel

    Attributes
    ----------
    points : ndarray of float, shape (n, f)
        Scaled features.
    factor : ndarray of float, shape (n, n)
        L.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.points: Reals = np.empty((0, len(kernel.weights)), dtype=np.float32)
        self.factor: Floats = np.empty((0, 0))
        #: L^-1, and the covariance with the points.
        self._inverse: tuple[Reals, Across] | None = None

    def append(self, points: Reals, *, errors: Floats | None = None) -> tuple[Floats, Floats]:
        """Add m points with the errors of their labels, see `Repeats`; by default 1 each.

        With the new covariance ``[[K, B], [B', C]]`` the factor is ``[[L, 0], [A, S]]``,
        ``A = (L^-1 B)'`` and ``S S' = C - A A'``, the Schur complement of K (eq. A.12).

        Returns
        -------
        across, corner : ndarray of float, shapes (m, n) and (m, m)
            A and S. Where W is known, its new rows are ``S^-1 (k(new, x) - A W)``.
        """
        old, new = self.points, points
        across = np.empty((len(new), 0))
        if len(old):
            cross = self.kernel(old, new).astype(np.float64)
            across = solve_triangular(self.factor, cross, lower=True).T
        schur = self.kernel(new, new).astype(np.float64) - across @ across.T
        hyper = self.kernel.hyper
        noise = hyper.noise * (1.0 if errors is None else errors)
        schur.flat[:: len(new) + 1] += hyper.particular + noise + _JITTER
        corner = np.linalg.cholesky(schur)
        factor = np.zeros((len(old) + len(new), len(old) + len(new)))
        factor[: len(old), : len(old)] = self.factor
        factor[len(old) :, : len(old)], factor[len(old) :, len(old) :] = across, corner
        self.factor, self.points = factor, np.concatenate([old, new])
        self._inverse = None
        return across, np.asarray(corner, dtype=np.float64)

    def truncate(self, count: int) -> None:
        """Forget all points after so many."""
        self.factor, self.points = self.factor[:count, :count], self.points[:count]
        self._inverse = None

    def learn(self, targets: Floats) -> None:
        """Take the labels, shape (n,), of all points there are; points of later have none.

        A point without a label changes no mean, as if its label were as predicted.
        """
        scaled, self._center, self._scale = standardize(targets)
        both = np.stack([scaled, np.ones(len(scaled))], axis=1)
        both = solve_triangular(self.factor, both, lower=True)
        self._mean = float(both[:, 0] @ both[:, 1] / (both[:, 1] @ both[:, 1]))
        self._residuals = both[:, 0] - self._mean * both[:, 1]
        self._labels = scaled

    def whiten(self, points: Reals) -> Reals:
        """Return W of points, shape (m, f), in their precision; shape (n, m)."""
        if self._inverse is None:
            # A product with the inverse is several times faster than solving, and there
            # are many products a round.
            inverse, _ = lapack.dtrtri(self.factor, lower=1)
            inverse = np.ascontiguousarray(np.tril(inverse), dtype=points.dtype)
            self._inverse = inverse, Across(self.kernel, self.points)
        inverse, across = self._inverse
        product = blas.strmm if points.dtype == np.float32 else blas.dtrmm
        # Columns come first in these routines: what they see are the transposes of W = L^-1 k.
        whitened = product(1.0, inverse.T, across(points).T, side=1, overwrite_b=1)
        return np.asarray(whitened.T)

    def mean(self, whitened: Reals) -> Floats:
        """Return the mean, in units of the targets, of points with W; shape (m,)."""
        residuals = self._residuals.astype(whitened.dtype)
        mean = self._mean + residuals @ whitened[: len(residuals)]
        return np.asarray(mean.astype(np.float64) * self._scale + self._center)

    def std(self, variance: Reals) -> Floats:
        """Return standard deviations, in units of the targets, of variances on our scale."""
        std = np.sqrt(np.maximum(variance, _SMALLEST_VARIANCE)).astype(np.float64)
        return np.asarray(std * self._scale)

    def joint(self, errors: Floats, points: Reals, whitened: Reals) -> Joint:
        """Return what is known of the scores behind the labels, together with f at points.

        The score behind label i is ``y_i - e_i``, where its error e_i is what another
        training would change: normal, of variance ``D_i = noise errors_i``. The covariance
        of e with y is D, so by eq. 2.25 and 2.26 with ``V = L^-1 D`` its mean is
        ``V' L^-1 (y - m)``, its covariance ``D - V' V``, and that of the score with f(x)
        is ``V' W``.

        Parameters
        ----------
        errors : ndarray of float, shape (n,)
            See `Repeats`.
        points : ndarray of float, shape (m, f)
        whitened : ndarray of float, shape (n, m)
            W of them.
        """
        n, unit, hyper = len(errors), self._scale**2, self.kernel.hyper
        error = hyper.noise * errors
        mixed = solve_triangular(self.factor, np.eye(len(self.factor), n) * error, lower=True)
        labels = self._labels - self._residuals @ mixed[:n]
        across = mixed.T @ whitened.astype(np.float64)
        others, _ = self.covariance(points, whitened)
        corner = (np.diag(error) - mixed.T @ mixed) * unit
        covariance = np.block([[corner, across * unit], [across.T * unit, others]])
        mean = np.concatenate([labels * self._scale + self._center, self.mean(whitened)])
        return Joint(mean, covariance, hyper.particular * unit, hyper.noise * unit)

    def covariance(self, points: Reals, whitened: Reals) -> tuple[Floats, float]:
        """Return the covariance of points with W, shape (m, m), and the noise of one label."""
        exact = self.kernel(points, points) - whitened.T @ whitened
        unit = self._scale**2
        noise = self.kernel.hyper.noise + self.kernel.hyper.particular
        return exact.astype(np.float64) * unit, noise * unit
