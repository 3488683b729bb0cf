"""The LSTM controller of Zoph and Le."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from weaknas.components import HasName
from weaknas.errors import InputError, check_whole, optional_import, unknown
from weaknas.spaces import Genotypes, SearchSpace
from weaknas.spaces.within import choices_within
from weaknas.strategies._stepwise import StepwiseStrategy

_MOST_REWARD = 1e12  # the square of it is a number of single precision
#: Score to reward.
Reward: TypeAlias = Callable[[float], float]


def _cube(score: float) -> float:
    return score**3


def _raw(score: float) -> float:
    return score


REWARDS: dict[str, Reward] = {"cube": _cube, "raw": _raw}


class LSTMController(StepwiseStrategy):
    """Policy gradient with an LSTM over the decisions (Zoph and Le 2017).

    "Neural architecture search with reinforcement learning", ICLR 2017
    (arXiv:1611.01578): every decision depends on those before it; the
    reward is the cubed accuracy, less a moving average. Each step averages the gradient
    over `samples` draws of one policy, by Adam, so that it does not depend on the unit of the
    score, as long as rewards differ by more than some 1e-7. What is not in the space is drawn
    again; a failed evaluation counts as the worst score so far. Needs torch.

    Parameters
    ----------
    space : SearchSpace
        Its decisions are taken in the order of `SearchSpace.variables`.
    hidden, layers : int
        Units of each layer of the LSTM, and layers.
    reward : {"cube", "raw"} or callable
        What of a score is the reward; a callable takes and returns a float.
    learning_rate : float
        Of Adam, above 0.
    momentum : float
        Of the baseline, in [0, 1): the weight of its previous value.
    entropy : float
        Weight of the entropy of the policy in the reward, 0 or more.
    initial_range, temperature, tanh_constant : float
        See `weaknas.strategies.controller.Controller`.
    samples : int
        Draws of a step.
    growth : sequence of SearchSpace
        Smaller spaces that are searched before the whole, by the same controller, as the paper
        lets the number of layers grow; see `weaknas.spaces.within.choices_within`.
    growth_trainings : int
        What is trained in each of them, unless it has no more; the paper has 1,600.
    seed : int
    batch_size : int
        Architectures of a round.

    Raises
    ------
    InputError
        When a number is out of range, the reward unknown or torch not installed; by ``tell``
        when a reward is beyond 1e12.
    """

    tries = 30  # a policy that has settled rarely draws anything else

    def __init__(  # noqa: PLR0913 the settings of the papers, all of which have a default
        self,
        space: SearchSpace,
        *,
        hidden: int = 35,
        layers: int = 2,
        reward: str | Reward = "cube",
        learning_rate: float = 0.01,
        momentum: float = 0.9,
        entropy: float = 0.0,
        initial_range: float = 0.08,
        temperature: float = 1.0,
        tanh_constant: float = 0.0,
        samples: int = 10,
        growth: Sequence[SearchSpace] = (),
        growth_trainings: int = 1600,
        seed: int = 0,
        batch_size: int = 1,
    ) -> None:
        super().__init__(space, seed=seed, batch_size=batch_size)
        if isinstance(reward, str) and reward not in REWARDS:
            raise unknown("reward", reward, REWARDS)
        optional_import("torch", "train")
        from weaknas.strategies.controller import Controller, PolicyGradient

        self.reward = reward
        self.samples = check_whole("samples", samples, most=10_000)
        self._settings = {
            "hidden": hidden,
            "layers": layers,
            "initial_range": initial_range,
            "temperature": temperature,
            "tanh_constant": tanh_constant,
            "learning_rate": learning_rate,
            "momentum": momentum,
            "entropy": entropy,
        }
        controller = Controller(
            space,
            hidden=hidden,
            layers=layers,
            initial_range=initial_range,
            temperature=temperature,
            tanh_constant=tanh_constant,
            seed=int(self._rng.integers(2**32)),
        )
        self.policy = PolicyGradient(
            controller, learning_rate=learning_rate, momentum=momentum, entropy=entropy
        )
        self.growth = tuple(growth)
        self.growth_trainings = check_whole("growth_trainings", growth_trainings)
        whole = np.arange(int(space.cardinalities.max())) < space.cardinalities[:, None]
        self._choices = [*(choices_within(space, each) for each in self.growth), whole]
        self._stage = 0
        controller.limit(self._choices[0])
        self._drawn: list[Genotypes] = []
        self._rewarded: list[tuple[Genotypes, float]] = []

    def describe(self) -> dict[str, Any]:
        """Return what decides the proposals, as plain JSON types."""
        named = self.reward  # the text of a function has its address
        reward = named.__qualname__ if isinstance(named, HasName) else str(named)
        grown = {
            "growth": [space.describe() for space in self.growth],
            "growth_trainings": self.growth_trainings,
        }
        described = super().describe() | self._settings
        described |= {"reward": reward, "samples": self.samples}
        return described | (grown if self.growth else {})

    def _propose(self, n: int) -> Genotypes:
        self._grow(self.history.told // self.growth_trainings)
        rows = super()._propose(n)
        while len(rows) == 0 and self._stage < len(self.growth):  # nothing new is left in it
            self._grow(self._stage + 1)
            rows = super()._propose(n)
        return rows

    def _grow(self, stage: int) -> None:
        """Go on in a larger space: what is drawn next is of it."""
        stage = min(stage, len(self.growth))
        if stage > self._stage:
            self._stage, self._drawn, self._rewarded = stage, [], []
            self.policy.controller.limit(self._choices[stage])

    def _draw(self) -> Genotypes | None:
        if not self._drawn:
            self._drawn = list(self.policy.controller.draw_inside(self.samples, self._rng)[::-1])
        return self._drawn.pop() if self._drawn else None

    def _step(self, genotype: Genotypes, score: float) -> None:
        known = self.history.worst if math.isnan(score) else score
        if known is None:
            return
        reward = REWARDS[self.reward] if isinstance(self.reward, str) else self.reward
        try:
            gained = reward(known)
        except OverflowError:
            gained = math.inf
        if not abs(gained) < _MOST_REWARD:
            raise InputError(
                f"reward={self.reward!r} of the score {known:g} is {gained:g}; it must be below"
                f" {_MOST_REWARD:g}: scale the scores, or give a reward that does"
            )
        self._rewarded.append((genotype, gained))
        if len(self._rewarded) >= self.samples:
            genotypes, rewards = zip(*self._rewarded, strict=True)
            self.policy.learn(np.stack(genotypes), np.array(rewards, dtype=np.float64))
            self._rewarded, self._drawn = [], []  # what is drawn next is of the new policy
