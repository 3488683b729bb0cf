"""The kernel of the Gaussian process, and the scale of the features that it sees.

Numbers of equations are those of Rasmussen and Williams, Gaussian Processes for Machine
Learning, 2006.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from weaknas.predictors.labels import Floats

Singles: TypeAlias = npt.NDArray[np.float32]
#: Single precision in searches, double in the estimator.
Reals: TypeAlias = npt.NDArray[np.floating[Any]]

#: Added to the variance of every label, so that factors of covariances exist.
JITTER = 1e-6
_CACHED = 2**18  # numbers of 4 bytes that are worked on at a time
_TYPICAL_NOISE = 0.05


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
