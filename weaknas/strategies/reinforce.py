"""REINFORCE."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import check_number
from weaknas.spaces import Genotypes, SearchSpace
from weaknas.strategies._stepwise import StepwiseStrategy

Logits = npt.NDArray[np.float64]

_BLOCK = 64  # drawn together where the first is not in the space


def probabilities(logits: Logits) -> Logits:
    """Return the softmax of each row of shape (d, k); logits of -inf get 0."""
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def score_function(logits: Logits, genotype: npt.NDArray[np.integer]) -> Logits:
    """Return the gradient of the log-probability of one genotype with respect to the logits.

    Parameters
    ----------
    logits : ndarray of float, shape (d, k)
    genotype : ndarray of int, shape (d,)

    Returns
    -------
    ndarray of float, shape (d, k)
        ``onehot(genotype) - probabilities(logits)``.
    """
    gradient = -probabilities(logits)
    gradient[np.arange(len(gradient)), genotype] += 1
    return gradient


class Reinforce(StepwiseStrategy):
    """Policy gradient with one categorical distribution a decision (Williams 1992, eq. 4).

    The controller of the experiments of NAS-Bench-101 (Ying et al., ICML 2019):
    independent categoricals, a moving average of the scores as baseline. The
    logits follow the gradient by Adam (Kingma and Ba 2015), so that the step does
    not depend on the unit of the score, as long as scores differ by more than some 1e-7.
    Combinations that are not in the space are drawn again; a failed evaluation counts as the
    worst score so far.

    Parameters
    ----------
    space : SearchSpace
    learning_rate : float
        Of Adam, above 0.
    momentum : float
        Of the baseline, in [0, 1): the weight of its previous value.
    seed : int
    batch_size : int
        Draws of a round, from one policy.

    Raises
    ------
    InputError
        When a number is out of range.
    """

    tries = 30  # a policy that has settled rarely draws anything else

    def __init__(
        self,
        space: SearchSpace,
        *,
        learning_rate: float = 0.1,
        momentum: float = 0.9,
        seed: int = 0,
        batch_size: int = 1,
    ) -> None:
        super().__init__(space, seed=seed, batch_size=batch_size)
        self.learning_rate = check_number("learning_rate", learning_rate, above=0)
        self.momentum = check_number("momentum", momentum, least=0, below=1)
        choices = np.arange(int(space.cardinalities.max()))
        self._logits = np.where(choices < space.cardinalities[:, None], 0.0, -np.inf)
        self._baseline: float | None = None
        self._mean, self._square = np.zeros((2, *self._logits.shape))
        self._updates = 0

    def describe(self) -> dict[str, Any]:
        """Return what decides the proposals, as plain JSON types."""
        return super().describe() | {
            "learning_rate": self.learning_rate,
            "momentum": self.momentum,
        }

    def _draw(self) -> Genotypes | None:
        cumulative = probabilities(self._logits).cumsum(axis=1)
        for count in (1, _BLOCK):
            uniform = self._rng.random((count, self.space.n_variables, 1))
            drawn = (uniform > cumulative).sum(axis=2)
            drawn = np.minimum(drawn, self.space.cardinalities - 1)  # rounding
            drawn = drawn.astype(self.space.genotype_dtype)
            inside = self.space.contains(drawn)
            if inside.any():
                row: Genotypes = drawn[int(np.argmax(inside))]
                return row
        return None

    def _step(self, genotype: Genotypes, score: float) -> None:
        reward = self.history.worst if math.isnan(score) else score
        if reward is None:
            return
        baseline = reward if self._baseline is None else self._baseline
        self._ascend((reward - baseline) * score_function(self._logits, genotype))
        self._baseline = self.momentum * baseline + (1 - self.momentum) * reward

    def _ascend(self, gradient: Logits) -> None:
        """Take a step of Adam (Algorithm 1, with the paper's constants)."""
        self._updates += 1
        self._mean = 0.9 * self._mean + 0.1 * gradient
        self._square = 0.999 * self._square + 0.001 * gradient**2
        mean = self._mean / (1 - 0.9**self._updates)
        spread = np.sqrt(self._square / (1 - 0.999**self._updates))
        self._logits += self.learning_rate * mean / (spread + 1e-8)
