"""The contract of a sampler: which architecture of a supernet is trained next."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import check_seed
from weaknas.spaces import Genotypes, SearchSpace, distinct

_DRAWS = 5  # for one architecture: some are drawn twice
Rewards = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Lessons:
    """When a sampler learns, and of how many architectures.

    Parameters
    ----------
    size : int
        Architectures of a lesson, each judged on a minibatch of held-out images.
    after_step : int
        Lessons after each step of the weights.
    after_epoch : int
        Lessons after an epoch of the weights.
    period : int
        Epochs from one such phase to the next.
    """

    size: int = 0
    after_step: int = 0
    after_epoch: int = 0
    period: int = 1


class Sampler(ABC):
    """Draws the architectures that a supernet is trained with, and learns which are good.

    All that is random in an epoch is drawn by a generator of seed and epoch, so that a
    training that is continued after an epoch goes on as it would have.

    Parameters
    ----------
    space : SearchSpace
    seed : int

    Attributes
    ----------
    lessons : Lessons
        What the training asks of it; none where it does not learn.
    """

    lessons = Lessons()

    def __init__(self, space: SearchSpace, *, seed: int = 0) -> None:
        self.space, self.seed = space, check_seed(seed)
        self.epoch = 0
        self._rng = np.random.default_rng()
        self.begin(0)

    def begin(self, epoch: int) -> None:
        """Begin an epoch of the weights, the first being 0."""
        self.epoch = epoch
        self._rng = np.random.default_rng([self.seed, epoch, 1])

    @abstractmethod
    def draw(self, step: int) -> Genotypes:
        """Return the genotypes to train in a step of the epoch, shape (n, d)."""

    def audition(self) -> Genotypes:
        """Return the genotypes to judge in the next lesson, shape (n, d)."""
        return np.concatenate([self.draw(0) for _ in range(self.lessons.size)])

    def learn(self, genotypes: Genotypes, rewards: Rewards) -> None:  # noqa: B027 optional
        """Learn from a lesson.

        Parameters
        ----------
        genotypes : ndarray of int, shape (n, d)
        rewards : ndarray of float, shape (n,)
            Accuracies on minibatches of held-out images, fractions.
        """

    def favorites(self, n: int) -> Genotypes:
        """Return up to n architectures, each once, to choose the best of; shape (m, d)."""
        drawn = np.concatenate([self.draw(0) for _ in range(_DRAWS * n)])
        return distinct(self.space, drawn)[:n]

    def describe(self) -> dict[str, Any]:
        """Return what decides the draws besides the seed, as plain JSON types."""
        return {}

    def state(self) -> dict[str, Any]:
        """Return what was learnt, for a checkpoint: tensors and plain types."""
        return {}

    def restore(self, saved: Mapping[str, Any]) -> None:  # noqa: B027 optional
        """Take over what `state` returned."""
