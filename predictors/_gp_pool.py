"""A Gaussian process on a fixed pool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.linalg import blas, solve_triangular

from weaknas.predictors._gp import (
    Hyperparameters,
    Kernel,
    Posterior,
    Reals,
    Scaling,
    fit_hyperparameters,
    row_slices,
)
from weaknas.predictors._gp_active import ActiveLabels
from weaknas.predictors.labels import Floats, Joint, Repeats
from weaknas.predictors.pool import PoolModel, Rows

_FAR = 30.0  # root mean square distances from zero


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


class GaussianProcessPool(PoolModel):
    """`GaussianProcess` on a fixed pool.

    New rows extend the Cholesky factor and the whitened covariance with the pool,
    which is exact and cheap. All is computed anew only when the hyperparameters
    are fitted again: whenever the data have grown by a quarter.

    Parameters
    ----------
    features : ndarray of float32, shape (N, f)
    groups, trend, additive, sources, max_iter : optional
        See `GaussianProcess`.
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
    ) -> None:
        scaling = Scaling(features, groups=groups, trend=trend, additive=additive, sources=sources)
        self._points, self._max_iter = Points(features, scaling), max_iter
        self._active, self._all_rows = ActiveLabels(self._GROWTH), np.empty(0, dtype=np.int64)
        # Rows of the whitened covariance with the pool, and room for more.
        self._buffer: Reals = np.empty((0, len(features)), dtype=np.float32)
        self._start(Hyperparameters.typical(len(scaling.blocks)))

    @property
    def hyperparameters(self) -> Hyperparameters:
        """For scaled features and standardised targets."""
        return self._posterior.kernel.hyper

    def fit(self, rows: Rows, targets: Floats, repeats: Repeats | None = None) -> None:
        """Condition on the rows, shape (n,), with targets, means of so many trainings."""
        must_fit = self._active.update(targets, repeats)
        self._all_rows, active = rows, self._active.indices
        rows, targets, repeats = rows[active], targets[active], self._active.of(repeats)
        if must_fit:
            hyper = fit_hyperparameters(
                self._points[rows],
                targets,
                scaling=self._points.scaling,
                start=self.hyperparameters,
                max_iter=self._max_iter,
                repeats=repeats,
            )
            self._start(hyper)
        errors = np.ones(len(rows)) if repeats is None else repeats.errors
        self._keep(_common_prefix((self._rows, self._errors), (rows, errors)))
        self._append(rows[len(self._rows) :], errors[len(self._rows) :])
        self._posterior.learn(targets)

    def predict(self) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of every row of the pool."""
        known = self._buffer[: len(self._rows)]
        return self._posterior.mean(known), self._posterior.std(self._variance)

    def condition(self, rows: Rows) -> None:
        """Take rows for queried: means stay, deviations shrink."""
        self._append(rows, np.ones(len(rows)))

    def covariance(self, rows: Rows) -> tuple[Floats, float]:
        """Return the covariance of rows, shape (m, m), and the noise of one training."""
        return self._posterior.covariance(self._points[rows], self._buffer[: len(self._rows), rows])

    def joint(self, errors: Floats, rows: Rows) -> Joint:
        """Return the scores behind the labels, together with those of rows; see `Posterior`."""
        others = self._active.others(len(errors))
        rows = np.concatenate([self._all_rows[others], rows])
        whitened = self._buffer[: len(self._rows), rows]
        active = errors[self._active.indices]
        joint = self._posterior.joint(active, self._points[rows], whitened)
        return self._active.spread(joint, others)

    def _start(self, hyper: Hyperparameters) -> None:
        kernel = Kernel(hyper, self._points.scaling)
        self._posterior = Posterior(kernel)
        self._rows: Rows = np.empty(0, dtype=np.int64)
        self._errors: Floats = np.empty(0)
        self._variance = np.full(len(self._points), hyper.variance, dtype=np.float32)
        for rows in row_slices(len(self._points), 1):
            trend = self._points.linear(rows, kernel)
            self._variance[rows] += np.einsum("ij,ij->i", trend, trend)

    def _append(self, rows: Rows, errors: Floats) -> None:
        if len(rows) == 0:
            return
        known, data = len(self._rows), self._points[rows]
        across, corner = self._posterior.append(data, errors=errors)
        inverse = solve_triangular(corner, np.eye(len(corner)), lower=True)
        mix, inverse = (inverse @ across).astype(np.float32), inverse.astype(np.float32)
        old, new = self._reserve(len(rows))
        covariance = self._points.covariance(self._posterior.kernel, data)
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

    def _keep(self, count: int) -> None:
        """Forget all rows after so many."""
        dropped = self._buffer[count : len(self._rows)]
        if len(dropped):
            self._variance += np.einsum("ij,ij->j", dropped, dropped)
            self._rows, self._errors = self._rows[:count], self._errors[:count]
            self._posterior.truncate(count)


def _common_prefix(old: tuple[Rows, Floats], new: tuple[Rows, Floats]) -> int:
    """Return how many labels, of rows and errors, begin both in the same order."""
    length = min(len(old[0]), len(new[0]))
    same = (old[0][:length] == new[0][:length]) & (old[1][:length] == new[1][:length])
    return length if same.all() else int(np.argmin(same))
