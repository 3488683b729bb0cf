"""Experiments: strategies x data sets x seeds, to one table of queries."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from weaknas.components import parse_label, run_seed
from weaknas.errors import MOST_AT_ONCE, InputError, check_seed, check_whole, unknown
from weaknas.evaluators import HasTest, KnowsOptimum, Optimum, TabularBenchmark
from weaknas.laboratory.comparison_folder import QUERIES, Task
from weaknas.laboratory.statistics import best_so_far
from weaknas.registry import STRATEGIES, check_strategy_options, get_strategy
from weaknas.runs.problem import Problem, as_problem
from weaknas.runs.runner import Budget, run
from weaknas.runs.trials import Trial
from weaknas.search.pareto import hypervolume
from weaknas.spaces import Costs, SearchSpace
from weaknas.strategies import Contender, Strategy

Target: TypeAlias = Literal["validation", "test"]
#: A benchmark, or a callable without arguments that loads it.
BenchmarkSource: TypeAlias = TabularBenchmark | Callable[[], TabularBenchmark]
#: The same, or a problem of which the best architecture may not be known.
ProblemSource: TypeAlias = BenchmarkSource | Problem | Callable[[], Problem]
#: Called as ``factory(space, seed=seed)``.
StrategyFactory: TypeAlias = Callable[..., Strategy]


@dataclass(frozen=True)
class Experiment:
    """The design of a comparison.

    Everything in it is sent to other processes, so it must be picklable: classes,
    functions of modules, ``functools.partial`` of them. In a script, start it below
    ``if __name__ == "__main__":``.

    Parameters
    ----------
    space : str
        Name of the search space, for reports.
    benchmarks : mapping of str to TabularBenchmark, Problem or callable
        By data set; a callable loads the benchmark, once in every process. Where the
        best architecture is not known, strategies are compared by the expected score
        of what they return.
    strategies : mapping of str to callable
        By label; called as ``factory(space, seed=seed)``.
    runs : int
        Runs of each strategy on each data set.
    budget : int
        Trainings of a run, repeats included.
    seed : int
        Run k of every strategy has the same seed, derived from this one, and sees
        the same label for the same architecture.
    optimum : {"validation", "test"}
        By which mean score architectures are judged. What a search is shown, and
        chooses what it returns by, is always the objective of the benchmark.
    runs_of : mapping of str to int
        Other numbers of runs for some strategies, fewer where they are slow.
    budget_cost : float, optional
        Seconds of training after which a run ends too, see `weaknas.run`: the
        common measure where strategies train at several fidelities.
    objectives : sequence of str
        Costs of the space beside the score: runs are compared by the volume that what they
        trained dominates. Strategies that search a front must be built with them.

    Raises
    ------
    InputError
        When there is nothing to run or a number or name is out of range.
    """

    space: str
    benchmarks: Mapping[str, ProblemSource]
    strategies: Mapping[str, StrategyFactory]
    runs: int = 100
    budget: int = 300
    seed: int = 0
    optimum: Target = "validation"
    runs_of: Mapping[str, int] = field(default_factory=dict)
    budget_cost: float | None = None
    objectives: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not self.benchmarks or not self.strategies:
            raise InputError("an experiment needs at least one benchmark and one strategy")
        for name in self.runs_of:
            if name not in self.strategies:
                raise unknown("strategy of the comparison", name, self.strategies)
        for count in (self.runs, *self.runs_of.values()):
            check_whole("the number of runs", count, most=MOST_AT_ONCE)
        check_seed(self.seed)
        if self.optimum not in get_args(Target):
            raise unknown("optimum", self.optimum, get_args(Target))

    def n_runs(self, strategy: str) -> int:
        """Return the number of runs of a strategy on each data set."""
        return self.runs_of.get(strategy, self.runs)

    def run_seed(self, run: int) -> int:
        """Return the seed of run k, below 2**32; the same for all strategies and data sets."""
        return run_seed(self.seed, run)

    def tasks(self) -> list[Task]:
        """Return all runs, run by run, so that an interrupted experiment is balanced."""
        most = max(map(self.n_runs, self.strategies))
        return [
            Task(dataset, strategy, number)
            for number in range(most)
            for dataset in self.benchmarks
            for strategy in self.strategies
            if number < self.n_runs(strategy)
        ]

    def load(self, dataset: str) -> Problem:
        """Return what is searched, and the evaluator, of a data set."""
        source = self.benchmarks[dataset]
        return as_problem(source() if callable(source) else source)

    def truth(self, problem: Problem) -> Truth:
        """Return what a report may know of a problem."""
        costs = Costs(problem.space, self.objectives) if len(self.objectives) else None
        return Truth(problem.evaluator, self.optimum, costs)

    def describe(self) -> dict[str, Any]:
        """Return the design as plain JSON types, and check that it can be run.

        Raises
        ------
        InputError
            When a benchmark lacks the column of the optimum, a strategy cannot be
            built from its options or the budget cannot be spent.
        """
        datasets, settings = {}, {}
        for dataset in self.benchmarks:
            problem = self.load(dataset)
            truth = self.truth(problem)
            datasets[dataset] = problem.evaluator.describe() | truth.describe()
            if not truth.is_known:
                datasets[dataset]["space"] = problem.space.describe()
            for name in self.strategies:
                settings[name] = {"runs": self.n_runs(name)} | self._settings(name, problem)
        return {
            "space": self.space,
            "datasets": datasets,
            "strategies": settings,
            "runs": self.runs,
            "budget": self.budget,
            "budget_cost": self.budget_cost,
            "seed": self.seed,
            "optimum": self.optimum,
            "seeds": [self.run_seed(run) for run in range(self.runs)],
        }

    def _settings(self, strategy: str, problem: Problem) -> dict[str, Any]:
        """Return what the strategy says of itself, the seed aside, or why it cannot be built."""
        try:
            built = self.strategies[strategy](problem.space, seed=self.run_seed(0))
            Budget(self.budget, self.budget_cost).begin(built, problem.evaluator)
            return {name: value for name, value in built.describe().items() if name != "seed"}
        except InputError:
            raise
        except Exception as error:  # reported for this strategy, the others go on
            return {"error": f"{type(error).__name__}: {error}"}


class Truth:
    """What a report may know of a benchmark and a search may not.

    Parameters
    ----------
    evaluator : Evaluator
        A benchmark with an optimum, or any other, of which nothing is known.
    optimum : {"validation", "test"}
    costs : Costs, optional
        The objectives beside the score.

    Attributes
    ----------
    is_known : bool
        Whether the best architecture and the mean scores of all are.
    optimum : Optimum or None
    random_score : float or None
        Mean score of a random architecture.

    Raises
    ------
    InputError
        When test results are asked for and there are none.
    """

    def __init__(
        self, evaluator: Any, optimum: Target = "validation", costs: Costs | None = None
    ) -> None:
        self.costs = costs
        self.is_known = isinstance(evaluator, KnowsOptimum)
        if optimum == "test" and not (isinstance(evaluator, HasTest) and evaluator.test):
            name = getattr(evaluator, "name", type(evaluator).__name__)
            raise InputError(
                f"the benchmark {name!r} has no test results;"
                " the optimum can be taken by validation only"
            )
        self.optimum: Optimum | None = None
        self.random_score: float | None = None
        if not self.is_known:
            return
        self._benchmark = evaluator
        self._target = evaluator.test if optimum == "test" else None
        self.optimum = evaluator.optimum(self._target)
        genotypes = evaluator.space.enumerate()
        scores = evaluator.true_scores(genotypes, self._target)
        self.random_score = float(np.nanmean(scores))
        _, distinct = np.unique(evaluator.space.fingerprint(genotypes), return_index=True)
        self._ascending = np.sort(scores[distinct][np.isfinite(scores[distinct])])

    def scores(self, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
        """Return the mean score of genotypes, shape (n, d), over all trainings; shape (n,)."""
        scores: npt.NDArray[np.float64] = self._benchmark.true_scores(genotypes, self._target)
        return scores

    def top(self, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the share of the space that is at least as good; at most 0.01 is the top 1 %."""
        below = np.searchsorted(self._ascending, scores, side="left")
        return 1.0 - below / len(self._ascending)

    def describe(self) -> dict[str, Any]:
        """Return optimum, mean score of a random architecture and volume as JSON types."""
        front = {} if self.costs is None else {"hypervolume": self._volume(self.costs)}
        if self.optimum is None:
            return {"optimum": None, "random_score": None, **front}
        return front | {
            "optimum": {
                "architecture": self.optimum.architecture.text,
                "score": self.optimum.score,
                "architectures": len(self.optimum.fingerprints),
            },
            "random_score": self.random_score,
        }

    def _volume(self, costs: Costs) -> dict[str, Any]:
        """Return from where volumes are measured, and the largest there is.

        ``reference`` is of each objective the largest cost in the space, and ``score``, the
        lowest mean score of a table; ``whole`` the volume that the space dominates. Without
        a table both are None, and the lowest score of all runs stands for it.
        """
        score = whole = None
        if self.is_known:
            genotypes = costs.space.enumerate()
            scores = self.scores(genotypes)
            score = float(np.nanmin(scores))
            whole = hypervolume(scores, costs(genotypes), score, costs.worst)
        worst = dict(zip(costs.names, costs.worst.tolist(), strict=True))
        objectives = list(costs.names)
        return {"objectives": objectives, "reference": {"score": score, **worst}, "whole": whole}


