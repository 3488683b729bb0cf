"""Architectures at random, as the phases of a training say."""

from __future__ import annotations

from collections.abc import Sequence

from weaknas.spaces import Genotypes, SearchSpace
from weaknas.supernets.samplers._base import Sampler
from weaknas.supernets.schedule import Phase, phase_of


class Uniform(Sampler):
    """Draws what the phase of the epoch says, and learns nothing.

    Parameters
    ----------
    space : SearchSpace
    phases : sequence of Phase
        See `weaknas.supernets.make_phases`.
    seed : int
    """

    def __init__(self, space: SearchSpace, phases: Sequence[Phase], *, seed: int = 0) -> None:
        self.phases = phases
        super().__init__(space, seed=seed)

    def draw(self, step: int) -> Genotypes:
        """Return the genotypes to train in a step, shape (n, d)."""
        return phase_of(self.phases, self.epoch)[0].draw(self.space, self._rng)
