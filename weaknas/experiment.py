"""Experiments: strategies x data sets x seeds, in parallel processes, to one table of queries."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from weaknas.errors import InputError, unknown
from weaknas.evaluators import TabularBenchmark
from weaknas.runner import Result, check_budget, run
from weaknas.statistics import incumbents
from weaknas.strategies import Strategy

Target: TypeAlias = Literal["validation", "test"]
#: A benchmark, or a callable without arguments that loads it.
BenchmarkSource: TypeAlias = TabularBenchmark | Callable[[], TabularBenchmark]
#: Called as ``factory(space, seed=seed)``.
StrategyFactory: TypeAlias = Callable[..., Strategy]

# One thread a process: the result must not depend on how many processes there are.
_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Task:
    """One run of an experiment; `run` counts from 0."""

    dataset: str
    strategy: str
    run: int


@dataclass(frozen=True)
class Outcome:
    """What became of a task: a table of queries, or the error the strategy raised."""

    task: Task
    queries: pa.Table | None
    error: str = ""
    seconds: float = 0.0


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
    benchmarks : mapping of str to TabularBenchmark or callable
        By data set; a callable loads the benchmark, once in every process.
    strategies : mapping of str to callable
        By label; called as ``factory(space, seed=seed)``.
    runs : int
        Runs of each strategy on each data set.
    budget : int
        Queries of a run.
    seed : int
        Run k of every strategy has the same seed, derived from this one, and sees
        the same label for the same architecture.
    optimum : {"validation", "test"}
        By which mean score architectures are judged. What a search is shown, and
        chooses its incumbent by, is always the objective of the benchmark.
    runs_of : mapping of str to int
        Other numbers of runs for some strategies, fewer where they are slow.

    Raises
    ------
    InputError
        When there is nothing to run or a number or name is out of range.
    """

    space: str
    benchmarks: Mapping[str, BenchmarkSource]
    strategies: Mapping[str, StrategyFactory]
    runs: int = 100
    budget: int = 300
    seed: int = 0
    optimum: Target = "validation"
    runs_of: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.benchmarks or not self.strategies:
            raise InputError("an experiment needs at least one benchmark and one strategy")
        for name in self.runs_of:
            if name not in self.strategies:
                raise unknown("strategy of the comparison", name, self.strategies)
        for count in (self.runs, *self.runs_of.values()):
            if count < 1:
                raise InputError(f"the number of runs must be at least 1, not {count}")
        if self.seed < 0:
            raise InputError(f"the seed must not be negative, not {self.seed}")
        if self.optimum not in get_args(Target):
            raise unknown("optimum", self.optimum, get_args(Target))

    def n_runs(self, strategy: str) -> int:
        """Return the number of runs of a strategy on each data set."""
        return self.runs_of.get(strategy, self.runs)

    def run_seed(self, run: int) -> int:
        """Return the seed of run k, below 2**32; the same for all strategies and data sets."""
        return int(np.random.SeedSequence(self.seed, spawn_key=(run,)).generate_state(1)[0])

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

    def load(self, dataset: str) -> TabularBenchmark:
        """Return the benchmark of a data set."""
        source = self.benchmarks[dataset]
        return source() if callable(source) else source

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
            benchmark = self.load(dataset)
            check_budget(self.budget, benchmark.space)
            truth = Truth(benchmark, self.optimum)
            datasets[dataset] = benchmark.describe() | truth.describe()
            for name in self.strategies:
                settings[name] = {"runs": self.n_runs(name)} | self._settings(name, benchmark)
        return {
            "space": self.space,
            "datasets": datasets,
            "strategies": settings,
            "runs": self.runs,
            "budget": self.budget,
            "seed": self.seed,
            "optimum": self.optimum,
            "seeds": [self.run_seed(run) for run in range(self.runs)],
        }

    def _settings(self, strategy: str, benchmark: TabularBenchmark) -> dict[str, Any]:
        """Return what the strategy says of itself, the seed aside, or why it cannot be built."""
        try:
            built = self.strategies[strategy](benchmark.space, seed=self.run_seed(0))
            return {name: value for name, value in built.describe().items() if name != "seed"}
        except InputError:
            raise
        except Exception as error:  # reported for this strategy, the others go on
            return {"error": f"{type(error).__name__}: {error}"}


