"""A Gaussian process on a fixed pool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.linalg import blas, solve_triangular

from weaknas.predictors._gp_active import ActiveLabels
from weaknas.predictors._gp_fit import fit_hyperparameters
from weaknas.predictors._gp_kernel import Hyperparameters, Kernel, Reals, Scaling, row_slices
from weaknas.predictors._gp_posterior import Posterior
from weaknas.predictors.labels import Floats, Joint, Repeats
from weaknas.predictors.pool import PoolModel, Rows

_FAR = 30.0  # root mean square distances from zero
_MOST = 2**18  # rows of a pool times draws of hyperparameters


class Points:
    """The rows of a pool. Their features are kept as they are, and scaled when looked at.

    Parameters
    ----------
    features : ndarray of float32, shape (N, f)
    scaling : Scaling
        Of these features.
    """

    def __init__(self, features: Any, scaling: Scaling) -> None:
        self.scaling = scaling
        self.features, self._origin = features, scaling.center
        # Products of columns that are far from zero lose digits of single precision.
        if (np.abs(scaling.center * scaling.scale) > _FAR).any():
            self.features, self._origin = features - self._origin, np.zeros_like(self._origin)

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, rows: Rows) -> Reals:
        """Return scaled features of rows, shape (n, f)."""
        return np.asarray(
            (self.features[rows] - self._origin) * self.scaling.scale, dtype=np.float32
        )

    def covariances(self, kernels: Sequence[Kernel], data: Reals) -> Callable[[slice], list[Reals]]:
        """Return the covariances with scaled data, shape (n, f), as a function of rows.

        The function returns shape (n, m) by each kernel for a slice of m rows. Of ``r^2 = |x|^2
        + |p|^2 - 2 x p`` the lengths of the pool's rows are known by blocks, and centre and
        scale go into x: one product with the features as they are is left, for all kernels.
        """
        weighted = [data * kernel.weights for kernel in kernels]
        factors = -2.0 * np.stack(weighted) * self.scaling.scale
        own = np.einsum("kij,ij->ki", weighted, data)
        offsets = (own - factors @ self._origin)[:, :, None]
        slopes = [kernel.linear(data) * kernel.slopes.astype(np.float32) for kernel in kernels]
        stacked = factors.reshape(-1, factors.shape[-1])

        def covariances_of(rows: slice) -> list[Reals]:
            squares = (stacked @ self.features[rows].T).reshape(*factors.shape[:2], -1)
            squares += offsets
            columns, found = self.columns(rows, kernels[0]), []
            for kernel, square, slope in zip(kernels, squares, slopes, strict=True):
                lengths = self.scaling.norms[rows] @ kernel.block_weights
                found.append(kernel.from_squares(np.add(square, lengths, out=square)))
                if slope.size:
                    found[-1] += slope @ columns.T
            return found

        return covariances_of

    def columns(self, rows: slice, kernel: Kernel) -> Reals:
        """Return the scaled columns with a trend, without scaling the others."""
        trend = kernel.trend
        columns = self.features[rows][:, kernel.columns] - self._origin[trend]
        return np.asarray(columns * self.scaling.scale[trend])


class WhitenedPool:
    """The posterior by one kernel over all rows of a pool.

    New labels extend the Cholesky factor and the whitened covariance with the pool,
    which is exact and cheap. All is computed anew only after `start`.

    Parameters
    ----------
    points : Points

    Attributes
    ----------
    posterior : Posterior
    """

    posterior: Posterior

    def __init__(self, points: Points) -> None:
        self._points = points
        # Rows of the whitened covariance with the pool, and room for more.
        self._buffer: Reals = np.empty((0, len(points)), dtype=np.float32)

    def start(self, hyper: Hyperparameters) -> None:
        """Forget all labels, and take these hyperparameters."""
        kernel = Kernel(hyper, self._points.scaling)
        self.posterior = Posterior(kernel)
        self._variance = np.full(len(self._points), hyper.variance, dtype=np.float32)
        for rows in row_slices(len(self._points), 1):
            trend = self._points.columns(rows, kernel) * kernel.slopes.astype(np.float32)
            self._variance[rows] += np.einsum("ij,ij->i", trend, trend)

    def predict(self) -> tuple[Floats, Floats]:
        """Return mean and variance of every row of the pool."""
        return self.posterior.mean(self.whitened()), self.posterior.std(self._variance) ** 2

    def whitened(self, rows: Rows | slice = slice(None)) -> Reals:
        """Return the whitened covariance with rows of the pool."""
        return self._buffer[: len(self.posterior.points), rows]

    def extension(self, across: Floats, corner: Floats) -> Callable[[slice, Reals], None]:
        """Return what takes labels over to the pool that were appended to the posterior.

        Parameters
        ----------
        across, corner : ndarray of float, shapes (n, k) and (n, n)
            See `Posterior.append`.

        Returns
        -------
        callable
            To be called for all rows of the pool: with a slice of m, and the covariance of the
            new labels with these, shape (n, m), which is overwritten.
        """
        count, known = across.shape
        inverse = solve_triangular(corner, np.eye(len(corner)), lower=True)
        mix, inverse = (inverse @ across).astype(np.float32), inverse.astype(np.float32)
        old, new = self._reserve(known, count)

        def extend(part: slice, covariance: Reals) -> None:
            # S^-1 k(new, x) - (S^-1 A) W, see `Posterior.append`; columns come first in strmm:
            # what it sees are transposes
            added = new[:, part]
            product = blas.strmm(
                1.0, inverse, covariance.T, side=1, lower=1, trans_a=1, overwrite_b=1
            )
            added[...] = product.T
            if known:
                added -= mix @ old[:, part]
            self._variance[part] -= np.einsum("ij,ij->j", added, added)

        return extend

    def _reserve(self, known: int, count: int) -> tuple[Reals, Reals]:
        """Return the rows of the buffer in use, and so many after them that are not."""
        if known + count > len(self._buffer):
            # What is never written to takes no memory: room until the next start.
            grown = np.empty((2 * (known + count), len(self._points)), dtype=np.float32)
            grown[:known] = self._buffer[:known]
            self._buffer = grown
        return self._buffer[:known], self._buffer[known : known + count]

    def truncate(self, count: int) -> None:
        """Forget all labels after so many."""
        dropped = self._buffer[count : len(self.posterior.points)]
        self._variance += np.einsum("ij,ij->j", dropped, dropped)
        self.posterior.truncate(count)


class GaussianProcessPool(PoolModel):
    """`GaussianProcess` on a fixed pool.

    The hyperparameters are fitted again whenever the data have grown by a quarter.

    Parameters
    ----------
    features : ndarray of float32, shape (N, f)
    groups, trend, additive, sources, max_iter : optional
        See `GaussianProcess`.
    draws : int
        See `GaussianProcess`; fewer for a pool where so many would be slow.
    seed : int
        Of these.
    """

    _GROWTH = 1.25

    def __init__(
        self,
        features: Any,
        *,
        groups: Sequence[Any] | None = None,
        trend: Sequence[int] | None = None,
        additive: bool = False,
        sources: Sequence[int] | None = None,
        max_iter: int = 15,
        draws: int = 0,
        seed: int = 0,
    ) -> None:
        scaling = Scaling(features, groups=groups, trend=trend, additive=additive, sources=sources)
        self._points, self._max_iter = Points(features, scaling), max_iter
        self._active, self._all_rows = ActiveLabels(self._GROWTH), np.empty(0, dtype=np.int64)
        self._rng, count = np.random.default_rng(seed), 1 + min(draws, _MOST // len(features))
        typical = Hyperparameters.typical(len(scaling.blocks))
        #: By the mode of the hyperparameters, and by draws.
        self._members = [WhitenedPool(self._points) for _ in range(count)]
        self._start([typical] * count)

    @property
    def hyperparameters(self) -> Hyperparameters:
        """Their mode, for scaled features and standardised targets."""
        return self._members[0].posterior.kernel.hyper

    def fit(self, rows: Rows, targets: Floats, repeats: Repeats | None = None) -> None:
        """Condition on the rows, shape (n,), with targets, means of so many trainings."""
        must_fit = self._active.update(targets, repeats)
        self._all_rows, active = rows, self._active.indices
        rows, targets, repeats = rows[active], targets[active], self._active.of(repeats)
        if must_fit:
            learnt = fit_hyperparameters(
                self._points[rows],
                targets,
                scaling=self._points.scaling,
                start=self.hyperparameters,
                max_iter=self._max_iter,
                repeats=repeats,
            )
            self._start([learnt.mode, *learnt.draws(len(self._members) - 1, self._rng)])
        errors = np.ones(len(rows)) if repeats is None else repeats.errors
        self._keep(_common_prefix((self._rows, self._errors), (rows, errors)))
        self._append(rows[len(self._rows) :], errors[len(self._rows) :])
        for member in self._members:
            member.posterior.learn(targets)

    def predict(self) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of every row of the pool."""
        means, variances = zip(*(member.predict() for member in self._members), strict=True)
        mean = np.mean(means, axis=0)
        return mean, np.sqrt(np.mean(variances, axis=0) + np.var(means, axis=0))

    def condition(self, rows: Rows) -> None:
        """Take rows for queried: means stay, deviations shrink."""
        self._append(rows, np.ones(len(rows)))

    def covariance(self, rows: Rows) -> tuple[Floats, float]:
        """Return the covariance of rows, shape (m, m), and the noise of one training."""
        points, means, noises = self._points[rows], [], []
        total = np.zeros((len(rows), len(rows)))
        for member in self._members:
            whitened = member.whitened(rows)
            covariance, noise = member.posterior.covariance(points, whitened)
            total += covariance
            means.append(member.posterior.mean(whitened))
            noises.append(noise)
        apart = means - np.mean(means, axis=0)
        total += apart.T @ apart
        total /= len(means)
        return total, float(np.mean(noises))

    def joint(self, errors: Floats, rows: Rows) -> Joint:
        """Return the scores behind the labels, together with those of rows; see `Posterior`."""
        member, others = self._members[0], self._active.others(len(errors))
        rows = np.concatenate([self._all_rows[others], rows])
        active = errors[self._active.indices]
        joint = member.posterior.joint(active, self._points[rows], member.whitened(rows))
        return self._active.spread(joint, others)

    def _start(self, hypers: Sequence[Hyperparameters]) -> None:
        self._rows: Rows = np.empty(0, dtype=np.int64)
        self._errors: Floats = np.empty(0)
        for member, hyper in zip(self._members, hypers, strict=True):
            member.start(hyper)

    def _append(self, rows: Rows, errors: Floats) -> None:
        if len(rows) == 0:
            return
        data, width = self._points[rows], max(len(rows), len(self._rows))
        kernels = [member.posterior.kernel for member in self._members]
        covariances = self._points.covariances(kernels, data)
        extensions = []
        for member in self._members:
            grown = member.posterior.append(data, errors=errors)
            extensions.append(member.extension(*grown))
        for part in row_slices(len(self._points), width):
            for extend, covariance in zip(extensions, covariances(part), strict=True):
                extend(part, covariance)
        self._rows = np.concatenate([self._rows, rows])
        self._errors = np.concatenate([self._errors, errors])

    def _keep(self, count: int) -> None:
        """Forget all rows after so many."""
        if count < len(self._rows):
            self._rows, self._errors = self._rows[:count], self._errors[:count]
            for member in self._members:
                member.truncate(count)


def _common_prefix(old: tuple[Rows, Floats], new: tuple[Rows, Floats]) -> int:
    """Return how many labels, of rows and errors, begin both in the same order."""
    length = min(len(old[0]), len(new[0]))
    same = (old[0][:length] == new[0][:length]) & (old[1][:length] == new[1][:length])
    return length if same.all() else int(np.argmin(same))
