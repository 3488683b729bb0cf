"""What an architecture that a search returns costs, known or predicted by models."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from weaknas.spaces import Architecture, ConstrainedSpace, SearchSpace
from weaknas.spaces.limits.uncertain import INTERVAL, UncertainCost


@dataclass(frozen=True)
class PredictedCost:
    """A cost of one architecture, as it would be measured.

    Parameters
    ----------
    cost : str
    unit : str
    median, low, high : float
        With the ends of the central interval of 90 %; all the same where it was measured.
    limits : dict of str to float
        Of each limit on this cost, the probability that it holds.
    """

    cost: str
    unit: str
    median: float
    low: float
    high: float
    limits: dict[str, float]

    def __str__(self) -> str:
        text = f"{self.median:.4g} {self.unit}, "
        if self.low == self.high:
            text += "measured"
        else:
            text += f"with {100 * INTERVAL:g} % between {self.low:.4g} and {self.high:.4g}"
        held = [f"{limit} holds with probability {p:.3f}" for limit, p in self.limits.items()]
        return "; ".join([text, *held])

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)


def predict_costs(space: SearchSpace, architecture: Architecture) -> list[PredictedCost]:
    """Return what is predicted of an architecture's costs that are not known exactly."""
    rows = space.canonicalize(space.genotypes([architecture]))
    constraints = space.constraints if isinstance(space, ConstrainedSpace) else ()
    found = []
    for name, cost in space.costs().items():
        if not isinstance(cost, UncertainCost):
            continue
        tail = (1 - INTERVAL) / 2
        low, median, high = (
            float(value[0]) for value in cost.quantiles(rows, (tail, 0.5, 1 - tail))
        )
        limits = {
            str(constraint): float(constraint.bind(cost).probability(rows)[0])
            for constraint in constraints
            if constraint.cost == name
        }
        found.append(PredictedCost(name, cost.unit, median, low, high, limits))
    return found


def known_costs(space: SearchSpace, architecture: Architecture) -> dict[str, float]:
    """Return the costs of an architecture that are known exactly, by name."""
    rows = space.canonicalize(space.genotypes([architecture]))
    costs = space.costs().items()
    return {
        name: float(cost(rows)[0]) for name, cost in costs if not isinstance(cost, UncertainCost)
    }