class Truth:
    """What a report may know of a benchmark and a search may not.

    Parameters
    ----------
    benchmark : TabularBenchmark
    optimum : {"validation", "test"}

    Raises
    ------
    InputError
        When test results are asked for and the benchmark has none.
    """

    def __init__(self, benchmark: TabularBenchmark, optimum: Target = "validation") -> None:
        if optimum == "test" and benchmark.test is None:
            raise InputError(
                f"the benchmark {benchmark.name!r} has no test results;"
                " the optimum can be taken by validation only"
            )
        self._benchmark = benchmark
        self._target = benchmark.test if optimum == "test" else None
        self.optimum = benchmark.optimum(self._target)
        genotypes = benchmark.space.enumerate()
        scores = benchmark.true_scores(genotypes, self._target)
        self.random_score = float(np.nanmean(scores))
        _, first = np.unique(benchmark.space.fingerprint(genotypes), return_index=True)
        self._ascending = np.sort(scores[first][np.isfinite(scores[first])])

    def scores(self, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
        """Return the mean score of genotypes, shape (n, d), over all trainings; shape (n,)."""
        return self._benchmark.true_scores(genotypes, self._target)

    def top(self, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the share of the space that is at least as good; at most 0.01 is the top 1 %."""
        below = np.searchsorted(self._ascending, scores, side="left")
        return 1.0 - below / len(self._ascending)

    def describe(self) -> dict[str, Any]:
        """Return the optimum and the mean score of a random architecture as JSON types."""
        return {
            "optimum": {
                "architecture": self.optimum.architecture.text,
                "score": self.optimum.score,
                "architectures": len(self.optimum.fingerprints),
            },
            "random_score": self.random_score,
        }


def run_task(
    experiment: Experiment, task: Task, benchmark: TabularBenchmark, truth: Truth
) -> pa.Table:
    """Run one task in this process.

    Returns
    -------
    pyarrow.Table
        One row a query, in order, see `query_table`.
    """
    seed = experiment.run_seed(task.run)
    begin = time.perf_counter()
    strategy = experiment.strategies[task.strategy](benchmark.space, seed=seed)
    building = time.perf_counter() - begin
    result = run(strategy, benchmark, experiment.budget)
    key = {"dataset": task.dataset, "strategy": task.strategy, "run": task.run, "seed": seed}
    seconds = building + result.seconds_strategy
    return query_table(key | {"seconds": seconds}, result, benchmark, truth)


def query_table(
    constants: Mapping[str, Any], result: Result, benchmark: TabularBenchmark, truth: Truth
) -> pa.Table:
    """Return the queries of one run with what they were worth.

    Columns: ``dataset, strategy, run, seed, query`` (from 1), ``round`` (from 0),
    ``architecture, id, status, score`` (what the search saw), ``cost`` (training
    seconds), ``fidelity``, ``mean_score`` (over all trainings), ``top`` (share of
    the space that is at least as good), ``is_optimum``, ``incumbent_score`` and
    ``regret`` (of the incumbent, by mean score), ``seconds`` (of the strategy in
    the whole run).
    """
    trials = list(result.trials)
    genotypes = np.array([trial.architecture.genotype for trial in trials], dtype=np.int16)
    observed = np.array([trial.score for trial in trials], dtype=np.float64)
    true = truth.scores(genotypes)
    chosen = incumbents(observed)
    incumbent = np.where(chosen >= 0, true[chosen], np.nan)
    codes = benchmark.space.fingerprint(genotypes)
    columns: dict[str, Any] = {
        **{name: [value] * len(trials) for name, value in constants.items()},
        "query": np.arange(1, len(trials) + 1, dtype=np.int32),
        "round": np.array([trial.round for trial in trials], dtype=np.int32),
        "architecture": [trial.architecture.text for trial in trials],
        "id": [trial.architecture.id for trial in trials],
        "status": [trial.evaluation.status for trial in trials],
        "score": observed,
        "cost": [float(trial.evaluation.cost) for trial in trials],
        "fidelity": pa.array([trial.evaluation.fidelity for trial in trials], pa.float64()),
        "mean_score": true,
        "top": truth.top(true),
        "is_optimum": np.isin(codes, truth.optimum.fingerprints),
        "incumbent_score": incumbent,
        "regret": truth.optimum.score - incumbent,
    }
    return pa.table(columns)


def run_experiment(
    experiment: Experiment, tasks: list[Task], jobs: int = 1
) -> Generator[Outcome, None, None]:
    """Run tasks in `jobs` processes and yield each as it is done.

    Every process has one thread for linear algebra, and with one job too the
    tasks run in a process of their own, so that results do not depend on `jobs`.
    Closing the iterator ends the processes at once.

    Raises
    ------
    InputError
        When `jobs` is below 1.
    concurrent.futures.process.BrokenProcessPool
        When a process dies, e.g. for want of memory.
    """
    if jobs < 1:
        raise InputError(f"--jobs must be at least 1, not {jobs}")
    if not tasks:
        return
    others = set(multiprocessing.active_children())
    with _one_thread():
        pool = ProcessPoolExecutor(
            min(jobs, len(tasks)),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start_worker,
            initargs=(experiment,),
        )
        try:
            waiting: set[Future[Outcome]] = {pool.submit(_work, task) for task in tasks}
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Start processes with one thread each; libraries read the variables when imported."""
    before = {name: os.environ.get(name) for name in _THREAD_LIMITS}
    os.environ.update(dict.fromkeys(_THREAD_LIMITS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class _Worker:
    """What a process keeps between tasks."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self._loaded: dict[str, tuple[TabularBenchmark, Truth]] = {}

    def run(self, task: Task) -> Outcome:
        begin = time.perf_counter()
        try:
            if task.dataset not in self._loaded:
                benchmark = self.experiment.load(task.dataset)
                self._loaded[task.dataset] = benchmark, Truth(benchmark, self.experiment.optimum)
            queries = run_task(self.experiment, task, *self._loaded[task.dataset])
        except Exception as error:
            message = " ".join(f"{type(error).__name__}: {error}".split())[:500]
            return Outcome(task, None, message, time.perf_counter() - begin)
        return Outcome(task, queries, "", time.perf_counter() - begin)


_worker: _Worker


def _start_worker(experiment: Experiment) -> None:
    global _worker  # noqa: PLW0603 the state of a process of the pool
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker = _Worker(experiment)


def _end_with_parent() -> None:
    """Do not outlive a parent that was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(task: Task) -> Outcome:
    return _worker.run(task)
