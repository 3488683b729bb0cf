"""ENAS: an LSTM draws the architectures; and the same with a memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from weaknas.errors import check_whole
from weaknas.spaces import Genotypes, SearchSpace
from weaknas.strategies.controller import Controller, PolicyGradient
from weaknas.supernets.samplers._base import Lessons, Rewards, Sampler

_TRIES = 30  # blocks, where the controller draws what is not in the space


class ENAS(Sampler):
    """An LSTM controller that learns in turns with the weights (Pham et al., ICML 2018).

    "Efficient neural architecture search via parameter sharing", arXiv:1802.03268, section
    2.2: an epoch of the weights, one drawn architecture a step; then the weights
    rest, and each lesson averages the policy gradient over some draws, the reward
    of each its accuracy on one minibatch of held-out images. Defaults are those of the
    authors' search of cells, whose code divides the tanh constant by 2.5 for operations.

    Parameters
    ----------
    space : SearchSpace
    seed : int
    lessons : int
        After each epoch.
    draws : int
        Architectures of a lesson.
    learning_rate, momentum, entropy : float
        See `weaknas.strategies.controller.PolicyGradient`.
    hidden, layers, initial_range, temperature, tanh_constant
        See `weaknas.strategies.controller.Controller`.

    Raises
    ------
    InputError
        When a number is out of range.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int = 0,
        lessons: int = 30,
        draws: int = 10,
        learning_rate: float = 3.5e-3,
        momentum: float = 0.99,
        entropy: float = 1e-4,
        hidden: int = 64,
        layers: int = 1,
        initial_range: float = 0.1,
        temperature: float = 1.0,
        tanh_constant: float = 1.1,
    ) -> None:
        super().__init__(space, seed=seed)
        size = check_whole("draws", draws, most=100_000)
        self.lessons = Lessons(size, after_epoch=check_whole("lessons", lessons, least=0))
        lstm = {
            "hidden": hidden,
            "layers": layers,
            "initial_range": initial_range,
            "temperature": temperature,
            "tanh_constant": tanh_constant,
        }
        learning = {"learning_rate": learning_rate, "momentum": momentum, "entropy": entropy}
        self._settings: dict[str, Any] = {"lessons": lessons, "draws": draws, **learning, **lstm}
        self.controller = Controller(space, seed=self.seed, **lstm)  # type: ignore[arg-type]
        self.policy = PolicyGradient(self.controller, **learning)

    def draw(self, step: int) -> Genotypes:
        """Return one genotype, shape (1, d)."""
        return self.draws(1)

    def audition(self) -> Genotypes:
        """Return the genotypes to judge in the next lesson, shape (n, d)."""
        return self.draws(self.lessons.size)

    def draws(self, n: int) -> Genotypes:
        """Draw genotypes that are in the space from the controller, shape (n, d)."""
        drawn: list[Genotypes] = []
        for _ in range(_TRIES):
            missing = n - sum(map(len, drawn))
            if not missing:
                break
            drawn.append(self.controller.draw_inside(missing, self._rng))
        # A controller that knows nothing of the limits of the space.
        drawn.append(self.space.sample(n - sum(map(len, drawn)), self._rng))
        return np.concatenate(drawn)

    def learn(self, genotypes: Genotypes, rewards: Rewards) -> None:
        """Take a step of the policy gradient."""
        self.policy.learn(genotypes, rewards)

    def describe(self) -> dict[str, Any]:
        """Return what decides the draws besides the seed, as plain JSON types."""
        return self._settings

    def state(self) -> dict[str, Any]:
        """Return controller, optimizer and baseline."""
        return self.policy.state()

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take over what `state` returned."""
        self.policy.restore(saved)


class MemoryENAS(ENAS):
    """ENAS whose controller is kept from forgetting (Adam and Lorraine 2019).

    "Understanding neural architecture search techniques", arXiv:1904.00438: from an
    epoch on architectures are stored as they are drawn; later every lesson adds the mean
    negative log-likelihood, by teacher forcing, of some of them to the loss.

    Parameters
    ----------
    space : SearchSpace
    capacity : int
        Of the memory.
    stored : int
        Architectures that are drawn and stored after each epoch, while there is room.
    replaced : int
        Of a full memory, this many are replaced at random after each epoch.
    replayed : int
        Architectures of the memory in a lesson.
    store_from, replay_from : int
        Epochs, the first being 0.
    **enas
        See `ENAS`.

    Raises
    ------
    InputError
        When a number is out of range.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        capacity: int = 10_000,
        stored: int = 1000,
        replaced: int = 100,
        replayed: int = 100,
        store_from: int = 5,
        replay_from: int = 10,
        **enas: Any,
    ) -> None:
        self.capacity = check_whole("capacity", capacity, most=10_000_000)
        self.stored = check_whole("stored", stored, most=capacity)
        self.replaced = check_whole("replaced", replaced, least=0, most=capacity)
        self.replayed = check_whole("replayed", replayed, most=100_000)
        self.store_from = check_whole("store_from", store_from, least=1)
        self.replay_from = check_whole("replay_from", replay_from, least=self.store_from)
        self.memory: Genotypes = np.empty((0, space.n_variables), space.genotype_dtype)
        super().__init__(space, **enas)

    def begin(self, epoch: int) -> None:
        """Begin an epoch; what is stored is drawn by the controller as it is now."""
        super().begin(epoch)
        if epoch < self.store_from:
            return
        room = min(self.stored, self.capacity - len(self.memory))
        if room:
            self.memory = np.concatenate([self.memory, self.draws(room)])
        else:
            places = self._rng.choice(self.capacity, self.replaced, replace=False)
            self.memory[places] = self.draws(self.replaced)

    def learn(self, genotypes: Genotypes, rewards: Rewards) -> None:
        """Take a step of the policy gradient, and of the memory from its epoch on."""
        replayed = None
        if self.epoch >= self.replay_from:
            replayed = self.memory[self._rng.integers(len(self.memory), size=self.replayed)]
        self.policy.learn(genotypes, rewards, replayed)

    def describe(self) -> dict[str, Any]:
        """Return what decides the draws besides the seed, as plain JSON types."""
        return super().describe() | {
            "capacity": self.capacity,
            "stored": self.stored,
            "replaced": self.replaced,
            "replayed": self.replayed,
            "store_from": self.store_from,
            "replay_from": self.replay_from,
        }

    def state(self) -> dict[str, Any]:
        """Return controller, optimizer, baseline and memory."""
        memory = torch.from_numpy(self.memory.astype(np.int32))
        return super().state() | {"memory": memory}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take over what `state` returned."""
        super().restore(saved)
        self.memory = saved["memory"].numpy().astype(self.space.genotype_dtype)
