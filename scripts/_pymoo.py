"""NSGA-II of pymoo on a table, against which ours is measured; needs pymoo."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.problem import Problem
from pymoo.core.repair import Repair
from pymoo.operators.crossover.pntx import TwoPointCrossover
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair

from weaknas.evaluators import TabularBenchmark, evaluation_seed
from weaknas.spaces import Costs, SubsetSpace


class Decisions(Problem):  # type: ignore[misc]
    """The decisions of a space as whole numbers; values are told."""

    def __init__(self, benchmark: TabularBenchmark, objectives: int) -> None:
        space = benchmark.space
        super().__init__(
            n_var=space.n_variables, n_obj=objectives, xl=0, xu=space.cardinalities - 1, vtype=int
        )


class NearestNew(Repair):  # type: ignore[misc]
    """Every proposal becomes the most similar architecture of the table that is new."""

    def __init__(self, space: SubsetSpace) -> None:
        super().__init__()
        self.space, self.taken = space, set[int]()

    def _do(self, problem: Problem, X: npt.NDArray[Any], **options: Any) -> npt.NDArray[Any]:
        return np.stack([self._mended(row) for row in np.rint(X).astype(np.int64)])

    def _mended(self, row: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        member = self.space.nearest(row, self.taken)
        self.taken.add(int(self.space.fingerprint(member[None])[0]))
        return member.astype(np.int64)


def search(
    benchmark: TabularBenchmark, costs: Costs, budget: int, seed: int, population: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return scores, shape (budget,), and costs, shape (budget, k), of what is trained in turn.

    The operators are pymoo's: two-point crossover, polynomial mutation of the index
    that NSGA-Net has, rounding. It starts with a random sample of the table.
    """
    space = benchmark.space
    assert isinstance(space, SubsetSpace)
    chosen = np.random.default_rng(seed).choice(space.size, population, replace=False)
    algorithm = NSGA2(
        pop_size=population,
        sampling=space.enumerate()[chosen],
        crossover=TwoPointCrossover(prob=0.9),
        mutation=PM(prob_var=1 / space.n_variables, eta=3, vtype=float, repair=RoundingRepair()),
        repair=NearestNew(space),
    )
    algorithm.setup(
        Decisions(benchmark, 1 + len(costs.names)), termination=("n_eval", budget), seed=seed
    )
    scores = np.empty(0)
    prices = np.empty((0, len(costs.names)))
    while len(scores) < budget:
        infills = algorithm.ask()
        rows = np.asarray(infills.get("X"), dtype=np.int64)
        told = [
            benchmark.evaluate(each, seed=evaluation_seed(seed, each)).score
            for each in space.architectures(space.canonicalize(rows))
        ]
        infills.set("F", np.column_stack([-np.array(told), costs(rows)]))
        algorithm.tell(infills=infills)
        scores, prices = np.append(scores, told), np.vstack([prices, costs(rows)])
    return scores[:budget], prices[:budget]
