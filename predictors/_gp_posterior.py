"""The posterior of the Gaussian process, by its Cholesky factor.

Numbers of equations are those of Rasmussen and Williams, Gaussian Processes for Machine
Learning, 2006.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import blas, lapack, solve_triangular

from weaknas.predictors._base import standardize
from weaknas.predictors._gp_kernel import JITTER, Across, Kernel, Reals
from weaknas.predictors.labels import Floats, Joint

_SMALLEST_VARIANCE = 1e-10


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
        # In double precision: rounding of single ones may be more than the noise.
        old, new = self.points.astype(np.float64), points.astype(np.float64)
        across = np.empty((len(new), 0))
        if len(old):
            across = solve_triangular(self.factor, self.kernel(old, new), lower=True).T
        schur = self.kernel(new, new) - across @ across.T
        hyper = self.kernel.hyper
        noise = hyper.noise * (1.0 if errors is None else errors)
        schur.flat[:: len(new) + 1] += hyper.particular + noise + JITTER
        corner = np.linalg.cholesky(schur)
        factor = np.zeros((len(old) + len(new), len(old) + len(new)))
        factor[: len(old), : len(old)] = self.factor
        factor[len(old) :, : len(old)], factor[len(old) :, len(old) :] = across, corner
        self.factor, self.points = factor, np.concatenate([self.points, points])
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
