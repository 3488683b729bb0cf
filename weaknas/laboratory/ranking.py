"""How well predictors rank the architectures they have not seen, against training size."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from weaknas.components import describe, fresh_predictor, run_seed
from weaknas.errors import MOST_AT_ONCE, InputError, check_seed, check_whole, unknown
from weaknas.evaluators import KnowsOptimum, TabularBenchmark
from weaknas.laboratory.contestants import Contestant
from weaknas.laboratory.experiment import BenchmarkSource
from weaknas.laboratory.folder import complete, versions
from weaknas.laboratory.ranking_results import MEASUREMENTS, RankingFolder, Task
from weaknas.laboratory.statistics import Floats, kendall_tau, spearman_rho, top_precision
from weaknas.laboratory.workers import Outcome, attempt
from weaknas.predictors.pool import for_pool
from weaknas.predictors.regressor import check_predictions
from weaknas.runs.runner import run
from weaknas.search.strategy import WeakNAS
from weaknas.search.targets import get_transform

Regime: TypeAlias = Literal["uniform", "progressive"]
REGIMES: tuple[Regime, ...] = get_args(Regime)
Rows: TypeAlias = npt.NDArray[np.int64]
Progress: TypeAlias = Callable[[Outcome[Task]], None]


@dataclass(frozen=True)
class Ranking:
    """The design of a comparison of predictors.

    In run k all predictors are fitted to the same architectures and labels, and a
    smaller training set is the beginning of a larger one. Everything in it is sent to
    other processes, so it must be picklable.

    Parameters
    ----------
    space : str
        Name of the search space, for reports.
    benchmark : TabularBenchmark or callable
        A callable loads the benchmark, once in every process. Its ``labels`` are
        what predictors are fitted to; they are judged by mean scores.
    contestants : mapping of str to Contestant
        By label.
    train_sizes : sequence of int
        Numbers of architectures that predictors are fitted to.
    runs : int
    seed : int
    regime : {"uniform", "progressive"}
        Where training sets come from: drawn uniformly among the architectures, or
        the first queries of a search by WeakNAS with the default settings, which are
        concentrated where good architectures are.
    targets : str
        What is fitted: ``"rank-normal"``, ``"standard"`` or ``"raw"`` scores.
    runs_of : mapping of str to int
        Runs of single predictors by label, where they differ from `runs`, e.g. of slow ones.

    Raises
    ------
    InputError
        When there is nothing to compare or a number or name is out of range.
    """

    space: str
    benchmark: BenchmarkSource
    contestants: Mapping[str, Contestant]
    train_sizes: Sequence[int] = (50, 100, 200)
    runs: int = 20
    seed: int = 0
    regime: Regime = "uniform"
    targets: str = "rank-normal"
    runs_of: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.contestants:
            raise InputError("a ranking needs at least one predictor")
        if not self.train_sizes:
            raise InputError("a ranking needs at least one training size")
        for size in self.train_sizes:
            check_whole("each training size", size, 2)
        for name in self.runs_of:
            if name not in self.contestants:
                raise unknown("predictor of the ranking", name, self.contestants)
        for count in (self.runs, *self.runs_of.values()):
            check_whole("the number of runs", count, most=MOST_AT_ONCE)
        check_seed(self.seed)
        if self.regime not in REGIMES:
            raise unknown("regime", self.regime, REGIMES)
        get_transform(self.targets)

    def tasks(self) -> list[Task]:
        """Return all tasks, run by run, so that an interrupted comparison is balanced."""
        most = max(map(self.runs_for, self.contestants))
        return [
            Task(name, number)
            for number in range(most)
            for name in self.contestants
            if number < self.runs_for(name)
        ]

    def runs_for(self, predictor: str) -> int:
        """Return the number of runs of a predictor."""
        return self.runs_of.get(predictor, self.runs)

    def load(self) -> TabularBenchmark:
        """Return the benchmark."""
        return self.benchmark() if callable(self.benchmark) else self.benchmark

    def describe(self) -> dict[str, Any]:
        """Return the design as plain JSON types, and check that it can be run.

        Raises
        ------
        InputError
            When the architectures cannot be listed or are too few, the benchmark does
            not know mean scores, or an encoder does not fit the space.
        """
        benchmark = self.load()
        space = benchmark.space
        if not (space.is_listable and isinstance(benchmark, KnowsOptimum)):
            raise InputError(
                f"the benchmark {benchmark.name!r} does not list all architectures with their"
                " mean scores, so there is nothing to judge a ranking by"
            )
        count = len(space.architecture_fingerprints)
        left = max(count - top_size(count), 0)
        if max(self.train_sizes) > left:
            raise InputError(
                f"of {count} architectures at most {left} can be trained on,"
                f" not {max(self.train_sizes)}, so that a top {top_size(count)} is left unseen"
            )
        for contestant in self.contestants.values():
            contestant.build_encoder(space)
        return {
            "space": self.space,
            "benchmark": benchmark.describe(),
            "predictors": {
                name: describe(one.predictor)
                | {"encoder": one.encoder_name(space), "runs": self.runs_for(name)}
                for name, one in self.contestants.items()
            },
            "architectures": count,
            "top": top_size(count),
            "train_sizes": sorted(set(self.train_sizes)),
            "runs": self.runs,
            "seed": self.seed,
            "regime": self.regime,
            "targets": self.targets,
        }


def rank(
    design: Ranking,
    output: str | Path | None = None,
    *,
    jobs: int = 1,
    command: str = "",
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure how well predictors rank, or what is left of it, and summarize.

    With `output`, every finished task is on the disk before the next is waited for;
    the same design with the same folder continues, and one with more or other
    predictors, or more runs, adds to it. What raised is reported and tried again by
    the next call.

    Parameters
    ----------
    design : Ranking
    output : path, optional
        Folder; gets ``rankings.parquet`` (one row a predictor, run and training
        size, see `measure`), ``summary.json`` and ``config.json``.
    jobs : int
        Processes; apart from the seconds they do not change the results.
    command : str
        Noted in ``config.json``.
    progress : callable, optional
        Called with the `Outcome` of every task, those of an earlier call included.

    Returns
    -------
    dict
        The summary of all that is in the folder, see
        `weaknas.laboratory.ranking_results.summarize_ranking`.

    Raises
    ------
    InputError
        When the design cannot be run, or the folder holds something else, is in use or
        cannot be written.
    """
    described = design.describe() | {"versions": versions()}
    with RankingFolder.open(output, described, command) as folder:
        return complete(folder, design.tasks(), Measurer(design), jobs, progress)


