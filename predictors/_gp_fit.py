"""Hyperparameters of the Gaussian process: their posterior density, its mode, draws from it.

A label is the mean of one training or more: ``y_i = f(x_i) + d_i + e_i``, f a Gaussian
process, d_i what is particular to the architecture and e_i what another training would
change, both normal, of variances ``particular`` and ``noise / count_i``. Numbers of equations
are those of Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from scipy.linalg import cho_solve, lapack
from scipy.optimize import minimize
from scipy.special import chdtri

from weaknas.predictors._base import standardize
from weaknas.predictors._gp_kernel import JITTER, Hyperparameters, Reals, Scaling
from weaknas.predictors.labels import Floats, Repeats

_SMALLEST_NOISE = 1e-4
_REMEMBERED = 30  # steps of the optimiser, of which there are seldom as many
# Posteriors have heavier tails than the normal approximation at their modes.
_WIDER = 1.5
_LEVEL = 0.6  # of the upper end of what repeats allow the noise to be
_TYPICAL = {"trend": 0.1, "particular": 0.08}  # where they are learnt
# Standard deviations of the log-normal priors. Features and targets are scaled
# before, so they mean the same for every data set.
_PRIOR_VARIANCE, _PRIOR_LENGTH, _PRIOR_NOISE, _PRIOR_FURTHER = 1.5, 0.5, 1.5, 1.5


@dataclass(frozen=True, eq=False, kw_only=True)
class HyperparameterPosterior:
    """A normal approximation of the posterior of the logarithms of hyperparameters.

    Around the mode, with the precision that a quasi-Newton method learns on its way there
    (Zhang et al., Pathfinder: Parallel quasi-Newton variational inference, JMLR 2022, sec. 2):
    that of the prior, updated by each step. Directions in which no step went keep the width of
    the prior.

    Parameters
    ----------
    mode : Hyperparameters
    vector : ndarray of float, shape (h,)
        Their logarithms, before caution with the noise.
    root : ndarray of float, shape (h, h)
        A root of the covariance.
    bounds : ndarray of float, shape (2, h)
        Smallest and largest logarithms.
    read : callable
        From logarithms to hyperparameters.
    """

    mode: Hyperparameters
    vector: Floats
    root: Floats
    bounds: Floats
    read: Callable[[Floats], Hyperparameters]

    def draws(self, count: int, rng: np.random.Generator) -> list[Hyperparameters]:
        """Draw hyperparameters, in pairs on both sides of the mode."""
        normal = rng.standard_normal(((count + 1) // 2, len(self.vector)))
        vectors = self.vector + _WIDER * np.vstack([normal, -normal])[:count] @ self.root.T
        return [self.read(vector) for vector in np.clip(vectors, *self.bounds)]


def fit_hyperparameters(
    points: Reals,
    targets: Floats,
    *,
    scaling: Scaling,
    start: Hyperparameters,
    max_iter: int,
    repeats: Repeats | None = None,
) -> HyperparameterPosterior:
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
    bounds = np.stack([center - 4 * width, center + 4 * width])
    bounds[0, len(blocks) + 1] = np.log(_SMALLEST_NOISE)
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
        np.clip(begin, *bounds),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds.T,
        options={"maxiter": max_iter, "maxcor": _REMEMBERED},
    )

    def read(vector: Floats) -> Hyperparameters:
        hyper = Hyperparameters.from_vector(vector, blocks=len(blocks), further=further)
        return _cautious(hyper, given.freedom)

    return HyperparameterPosterior(
        mode=read(best.x),
        vector=best.x,
        root=width[:, None] * _root(best.hess_inv.sk / width, best.hess_inv.yk * width),
        bounds=bounds,
        read=read,
    )


def _root(steps: Floats, changes: Floats) -> Floats:
    """Return a root of the covariance that steps tell of, shape (h, h).

    Parameters
    ----------
    steps, changes : ndarray of float, shape (k, h)
        Steps of a quasi-Newton method and by how much they changed the gradient, in units in
        which the prior is standard normal.
    """
    precision = np.eye(steps.shape[1])
    for step, change in zip(steps, changes, strict=True):
        moved = precision @ step
        # the update of Broyden, Fletcher, Goldfarb and Shanno (Nocedal and Wright 2006, eq. 6.19)
        precision += np.outer(change, change) / (change @ step)
        precision -= np.outer(moved, moved) / (step @ moved)
    values, vectors = np.linalg.eigh(precision)
    # No direction is less known than by the prior.
    return np.asarray(vectors / np.sqrt(np.maximum(values, 1.0)))


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
    covariance.flat[:: n + 1] += hyper.particular + hyper.noise * repeats.errors + JITTER
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