def run_task(experiment: Experiment, task: Task, problem: Problem, truth: Truth) -> pa.Table:
    """Run one task in this process.

    Returns
    -------
    pyarrow.Table
        One row a query, in order, see `query_table`.
    """
    seed = experiment.run_seed(task.run)
    begin = time.perf_counter()
    strategy = experiment.strategies[task.strategy](problem.space, seed=seed)
    building = time.perf_counter() - begin
    result = run(strategy, problem.evaluator, experiment.budget, budget_cost=experiment.budget_cost)
    key = {"dataset": task.dataset, "strategy": task.strategy, "run": task.run, "seed": seed}
    seconds = building + result.seconds_strategy
    constants = key | {"seconds": seconds}
    return query_table(constants, list(result.trials), problem.space, truth, result.returned)


def query_table(
    constants: Mapping[str, Any],
    trials: list[Trial],
    space: SearchSpace,
    truth: Truth,
    returned: Sequence[tuple[int, Contender]],
) -> pa.Table:
    """Return the trainings of one run with what they were worth.

    Columns: ``dataset, strategy, run, seed, query`` (the training, from 1), ``round``
    and ``repeat`` (from 0), ``architecture, id, status, score`` (what the search saw),
    ``cost`` (training seconds), ``fidelity``, ``mean_score`` (over all trainings),
    ``top`` (share of the space that is at least as good), ``is_optimum`` (and at full training),
    ``returned`` (the training by which it was first met, 0 for none or one that was told
    before the search), ``returned_score`` and ``regret`` (of the architecture that would be
    returned after this training, by mean score; that of the best label before a first round is
    complete),
    ``optimum_returned`` (whether it is the optimum), ``probability_best`` (as the search
    saw it, that it is the best of those trained; null where it did not know),
    ``seconds`` (of the strategy in the whole run), ``is_last`` (whether the run ended
    with it), ``costs`` (those that are objectives beside the score, null without). Where the
    truth is not known the mean score is the observed one, the score of what is returned the
    expected one, and ``top`` and ``regret`` are NaN.
    """
    genotypes = np.array([trial.architecture.genotype for trial in trials])
    observed = np.array([trial.score for trial in trials], dtype=np.float64)
    true = truth.scores(genotypes) if truth.is_known else observed
    levels = np.array([trial.level for trial in trials])
    chosen, expected, sure = returned_after(trials, returned)
    is_trained = chosen >= 0
    worth = np.where(is_trained, true[chosen], np.nan) if truth.is_known else expected
    hits = is_best = np.zeros(len(trials), dtype=bool)
    top = regret = np.full(len(trials), np.nan)
    told, leaders = _told_before(chosen, returned)
    if truth.is_known and told.any():
        worth[told] = truth.scores(leaders)
    if truth.optimum is not None:
        found = np.isin(space.fingerprint(genotypes), truth.optimum.fingerprints)
        hits, top = found & np.isinf(levels), truth.top(true)
        is_best, regret = hits[chosen] & is_trained, truth.optimum.score - worth
        if told.any():
            is_best[told] = np.isin(space.fingerprint(leaders), truth.optimum.fingerprints)
    numbers = np.arange(1, len(trials) + 1, dtype=np.int32)
    columns: dict[str, Any] = {
        **{name: [value] * len(trials) for name, value in constants.items()},
        "query": numbers,
        "round": np.array([trial.round for trial in trials], dtype=np.int32),
        "repeat": np.array([trial.repeat for trial in trials], dtype=np.int32),
        "architecture": [trial.architecture.text for trial in trials],
        "id": [trial.architecture.id for trial in trials],
        "status": [trial.evaluation.status for trial in trials],
        "score": observed,
        "cost": [float(trial.evaluation.cost) for trial in trials],
        "fidelity": [trial.evaluation.fidelity for trial in trials],
        "mean_score": true,
        "top": top,
        "is_optimum": hits,
        "returned": (chosen + 1).astype(np.int32),
        "returned_score": worth,
        "regret": regret,
        "optimum_returned": is_best,
        "probability_best": [None if math.isnan(x) else x for x in sure],
        "is_last": numbers == len(trials),
        "costs": truth.costs(genotypes).tolist() if truth.costs else [None] * len(trials),
    }
    return pa.table(columns, schema=QUERIES)