class Measurer:
    """Does the tasks of a ranking and keeps benchmark and training sets between them.

    Parameters
    ----------
    design : Ranking
    """

    def __init__(self, design: Ranking) -> None:
        self.design = design
        self._benchmark: TabularBenchmark | None = None
        self._drawn: tuple[int, tuple[Rows, Floats]] | None = None

    def __call__(self, task: Task) -> Outcome[Task]:
        """Do one task: a row a training size."""
        return attempt(self._measure, task)

    @property
    def benchmark(self) -> TabularBenchmark:
        """The benchmark, loaded when first needed."""
        if self._benchmark is None:
            with warnings.catch_warnings():  # a partial table was told of by `Ranking.describe`
                warnings.simplefilter("ignore", RuntimeWarning)
                self._benchmark = self.design.load()
        return self._benchmark

    def _measure(self, task: Task) -> pa.Table:
        design, space = self.design, self.benchmark.space
        contestant = design.contestants[task.predictor]
        pool = contestant.pool(space)
        fingerprints, labels = self._training_set(task.run)
        rows = pool.locate(fingerprints)
        true = self.benchmark.true_scores(pool.genotypes)
        seed = run_seed(design.seed, task.run)
        key: dict[str, Any] = {
            "predictor": task.predictor,
            "encoder": contestant.encoder_name(space),
            "run": task.run,
            "seed": seed,
        }
        measured = []
        for size in sorted(set(design.train_sizes)):
            rng = np.random.default_rng([seed, size])
            predictor = fresh_predictor(contestant.predictor, pool.layout, rng)
            targets = get_transform(design.targets)(labels[:size])
            quality = measure(predictor, pool.features, rows[:size], targets, true)
            measured.append(key | {"train_size": size} | quality)
        return pa.Table.from_pylist(measured, schema=MEASUREMENTS)

    def _training_set(self, run_number: int) -> tuple[Rows, Floats]:
        """Return fingerprints and labels of the largest training set of a run."""
        if self._drawn is None or self._drawn[0] != run_number:
            self._drawn = run_number, training_set(self.design, self.benchmark, run_number)
        return self._drawn[1]


def training_set(design: Ranking, benchmark: TabularBenchmark, number: int) -> tuple[Rows, Floats]:
    """Return the architectures of a run that predictors are fitted to, in order.

    They are the queries of a search by WeakNAS: all of its budget initial in the
    uniform regime, the default number in the progressive one. Run k is the same
    search as run k of ``weaknas compare`` with the same seed.

    Returns
    -------
    fingerprints : ndarray of int64, shape (max(train_sizes),)
    labels : ndarray of float, shape (max(train_sizes),)
        What the queries showed.
    """
    size = max(design.train_sizes)
    initial = size if design.regime == "uniform" else None
    search = WeakNAS(benchmark.space, initial=initial, seed=run_seed(design.seed, number))
    trials = run(search, benchmark, size).trials
    return benchmark.space.fingerprint(trials.genotypes), trials.scores


def measure(
    predictor: Any, features: Any, rows: Rows, targets: Floats, true: Floats
) -> dict[str, float]:
    """Fit a predictor to some rows of a pool and judge its ranking of all others.

    Parameters
    ----------
    predictor : regressor
        Unfitted.
    features : array, shape (N, f)
    rows : ndarray of int, shape (n,)
        Rows of `features` to fit to.
    targets : ndarray of float, shape (n,)
        Their targets.
    true : ndarray of float, shape (N,)
        Mean scores, larger is better.

    Returns
    -------
    dict of str to float
        ``kendall_tau`` (tau-b), ``spearman``, ``top_precision`` (share of the predicted
        top k among the true top k, k = `top_size` of N), ``regret`` (best true score
        minus that of the predicted best), all on the unseen rows; ``seconds_fit``, and
        ``seconds_predict`` for all N. A predictor that keeps work for its pool
        does part of the prediction while it fits.

    Raises
    ------
    InputError
        When the predictions are not one finite number a row.
    """
    begin = time.perf_counter()
    model = for_pool(predictor, features)
    model.fit(rows, targets)
    fitted = time.perf_counter()
    predicted, _ = check_predictions(predictor, *model.predict(), len(true))
    end = time.perf_counter()
    unseen = np.ones(len(true), dtype=bool)
    unseen[rows] = False
    guess, scores = predicted[unseen], true[unseen]
    return {
        "kendall_tau": kendall_tau(scores, guess),
        "spearman": spearman_rho(scores, guess),
        "top_precision": top_precision(scores, guess, top_size(len(true))),
        "regret": float(scores.max() - scores[np.argmax(guess)]),
        "seconds_fit": fitted - begin,
        "seconds_predict": end - fitted,
    }


def top_size(architectures: int) -> int:
    """Return k of the precision at the top: 1 % of the architectures, at least 10."""
    return max(10, round(0.01 * architectures))
