"""MANAS: every decision is an agent with a distribution of its own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import check_number, check_whole
from weaknas.spaces import Genotypes, SearchSpace
from weaknas.strategies.reinforce import probabilities
from weaknas.supernets.samplers._base import Lessons, Rewards, Sampler

Floats = npt.NDArray[np.float64]
_TRIES = 1000  # of draws that are in the space


class _Agents(Sampler):
    """Independent agents that are told the loss of what they chose together.

    After each step of the weights one architecture that they draw is judged.
    Estimated losses of each choice are summed, and the chance of a choice is proportional to
    ``exp(-rate * sum)``.
    """

    lessons = Lessons(size=1, after_step=1)

    def __init__(self, space: SearchSpace, *, seed: int = 0) -> None:
        super().__init__(space, seed=seed)
        choices = np.arange(int(space.cardinalities.max()))
        self._is_choice = choices < space.cardinalities[:, None]
        #: Summed estimates of the loss of each choice, shape (d, k).
        self.losses: Floats = np.zeros(self._is_choice.shape)
        self.rounds = 0

    @property
    @abstractmethod
    def rates(self) -> Floats:
        """The learning rate of each agent, shape (d,)."""

    @property
    def probabilities(self) -> Floats:
        """The distribution of each agent, shape (d, k); 0 where it has fewer choices."""
        logits = np.where(self._is_choice, -self.rates[:, None] * self.losses, -np.inf)
        return probabilities(logits)

    def draw(self, step: int) -> Genotypes:
        """Return one genotype, shape (1, d)."""
        cumulative = self.probabilities.cumsum(axis=1)
        for _ in range(_TRIES):
            uniform = self._rng.random((1, self.space.n_variables, 1))
            drawn = (uniform > cumulative).sum(axis=2)
            drawn = np.minimum(drawn, self.space.cardinalities - 1)  # rounding
            drawn = drawn.astype(self.space.genotype_dtype)
            if self.space.contains(drawn)[0]:
                return drawn
        return self.space.sample(1, self._rng)

    def state(self) -> dict[str, Any]:
        """Return the summed estimates."""
        return {"losses": self.losses.tolist(), "rounds": self.rounds}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take over what `state` returned."""
        self.losses, self.rounds = np.array(saved["losses"]), saved["rounds"]


class MANAS(_Agents):
    """An agent a decision, each of which learns by Exp3 (Carlucci et al. 2019).

    "MANAS: multi-agent neural architecture search", arXiv:1909.01051. The loss, 1 less
    the accuracy, is credited to the choice of each agent by the inverse of its chance.
    Agents learn at the rate ``sqrt(ln k / (t k))`` of the anytime Exp3 (Bubeck and
    Cesa-Bianchi 2012, theorem 3.1).

    Parameters
    ----------
    space : SearchSpace
    seed : int
    rate : float
        Times that rate, above 0.

    Raises
    ------
    InputError
        When the rate is out of range.
    """

    def __init__(self, space: SearchSpace, *, seed: int = 0, rate: float = 1.0) -> None:
        super().__init__(space, seed=seed)
        self.rate = check_number("rate", rate, above=0)

    @property
    def rates(self) -> Floats:
        """The learning rate of each agent, shape (d,)."""
        choices = self.space.cardinalities
        return np.asarray(self.rate * np.sqrt(np.log(choices) / (max(self.rounds, 1) * choices)))

    def learn(self, genotypes: Genotypes, rewards: Rewards) -> None:
        """Credit losses to choices by importance weights."""
        agents = np.arange(self.space.n_variables)
        for genotype, reward in zip(genotypes, rewards.tolist(), strict=True):
            chances = self.probabilities[agents, genotype]
            self.losses[agents, genotype] += (1 - reward) / chances
            self.rounds += 1

    def describe(self) -> dict[str, Any]:
        """Return what decides the draws besides the seed, as plain JSON types."""
        return {"rate": self.rate}


class LeastSquaresMANAS(_Agents):
    """An agent a decision; what a choice adds to the loss is estimated by least squares.

    The second algorithm of Carlucci et al. 2019 (`MANAS`): with one-hot choices Z of the last
    architectures and their losses L the effects are the least-norm solution of
    ``min |Z beta - L|^2``. Agents add up the effects, from one lesson to the next.

    Parameters
    ----------
    space : SearchSpace
    seed : int
    rate : float
        At which summed effects make a choice less likely, above 0.
    window : int
        Last architectures that the effects are estimated from.

    Raises
    ------
    InputError
        When a number is out of range.
    """

    def __init__(
        self, space: SearchSpace, *, seed: int = 0, rate: float = 0.1, window: int = 500
    ) -> None:
        super().__init__(space, seed=seed)
        self.rate = check_number("rate", rate, above=0)
        self.window = check_whole("window", window, most=100_000)
        self._rows: list[list[int]] = []
        self._lost: list[float] = []

    @property
    def rates(self) -> Floats:
        """The learning rate of each agent, shape (d,)."""
        return np.full(self.space.n_variables, self.rate)

    @property
    def effects(self) -> Floats:
        """What each choice adds to the loss, less the mean of its decision; shape (d, k)."""
        rows, choices = np.array(self._rows), np.arange(self._is_choice.shape[1])
        chosen = (rows[:, :, None] == choices).reshape(len(rows), -1)
        solution = np.linalg.lstsq(chosen.astype(float), np.array(self._lost), rcond=None)[0]
        effects = solution.reshape(self._is_choice.shape)
        means = effects.mean(axis=1, keepdims=True, where=self._is_choice)
        return np.where(self._is_choice, effects - means, 0.0)

    def learn(self, genotypes: Genotypes, rewards: Rewards) -> None:
        """Estimate the effects anew, and add them up."""
        self._rows = [*self._rows, *genotypes.tolist()][-self.window :]
        self._lost = [*self._lost, *(1 - rewards).tolist()][-self.window :]
        self.losses += self.effects
        self.rounds += 1

    def describe(self) -> dict[str, Any]:
        """Return what decides the draws besides the seed, as plain JSON types."""
        return {"rate": self.rate, "window": self.window}

    def state(self) -> dict[str, Any]:
        """Return the summed effects and the window."""
        return super().state() | {"rows": self._rows, "lost": self._lost}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take over what `state` returned."""
        super().restore(saved)
        self._rows, self._lost = list(saved["rows"]), list(saved["lost"])
