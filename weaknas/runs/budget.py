"""When a run ends, and which strategies and evaluators go together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from weaknas.errors import InputError
from weaknas.evaluators import Evaluator, FunctionEvaluator
from weaknas.runs.trials import Trial
from weaknas.spaces import SearchSpace
from weaknas.strategies import Strategy


@dataclass(frozen=True)
class Budget:
    """When a run ends: a number of queries, seconds of training, or whichever comes first."""

    queries: int | None = None
    cost: float | None = None

    def check(self, space: SearchSpace, fidelities: int = 1, *, repeats: bool = False) -> None:
        """Refuse a budget that cannot be spent; with repeats it may exceed the space.

        Raises
        ------
        InputError
            When there is none, it is not positive or above the number of architectures.
        """
        if self.queries is None and self.cost is None:
            raise InputError("a run needs a budget: of queries, of cost in seconds, or both")
        if self.cost is not None and not 0 < self.cost < math.inf:
            raise InputError(f"the budget of cost must be above 0 seconds, not {self.cost}")
        if self.queries is not None:
            check_budget(self.queries, None if repeats else space, fidelities)

    def covers(self, number: int) -> bool:
        """Whether the trial of this number, from 0, is within the number of queries."""
        return self.queries is None or number < self.queries

    def allows(self, proposed: int, trials: Sequence[Trial]) -> bool:
        """Whether more may be proposed after so many proposals and what came of them.

        Raises
        ------
        InputError
            When the cost alone limits the run and evaluations report none.
        """
        if not self.covers(proposed):
            return False
        if self.cost is None:
            return True
        paid = sum(trial.evaluation.cost for trial in trials)
        if self.queries is None and paid == 0 and any(trial.is_ok for trial in trials):
            raise InputError(
                "the budget is in seconds of training, but the evaluations report no cost;"
                " give a number of queries"
            )
        return paid < self.cost

    def __str__(self) -> str:
        queries = None if self.queries is None else f"{self.queries} queries"
        cost = None if self.cost is None else f"{self.cost:g} s of training"
        return " and ".join(filter(None, (queries, cost)))


def check_budget(budget: int, space: SearchSpace | None, fidelities: int = 1) -> None:
    """Refuse a number of trainings that cannot be spent in a space, if one is given.

    Raises
    ------
    InputError
        When the budget is below 1 or above the number of architectures, each
        counted once a fidelity.
    """
    if budget < 1:
        raise InputError(f"the budget must be at least 1 query, not {budget}")
    if space is None or not space.is_listable:
        return
    count = len(space.architecture_fingerprints)
    if budget > count * fidelities:
        levels = f" at {fidelities} fidelities" if fidelities > 1 else ""
        raise InputError(
            f"the budget of {budget} queries is above the {count} architectures of"
            f" {space.name!r}{levels} (isomorphic ones count once)"
        )


def check_fidelities(strategy: Strategy, evaluator: Evaluator) -> None:
    """Refuse a strategy that asks for fidelities which the evaluator does not have.

    An evaluator says by an attribute `fidelities` which lower ones it has; one
    without is taken to train for any number of epochs, a plain function for none.

    Raises
    ------
    InputError
        When there is such a fidelity.
    """
    wanted = [level for level in strategy.fidelities if level is not None]
    offered = [] if isinstance(evaluator, FunctionEvaluator) else wanted
    offered = list(getattr(evaluator, "fidelities", offered))
    for level in wanted:
        if level not in offered:
            raise InputError(
                f"{type(strategy).__name__} asks for the fidelity {level:g}, where the evaluator"
                f" has {', '.join(f'{f:g}' for f in offered) or 'none below full training'}"
            )
