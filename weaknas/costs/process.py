"""A Gaussian process on blocks of features for few observations, some of which may be wrong.

The prior is a sum of linear functions of the features of each block (Rasmussen and Williams,
Gaussian Processes for Machine Learning, 2006, section 2.1), each with a scale of its own. Ten
observations cannot tell the scales, so predictions are averaged over a grid of them by the
evidence of each. Noise has Student's t distribution, a normal one whose variance differs
from observation to observation (Lange, Little and Taylor, JASA 1989): one measurement
that went wrong loses its weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

Floats: TypeAlias = npt.NDArray[np.float64]
#: Features of the same architectures, shapes (n, f1), (n, f2), ...: rows of norm about 1.
Blocks: TypeAlias = Sequence[Floats]

#: Degrees of freedom of the noise.
FREEDOM = 4.0
#: Standard deviations of the noise that are averaged over.
NOISE = (0.05, 0.1, 0.2)
_LEVEL = 3.0  # standard deviation of the constant, around the median
_STEPS = 8  # of expectation and maximisation; weights change little after


def grid(scales: Sequence[Sequence[float]]) -> Floats:
    """Return all combinations of scales of the blocks, shape (c, blocks)."""
    return np.array(list(product(*scales)))


class Process:
    """The process given observations.

    Parameters
    ----------
    blocks : sequence of ndarray, shapes (n, f1), (n, f2), ...
    values : ndarray, shape (n,)
    scales : ndarray, shape (c, blocks)
        Standard deviations that the blocks contribute, the members of the grid.
    """

    def __init__(self, blocks: Blocks, values: Floats, scales: Floats) -> None:
        self._blocks = _with_level(blocks)
        self._median = float(np.median(values))
        variances = np.repeat(np.column_stack([scales, np.full(len(scales), _LEVEL)]) ** 2,
                              len(NOISE), axis=0)  # fmt: skip
        noise = np.tile(np.square(NOISE), len(scales))
        grams = np.stack([block @ block.T for block in self._blocks])
        prior = np.tensordot(variances, grams, axes=1)
        shifted = values - self._median
        weights = _noise_weights(prior, shifted, noise)
        inverse = _inverse(prior, noise, weights)
        dual = inverse @ shifted
        evidence = _log_evidence(inverse, dual @ shifted, weights)
        share = np.exp(evidence - evidence.max())
        #: Logarithm of the evidence, averaged over the grid.
        self.log_evidence = float(evidence.max() + np.log(share.mean()))
        share /= share.sum()
        diagonal = np.diagonal(inverse, axis1=1, axis2=2)
        #: What each observation is expected to be from all others, shape (n,).
        self.left_out = values - share @ (dual / diagonal)
        # Mean and second moment of all members at once, as a linear and a quadratic form of the
        # products with the observations: these are kᵀa, and v + s² - kᵀA⁻¹k + (kᵀa)² with
        # k = sum over blocks of variance times products.
        size = variances.shape[1] * len(values)
        moments = dual[:, :, None] * dual[:, None, :] - inverse
        weighted = share[:, None] * variances
        self._linear = np.einsum("cb,ci->bi", weighted, dual).reshape(size)
        self._quadratic = np.einsum(
            "cb,cd,cij->bidj", weighted, variances, moments, optimize=True
        ).reshape(size, size)
        self._norms, self._noise = share @ variances, float(share @ noise)

    def predict(self, blocks: Blocks) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of what would be observed, shapes (m,).

        Parameters
        ----------
        blocks : sequence of ndarray, shapes (m, f1), (m, f2), ...
        """
        given = _with_level(blocks)
        products = np.hstack(
            [block @ known.T for block, known in zip(given, self._blocks, strict=True)]
        )
        norms = np.stack([np.einsum("mf,mf->m", block, block) for block in given], axis=1)
        mean = products @ self._linear
        square = np.einsum("mi,mi->m", products @ self._quadratic, products) + norms @ self._norms
        spread = np.maximum(square - mean**2, 0.0) + self._noise
        return mean + self._median, np.sqrt(spread)


def _with_level(blocks: Blocks) -> list[Floats]:
    """Return the blocks and one for the level of all, a column of ones."""
    return [*(np.asarray(b, dtype=np.float64) for b in blocks), np.ones((len(blocks[0]), 1))]


def _noise_weights(prior: Floats, values: Floats, noise: Floats) -> Floats:
    """Return the weight of each observation in each member, shape (c, n): about 1, or little."""
    weights: Floats = np.ones((len(prior), len(values)))
    for _ in range(_STEPS):
        inverse = _inverse(prior, noise, weights)
        variance = noise[:, None] / weights
        residual = variance * (inverse @ values)
        spread = variance - variance**2 * np.diagonal(inverse, axis1=1, axis2=2)
        expected = (residual**2 + spread) / noise[:, None]
        weights = (FREEDOM + 1) / (FREEDOM + expected)
    return weights


def _inverse(prior: Floats, noise: Floats, weights: Floats) -> Floats:
    noisy = prior + (noise[:, None] / weights)[:, :, None] * np.eye(prior.shape[1])
    return np.asarray(np.linalg.inv(noisy), dtype=np.float64)


def _log_evidence(inverse: Floats, fit: Floats, weights: Floats) -> Floats:
    """Return the log of the density of observations and noise weights, up to a constant."""
    half = FREEDOM / 2
    density = half * np.log(half) - gammaln(half) + (half - 0.5) * np.log(weights) - half * weights
    evidence: Floats = 0.5 * np.linalg.slogdet(inverse)[1] - 0.5 * fit + density.sum(axis=1)
    return evidence


def choose(blocks: Blocks, scales: Sequence[float], n: int, noise: float = 0.1) -> list[int]:
    """Return which rows to observe so that the variance of all others becomes small.

    One after the other, the row whose observation lowers the sum of all variances
    most (Seo et al., IJCNN 2000; Cohn, 1996): what is chosen depends on no value.

    Parameters
    ----------
    blocks : sequence of ndarray, shapes (m, f1), (m, f2), ...
    scales : sequence of float
        Standard deviations that the blocks contribute.
    n : int
        At most m.
    noise : float
        Standard deviation of an observation.
    """
    covariance = np.full((len(blocks[0]),) * 2, _LEVEL**2)
    for scale, block in zip(scales, blocks, strict=True):
        covariance += scale**2 * block @ block.T
    chosen: list[int] = []
    for _ in range(n):
        variance = np.diagonal(covariance) + noise**2
        gain = (covariance**2).sum(axis=0) / variance
        gain[chosen] = -1.0
        best = int(np.argmax(gain))
        chosen.append(best)
        column = covariance[:, best]
        covariance = covariance - np.outer(column, column) / variance[best]
    return chosen
