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

    def covariance(self, kernel: Kernel, data: Reals) -> Callable[[slice], Reals]:
        """Return the covariance with scaled data, shape (n, f), as a function of rows of the pool.

        The function returns shape (m, n) for a slice of m rows. Of ``r^2 = |x|^2 + |p|^2
        - 2 x p`` the lengths of the pool's rows are known by blocks, and centre and scale
        go into x: one product with the features as they are is left.
        """
        weighted = data * kernel.weights
        factors = (-2.0 * weighted * self.scaling.scale).T
        offset = np.einsum("ij,ij->i", weighted, data) - self._origin @ factors
        slopes = kernel.linear(data).T

        def covariance_of(rows: slice) -> Reals:
            squares: Reals = self.features[rows] @ factors
            squares += offset
            squares += (self.scaling.norms[rows] @ kernel.block_weights)[:, None]
            covariance = kernel.from_squares(squares)
            if len(kernel.trend):
                covariance += self.linear(rows, kernel) @ slopes
            return covariance

        return covariance_of

    def linear(self, rows: slice, kernel: Kernel) -> Reals:
        """Return `Kernel.linear` of rows of the pool without scaling their other columns."""
        trend = kernel.trend
        columns = self.features[rows][:, trend] - self._origin[trend]
        return np.asarray(columns * self.scaling.scale[trend] * kernel.slopes.astype(np.float32))


class WhitenedPool:
    """The posterior of one kernel over all rows of a pool.

    New rows extend the Cholesky factor and the whitened covariance with the pool,
    which is exact and cheap. All is computed anew only after `start`.

    Parameters
    ----------
    points : Points
    hyper : Hyperparameters

    Attributes
    ----------
    posterior : Posterior
    """

    def __init__(self, points: Points, hyper: Hyperparameters) -> None:
        self._points = points
        # Rows of the whitened covariance with the pool, and room for more.
        self._buffer: Reals = np.empty((0, len(points)), dtype=np.float32)
        self.start(hyper)

    def start(self, hyper: Hyperparameters) -> None:
        """Forget all labels, and take other hyperparameters."""
        kernel = Kernel(hyper, self._points.scaling)
        self.posterior = Posterior(kernel)
        self._rows: Rows = np.empty(0, dtype=np.int64)
        self._errors: Floats = np.empty(0)
        self._variance = np.full(len(self._points), hyper.variance, dtype=np.float32)
        for rows in row_slices(len(self._points), 1):
            trend = self._points.linear(rows, kernel)
            self._variance[rows] += np.einsum("ij,ij->i", trend, trend)

    def predict(self) -> tuple[Floats, Floats]:
        """Return mean and variance of every row of the pool."""
        return self.posterior.mean(self.whitened()), self.posterior.std(self._variance) ** 2

    def whitened(self, rows: Rows | slice = slice(None)) -> Reals:
        """Return the whitened covariance with rows of the pool."""
        return self._buffer[: len(self._rows), rows]

    def append(self, rows: Rows, errors: Floats) -> None:
        """Add rows, shape (m,), with the errors of their labels, see `Repeats`."""
        if len(rows) == 0:
            return
        known, data = len(self._rows), self._points[rows]
        across, corner = self.posterior.append(data, errors=errors)
        inverse = solve_triangular(corner, np.eye(len(corner)), lower=True)
        mix, inverse = (inverse @ across).astype(np.float32), inverse.astype(np.float32)
        old, new = self._reserve(len(rows))
        covariance = self._points.covariance(self.posterior.kernel, data)
        for part in row_slices(len(self._points), max(len(rows), known)):
            # S^-1 k(new, x) - (S^-1 A) W, see `Posterior.append`
            added = new[:, part]
            added[...] = blas.strmm(1.0, inverse, covariance(part).T, lower=1, overwrite_b=1)
            if known:
                added -= mix @ old[:, part]
            self._variance[part] -= np.einsum("ij,ij->j", added, added)
        self._rows = np.concatenate([self._rows, rows])
        self._errors = np.concatenate([self._errors, errors])

    def _reserve(self, count: int) -> tuple[Reals, Reals]:
        """Return the rows of the buffer in use, and so many after them that are not."""
        known = len(self._rows)
        if known + count > len(self._buffer):
            # What is never written to takes no memory: room until the next start.
            grown = np.empty((2 * (known + count), len(self._points)), dtype=np.float32)
            grown[:known] = self._buffer[:known]
            self._buffer = grown
        return self._buffer[:known], self._buffer[known : known + count]

    def keep(self, rows: Rows, errors: Floats) -> int:
        """Forget all but the first rows that are these, in this order; return how many they are."""
        count = _common_prefix((self._rows, self._errors), (rows, errors))
        dropped = self._buffer[count : len(self._rows)]
        if len(dropped):
            self._variance += np.einsum("ij,ij->j", dropped, dropped)
            self._rows, self._errors = self._rows[:count], self._errors[:count]
            self.posterior.truncate(count)
        return count


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
        self._members = [WhitenedPool(self._points, typical) for _ in range(count)]

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
            hypers = [learnt.mode, *learnt.draws(len(self._members) - 1, self._rng)]
            for member, hyper in zip(self._members, hypers, strict=True):
                member.start(hyper)
        errors = np.ones(len(rows)) if repeats is None else repeats.errors
        for member in self._members:
            known = member.keep(rows, errors)
            member.append(rows[known:], errors[known:])
            member.posterior.learn(targets)

    def predict(self) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of every row of the pool."""
        means, variances = zip(*(member.predict() for member in self._members), strict=True)
        mean = np.mean(means, axis=0)
        return mean, np.sqrt(np.mean(variances, axis=0) + np.var(means, axis=0))

    def condition(self, rows: Rows) -> None:
        """Take rows for queried: means stay, deviations shrink."""
        for member in self._members:
            member.append(rows, np.ones(len(rows)))

    def covariance(self, rows: Rows) -> tuple[Floats, float]:
        """Return the covariance of rows, shape (m, m), and the noise of one training."""
        points, means, pairs = self._points[rows], [], []
        for member in self._members:
            whitened = member.whitened(rows)
            means.append(member.posterior.mean(whitened))
            pairs.append(member.posterior.covariance(points, whitened))
        covariances, noises = zip(*pairs, strict=True)
        apart = means - np.mean(means, axis=0)
        between = apart.T @ apart / len(means)
        return np.mean(covariances, axis=0) + between, float(np.mean(noises))

    def joint(self, errors: Floats, rows: Rows) -> Joint:
        """Return the scores behind the labels, together with those of rows; see `Posterior`."""
        member, others = self._members[0], self._active.others(len(errors))
        rows = np.concatenate([self._all_rows[others], rows])
        active = errors[self._active.indices]
        joint = member.posterior.joint(active, self._points[rows], member.whitened(rows))
        return self._active.spread(joint, others)


def _common_prefix(old: tuple[Rows, Floats], new: tuple[Rows, Floats]) -> int:
    """Return how many labels, of rows and errors, begin both in the same order."""
    length = min(len(old[0]), len(new[0]))
    same = (old[0][:length] == new[0][:length]) & (old[1][:length] == new[1][:length])
    return length if same.all() else int(np.argmin(same))
