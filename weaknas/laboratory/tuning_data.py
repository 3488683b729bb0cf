"""What hyperparameters are judged by: training sets and architectures to rank."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from weaknas.components import run_seed
from weaknas.errors import InputError, check_seed, check_whole
from weaknas.evaluators import KnowsOptimum, TabularBenchmark, evaluation_seed
from weaknas.laboratory.contestants import Contestant
from weaknas.laboratory.statistics import Floats
from weaknas.runs.journal import read_journal
from weaknas.search.evolution import default_candidates
from weaknas.search.pool import Pool
from weaknas.spaces import SearchSpace
from weaknas.strategies import History

Rows: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Rows of a pool to fit to with their labels, and rows to rank with what is true of them."""

    train: Rows
    labels: Floats
    test: Rows
    true: Floats


class Data(Protocol):
    """Where splits come from."""

    pool: Pool

    def split(self, stream: int, number: int) -> Split:
        """Return one split; those of another stream are drawn anew."""

    def describe(self) -> dict[str, Any]:
        """Return what decides the splits, as plain JSON types."""


class TableData:
    """Training sets drawn from a table, judged by mean scores of architectures they lack.

    Parameters
    ----------
    benchmark : TabularBenchmark
        Its ``labels`` are what predictors are fitted to.
    encoder : str, optional
    train_size : int
    test_size : int
        At most so many of the others are ranked.
    seed : int

    Raises
    ------
    InputError
        When the architectures cannot be listed or are too few.
    """

    def __init__(
        self,
        benchmark: TabularBenchmark,
        encoder: str | None = None,
        *,
        train_size: int = 100,
        test_size: int = 1000,
        seed: int = 0,
    ) -> None:
        if not (benchmark.space.is_listable and isinstance(benchmark, KnowsOptimum)):
            raise InputError(
                f"the benchmark {benchmark.name!r} does not list all architectures with their"
                " mean scores; tune on the trials of a run instead"
            )
        self.benchmark, self.seed = benchmark, check_seed(seed)
        self.pool = Contestant(None, encoder).pool(benchmark.space)
        most = len(self.pool.genotypes) - 10
        if most < 2:
            raise InputError(f"{most + 10} architectures are too few to tune on: 12 at least")
        self.train_size = check_whole("the training size", train_size, 2, most)
        test_size = check_whole("the test size", test_size)
        self.test_size = min(test_size, len(self.pool.genotypes) - self.train_size)

    def split(self, stream: int, number: int) -> Split:
        """Return one training set and architectures it lacks."""
        seed = run_seed(self.seed, 2 * number + stream)
        order = np.random.default_rng(seed).permutation(len(self.pool.genotypes))
        train, test = np.split(order[: self.train_size + self.test_size], [self.train_size])
        drawn = self.benchmark.space.architectures(self.pool.genotypes[train])
        labels = [self.benchmark.evaluate(a, seed=evaluation_seed(seed, a)).score for a in drawn]
        true = self.benchmark.true_scores(self.pool.genotypes[test])
        return Split(train, np.array(labels), test, true)

    def describe(self) -> dict[str, Any]:
        """Return what decides the splits, as plain JSON types."""
        sizes = {"train_size": self.train_size, "test_size": self.test_size}
        return {"benchmark": self.benchmark.describe(), "seed": self.seed} | sizes


class RunData:
    """Folds of the trials of a run: each is ranked by a predictor fitted to the others.

    Parameters
    ----------
    folder : path
        Of the run.
    space : SearchSpace
    encoder : str, optional
    folds : int
    seed : int

    Raises
    ------
    InputError
        When the run is of another space or has too few trials that succeeded.
    """

    def __init__(
        self,
        folder: str | Path,
        space: SearchSpace,
        encoder: str | None = None,
        *,
        folds: int = 5,
        seed: int = 0,
    ) -> None:
        path = Path(folder) / "journal.jsonl"
        if not path.is_file():
            raise InputError(f"{folder} holds no journal of a search (journal.jsonl)")
        trials = [t for t in read_journal(path)[1] if t.is_ok and t.evaluation.fidelity is None]
        self.folder, self.folds, self.seed = str(folder), folds, seed
        history = History(space)
        genotypes = space.genotypes([trial.architecture for trial in trials])
        scores = np.array([trial.score for trial in trials])
        history.add(space.canonicalize(genotypes), scores)
        self._scores = history.scores  # repeats are one: the mean of their labels
        if folds < 2 or len(history) < 5 * folds:
            raise InputError(
                f"{folder} has {len(history)} trials with a score: too few for {folds} folds"
                " of at least 5"
            )
        built = Contestant(None, encoder).build_encoder(space)
        rng = np.random.default_rng(seed)
        self.pool = default_candidates(space, built).pool(history, rng)
        self._rows = self.pool.locate(history.fingerprints)

    def split(self, stream: int, number: int) -> Split:
        """Return one fold; each `folds` in a row have every trial once."""
        shuffle, fold = divmod(number, self.folds)
        rng = np.random.default_rng(run_seed(self.seed, 2 * shuffle + stream))
        folds = np.array_split(rng.permutation(len(self._rows)), self.folds)
        test = folds[fold]
        train = np.concatenate([part for i, part in enumerate(folds) if i != fold])
        return Split(self._rows[train], self._scores[train], self._rows[test], self._scores[test])

    def describe(self) -> dict[str, Any]:
        """Return what decides the splits, as plain JSON types."""
        trials = {"trials": len(self._rows), "folds": self.folds}
        return {"run": self.folder, "seed": self.seed} | trials
