"""A search with several objectives: the score against costs that the space knows."""

from __future__ import annotations

import numpy as np

from weaknas.search.acquisition import Acquisition
from weaknas.search.belief import Belief, Evaluated
from weaknas.search.pareto import DominatedVolume, Floats
from weaknas.spaces import Costs, Genotypes

_BEYOND = 0.1  # of a range, from the worst to the reference


class HypervolumeImprovement(Acquisition):
    """Expected improvement of the volume that the evaluated architectures dominate.

    Costs are exact, the score is as predicted; see `DominatedVolume`. The volume is that of
    scores, whatever the predictor was fitted to. The reference
    is a tenth of the range worse than the worst: beyond the largest costs in the
    space, which are known before anything is paid for, and below the worst score
    of what was evaluated, so that both ends of the front count. A batch is chosen
    one after the other, each as if those before had come out as predicted (kriging
    believer, Ginsbourger et al. 2010).

    Parameters
    ----------
    costs : Costs
    """

    spreads = True

    def __init__(self, costs: Costs) -> None:
        self.costs = list(costs.names)
        self._costs = costs
        self._latest: tuple[Evaluated, DominatedVolume] | None = None

    def openers(self) -> Genotypes | None:
        """Begin with the cheapest architectures: they are on the front, whatever they score."""
        return self._costs.cheapest

    def values(self, belief: Belief) -> Floats:
        """Return the expected improvement of candidates, shape (n,)."""
        costs = self._costs(belief.genotypes)
        volume = self._volume(belief)
        return volume.expected_improvement(belief.mean, belief.std, costs, belief.scale)

    def weigh(self, values: Floats, logarithms: Floats) -> Floats:
        """Return the product with weights, of which the logarithms are given."""
        return values * np.exp(logarithms)

    def _volume(self, belief: Belief) -> DominatedVolume:
        """Return the volume of what was evaluated and, with it, of what is assumed."""
        evaluated, assumed = belief.evaluated, belief.assumed
        known = belief.scale(evaluated.mean)
        if assumed is not None:
            heights = np.concatenate([known, belief.scale(assumed.mean)])
            genotypes = np.vstack([evaluated.genotypes, assumed.genotypes])
            return self._dominated(heights, self._costs(genotypes), known)
        # An evolution asks many times in a round, of other candidates each time.
        if self._latest is None or self._latest[0] is not evaluated:
            costs = self._costs(evaluated.genotypes)
            self._latest = evaluated, self._dominated(known, costs, known)
        return self._latest[1]

    def _dominated(self, heights: Floats, costs: Floats, evaluated: Floats) -> DominatedVolume:
        low, high = float(evaluated.min()), float(evaluated.max())
        reference = low - _BEYOND * ((high - low) or 1.0)
        dearest, cheapest = self._costs.worst, self._costs.least
        limit = dearest + _BEYOND * np.where(dearest > cheapest, dearest - cheapest, 1.0)
        return DominatedVolume(heights, costs, reference, limit)
