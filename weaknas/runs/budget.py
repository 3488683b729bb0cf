"""When a run ends, and which strategies and evaluators go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from weaknas.errors import MOST_NUMBER, InputError, check_number, check_whole
from weaknas.evaluators import Evaluator, FunctionEvaluator, HasFidelities, Repeatable
from weaknas.runs.trials import Trial
from weaknas.spaces import SearchSpace
from weaknas.strategies import Strategy


@dataclass(frozen=True)
class Budget:
    """When a run ends: a number of queries, seconds of training, or whichever comes first."""

    queries: int | None = None
    cost: float | None = None

    def begin(self, strategy: Strategy, evaluator: Evaluator) -> Self:
        """Tell a strategy what it can spend, and return it in plain numbers.

        Raises
        ------
        InputError
            When there is nothing, it is not positive, above the number of architectures
            where none is trained again, or not what the strategy needs to know.
        """
        if self.queries is None and self.cost is None:
            raise InputError("a run needs a budget: of queries, of cost in seconds, or both")
        queries, cost = self.queries, self.cost
        if cost is not None:
            cost = check_number("budget_cost", cost, above=0, most=MOST_NUMBER)
        if queries is not None:
            queries = check_budget(queries, None)
        strategy.begin(queries, evaluator.trainings if isinstance(evaluator, Repeatable) else None)
        if queries is not None and not _can_repeat(strategy):
            check_budget(queries, strategy.space, len(strategy.fidelities))
        return replace(self, queries=queries, cost=cost)

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


def check_budget(budget: int, space: SearchSpace | None, fidelities: int = 1) -> int:
    """Return a number of trainings as `int`, if it can be spent in the space that is given.

    Raises
    ------
    InputError
        When the budget is below 1 or above the number of architectures, each
        counted once a fidelity.
    """
    budget = check_whole("the budget", budget)
    if space is None or not space.is_listable:
        return budget
    count = len(space.architecture_fingerprints)
    if budget > count * fidelities:
        levels = f" at {fidelities} fidelities" if fidelities > 1 else ""
        raise InputError(
            f"the budget of {budget} queries is above the {count} architectures of"
            f" {space.name!r}{levels} (isomorphic ones count once)"
        )
    return budget


def _can_repeat(strategy: Strategy) -> bool:
    """Tell whether architectures are trained again, by the trainings that a random one has."""
    if strategy.trainings is None or not strategy.may_repeat:
        return False
    row = strategy.space.sample(1, np.random.default_rng(0))
    return strategy.trainings(strategy.space.architectures(row)[0]) > 1


def check_fidelities(strategy: Strategy, evaluator: Evaluator) -> None:
    """Refuse a strategy that asks for fidelities which the evaluator does not have.

    An evaluator says by an attribute `fidelities` which lower ones it has; one
    without is taken to train for any number of epochs, a plain function for none.

    Raises
    ------
    InputError
        When there is such a fidelity.
    """
    needed = [level for level in strategy.fidelities if level is not None]
    offered: Sequence[float] = needed
    if isinstance(evaluator, HasFidelities):
        offered = evaluator.fidelities
    elif isinstance(evaluator, FunctionEvaluator):
        offered = ()
    for level in needed:
        if level not in offered:
            raise InputError(
                f"{type(strategy).__name__} asks for the fidelity {level:g}, where the evaluator"
                f" has {', '.join(f'{f:g}' for f in offered) or 'none below full training'}"
            )
