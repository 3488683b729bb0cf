"""What one run found within each of several limits on a cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from weaknas.spaces import SearchSpace
from weaknas.spaces.limits.constraints import parse_constraint
from weaknas.strategies import Contender


@dataclass(frozen=True)
class BestWithin:
    """The best of the trained architectures of which a limit holds.

    Parameters
    ----------
    limit : str
    best : Contender, optional
        None where it holds of none.
    cost : float, optional
        Of it; of a cost that is predicted, the median.
    """

    limit: str
    best: Contender | None = None
    cost: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        best = None if self.best is None else self.best.to_dict()
        return {"limit": self.limit, "best": best, "cost": self.cost}


def best_within(
    space: SearchSpace, contenders: Sequence[Contender], limits: Sequence[str]
) -> list[BestWithin]:
    """Return who is expected to be the best within each limit.

    Parameters
    ----------
    space : SearchSpace
        That has the costs.
    contenders : sequence of Contender
        All that were trained, the best first.
    limits : sequence of str
    """
    if not contenders:
        return [BestWithin(limit) for limit in limits]
    rows = space.canonicalize(space.genotypes([item.architecture for item in contenders]))
    found = []
    for text in limits:
        limit = parse_constraint(text)
        cost = space.costs()[limit.cost]
        held = np.flatnonzero(limit.bind(cost).distance(rows) == 0)
        if len(held):
            place = int(held[0])
            value = float(np.asarray(cost(rows[place : place + 1]))[0])
            found.append(BestWithin(text, contenders[place], value))
        else:
            found.append(BestWithin(text))
    return found
