"""A search strategy, e.g. WeakNAS, says which architectures a supernet is trained with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from weaknas.errors import InputError, check_number, check_whole
from weaknas.spaces import Genotypes
from weaknas.strategies import Strategy
from weaknas.supernets.samplers._base import Lessons, Rewards, Sampler


class Searching(Sampler):
    """What a strategy asks for is trained, then judged, and the strategy told.

    Every `period` epochs the strategy is asked for architectures. Until it is told of
    them each step trains one of them, or, with the chance `share`, a random one of the space.
    All accuracies rise while the weights are trained; the strategy is
    told how much better each is than the mean of as many random ones, of which it is told
    likewise.

    Parameters
    ----------
    strategy : Strategy
        Fresh.
    seed : int
        Of what is drawn at random.
    proposals : int
        Architectures that are asked for at a time.
    share : float
        Of steps that train a random architecture, in [0, 1].
    period : int
        Epochs from one asking to the next.

    Raises
    ------
    InputError
        When a number is out of range.
    """

    def __init__(
        self,
        strategy: Strategy,
        *,
        seed: int = 0,
        proposals: int = 4,
        share: float = 0.5,
        period: int = 1,
    ) -> None:
        self.strategy = strategy
        self.proposals = check_whole("proposals", proposals, most=10_000)
        self.share = check_number("share", share, least=0, most=1)
        check_whole("period", period)
        self._told: list[tuple[list[list[int]], list[float]]] = []
        self._proposed = np.empty((0, strategy.space.n_variables), strategy.space.genotype_dtype)
        self._waits = False  # for what was asked
        super().__init__(strategy.space, seed=seed)
        self.lessons = Lessons(2 * proposals, after_epoch=1, period=period)

    def draw(self, step: int) -> Genotypes:
        """Return one genotype, shape (1, d)."""
        self._ask()
        if not len(self._proposed) or self._rng.random() < self.share:
            return self.space.sample(1, self._rng)
        return self._proposed[self._rng.integers(len(self._proposed), size=1)]

    def audition(self) -> Genotypes:
        """Return what was asked for and as many random ones, shape (n, d)."""
        self._ask()
        return np.concatenate([self._proposed, self.space.sample(self.proposals, self._rng)])

    def learn(self, genotypes: Genotypes, rewards: Rewards) -> None:
        """Tell the strategy how much better than the random ones each is."""
        scores = (rewards - rewards[-self.proposals :].mean()).tolist()
        self._tell(genotypes, scores)
        self._told.append((genotypes.tolist(), scores))

    def favorites(self, n: int) -> Genotypes:
        """Return up to n architectures that the strategy expects to be the best, shape (m, d)."""
        best = [contender.architecture for contender in self.strategy.contenders(n)]
        return self.space.genotypes(best)

    def _ask(self) -> None:
        if not self._waits:
            self._proposed = self.space.genotypes(self.strategy.ask(self.proposals))
            self._waits = True

    def _tell(self, genotypes: Genotypes, scores: list[float]) -> None:
        self.strategy.tell(genotypes, scores)  # type: ignore[arg-type]
        self._waits = False

    def describe(self) -> dict[str, Any]:
        """Return what decides the draws besides the seed, as plain JSON types."""
        return {
            "strategy": self.strategy.describe(),
            "proposals": self.proposals,
            "share": self.share,
            "period": self.lessons.period,
        }

    def state(self) -> dict[str, Any]:
        """Return what the strategy was told; replayed it brings the strategy where it was."""
        return {"told": self._told, "waits": self._waits}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Ask and tell again what was asked and told.

        Raises
        ------
        InputError
            When the strategy proposes something else now.
        """
        for rows, scores in saved["told"]:
            self._ask()
            genotypes = np.array(rows, dtype=self.space.genotype_dtype)
            if not np.array_equal(genotypes[: len(self._proposed)], self._proposed):
                raise InputError(
                    "the strategy proposes other architectures than before: the training was"
                    " begun by another version of weaknas and cannot be continued exactly"
                )
            self._tell(genotypes, scores)
            self._told.append((rows, scores))
        if saved["waits"]:
            self._ask()