def returned_after(
    trials: Sequence[Trial], returned: Sequence[tuple[int, Contender]]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return what would be returned after each training, as three arrays of shape (n,).

    The index of its first trial, -1 for none and for one that a source told; its expected
    score, NaN for none; the probability that it is the best of those trained, NaN where that
    is not known. As long as the first round is not complete it is the best label so far.
    """
    observed = np.array([trial.score for trial in trials], dtype=np.float64)
    chosen = best_so_far(observed, np.array([trial.level for trial in trials]))
    expected = np.where(chosen >= 0, observed[chosen], np.nan)
    sure = np.full(len(trials), np.nan)
    places = {(t.architecture.id, t.level): index for index, t in reversed([*enumerate(trials)])}
    highest = np.maximum.accumulate([t.level if t.is_ok else -math.inf for t in trials])
    for count, leader in returned:
        chosen[count - 1 :] = places.get((leader.architecture.id, highest[count - 1]), -1)
        expected[count - 1 :] = leader.score
        known = leader.probability_best is not None
        sure[count - 1 :] = leader.probability_best if known else np.nan
    return chosen, expected, sure


def _told_before(
    chosen: npt.NDArray[np.int64], returned: Sequence[tuple[int, Contender]]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Return after which trainings one would be returned that was none of them, and genotypes.

    A mask of shape (n,), and a row for each True in it; a source told them.
    """
    latest = np.full(len(chosen), -1)
    for place, (count, _) in enumerate(returned):
        latest[count - 1 :] = place
    told = (chosen < 0) & (latest >= 0)
    leaders = [returned[place][1].architecture.genotype for place in latest[told]]
    return told, np.array(leaders, dtype=np.int64)


def takes(label: str, option: str) -> bool:
    """Tell whether the strategy of a label has an option."""
    return option in inspect.signature(STRATEGIES.load(parse_label(label)[0])).parameters


def parse_strategy(label: str, objectives: Sequence[str] = ()) -> StrategyFactory:
    """Return the strategy of a label such as ``weaknas:preset=paper:batch_size=10``.

    Parameters
    ----------
    label : str
    objectives : sequence of str
        Costs that it makes small beside a large score, if it can.

    Raises
    ------
    InputError
        When the strategy or an option is unknown.
    """
    name, options = parse_label(label)
    check_strategy_options(name, options)
    if len(objectives) and takes(label, "objectives"):
        options["objectives"] = tuple(objectives)
    return partial(get_strategy, name, **options)
