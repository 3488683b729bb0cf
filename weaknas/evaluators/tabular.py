"""A benchmark that is a table: architectures that somebody has trained already."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterable, Mapping
from copy import copy
from functools import partial
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from weaknas.errors import InputError, check_number, check_switch, unknown
from weaknas.evaluators._base import Evaluation, Optimum
from weaknas.evaluators._columns import Values
from weaknas.evaluators._read_table import read_table
from weaknas.spaces import (
    Architecture,
    ConstrainedSpace,
    CostFunction,
    Genotypes,
    SearchSpace,
    SubsetSpace,
)

Labels: TypeAlias = Literal["one-seed", "resampled", "mean"]
LABELS: tuple[Labels, ...] = get_args(Labels)

_NEIGHBOURS = 100  # on either side by score, whose trainings tell the noise at a score


class TabularBenchmark:
    """Scores looked up in a table, as if the architecture had been trained.

    Isomorphic architectures are one: the trainings of all their rows are
    trainings of it. What a training shows is said by `labels`:

    - ``"one-seed"``: one of the trainings in the table, chosen by the seed of the
      evaluation; repeats show the others, each once, until none is left.
    - ``"resampled"``: their mean with normal noise of the size that the table's
      trainings have at that score, without end: no architecture is ever known exactly.
    - ``"mean"``: their mean, free of noise; never asked for twice.

    Parameters
    ----------
    space : SearchSpace
    table : mapping, data frame or pyarrow.Table
        Either columns by name: an ``architecture`` column of string forms, a
        ``genotype`` column of shape (n, d), or one column a decision of the
        space, and beside it any number of columns of shape (n,) or, for repeated
        trainings, (n, repeats). Durations count in seconds; columns of something else
        than numbers are left out. Or a mapping from architecture (string form,
        genotype or tuple of values) to a score or to a mapping of named values.
        Lower fidelities of a column stand in columns named ``column@epochs``.
    objective : str
        The column that a search is shown.
    maximize : bool
        Whether larger is better; if not, the score is the negated value.
    labels : {"one-seed", "resampled", "mean"}
        What a training shows.
    cost : str, optional
        The column of seconds that a training took.
    test : str, optional
        The column of test results, for reports only; a search never sees it.
    partial : bool
        Allow a table that lacks architectures of the space; `space` is then the
        part that the table holds.
    name : str

    Raises
    ------
    InputError
        When a column is missing, an architecture has no number in the objective,
        `maximize` is neither true nor false, or architectures of the space are missing
        and `partial` is false.

    Examples
    --------
    >>> import weaknas
    >>> space = weaknas.ChoiceSpace({"width": [16, 32], "depth": [2, 4]})
    >>> table = {
    ...     "width": [16, 16, 32, 32],
    ...     "depth": [2, 4, 2, 4],
    ...     "accuracy": [[0.81, 0.83], [0.84, 0.86], [0.88, 0.90], [0.91, 0.89]],
    ... }
    >>> benchmark = weaknas.TabularBenchmark(space, table, objective="accuracy")
    >>> round(benchmark.optimum().score, 4), benchmark.optimum().architecture.text
    (0.9, 'width=32,depth=4')
    >>> [benchmark.evaluate(space.architecture([1, 1]), seed=seed).score for seed in range(2)]
    [0.91, 0.89]
    """

    def __init__(
        self,
        space: SearchSpace,
        table: Any,
        objective: str = "score",
        *,
        maximize: bool = True,
        labels: Labels = "one-seed",
        cost: str | None = None,
        test: str | None = None,
        partial: bool = False,
        name: str = "table",
    ) -> None:
        if labels not in LABELS:
            raise unknown("labels", labels, LABELS)
        genotypes, columns = read_table(space, table, (objective, cost, test))
        for column in (objective, *([cost] if cost else []), *([test] if test else [])):
            if column not in columns:
                raise unknown("column", column, columns)
        self.name, self.objective, self.labels = name, objective, labels
        self.maximize, self.cost, self.test = check_switch("'maximize'", maximize), cost, test
        self._rows = _Trainings(space, genotypes, columns, objective)
        self._fidelities = _read_fidelities(objective, columns)
        self._deviation: float | None = None
        self._noise = self._rows.noise(objective) if labels == "resampled" else None
        if cost:
            _check_costs(cost, self._rows.columns[cost])
        missing = _count_missing(space, self._rows.fingerprints)
        if missing and not partial:
            raise InputError(
                f"the table lacks {missing} of the architectures of {space.name!r};"
                " pass partial=True to search among those it holds"
            )
        self.space = space if missing == 0 else SubsetSpace(space, genotypes)

    def within(self, space: ConstrainedSpace) -> TabularBenchmark:
        """Return this benchmark for a search that stays within limits; so does its optimum.

        Parameters
        ----------
        space : ConstrainedSpace
            Of `space`.
        """
        part = copy(self)
        part.space = space
        return part

    def with_costs(
        self, names: Collection[str], measured: Mapping[str, CostFunction] | None = None
    ) -> TabularBenchmark:
        """Return this benchmark with columns that are known of an architecture before training.

        Its space has them as costs, for `weaknas.spaces.ConstrainedSpace` and for the
        objectives of `weaknas.WeakNAS`; what the space itself tells remains that.

        Parameters
        ----------
        names : collection of str
            Costs of the space or columns: the mean over the trainings, where these differ.
        measured : mapping of str to callable, optional
            Costs from elsewhere, which hold before those of the space and columns.

        Raises
        ------
        InputError
            When one is neither, or is the objective or the test result.
        """
        given = dict(measured or {})
        own = self.space.costs() | given
        hidden = {self.objective, self.test}
        known = [name for name in self._rows.columns if "@" not in name and name not in hidden]
        for name in names:
            if name not in own and name not in known:
                allowed = [*own, *(column for column in known if column not in own)]
                raise unknown(f"cost of the space {self.space.name!r}", name, allowed)
        columns = [name for name in names if name not in own]
        if not columns and not given:
            return self
        priced = copy(self)
        whole = self.space.whole if isinstance(self.space, SubsetSpace) else self.space
        costs = {name: partial(self._mean, name) for name in columns} | given
        rows = self._rows.genotypes
        priced.space = SubsetSpace(whole, rows[self.space.contains(rows)], costs)
        return priced

    def _mean(self, column: str, genotypes: npt.NDArray[np.integer]) -> Values:
        return self._rows.mean_of(column)[self._rows.locate(self.space.fingerprint(genotypes))]

    def with_noise(self, deviation: float) -> TabularBenchmark:
        """Return this benchmark with labels that are resampled with a noise of one size.

        Parameters
        ----------
        deviation : float
            Standard deviation of a training, in units of the objective.

        Raises
        ------
        InputError
            When it is not a number above 0.
        """
        check_number("the noise of a training", deviation, above=0)
        noisy = copy(self)
        noisy.labels, noisy._deviation = "resampled", float(deviation)
        noisy._noise = np.full(len(self._rows.fingerprints), float(deviation))
        return noisy

    def trainings(self, architecture: Architecture) -> float:
        """Return how many different trainings of an architecture there are.

        Raises
        ------
        InputError
            When the table does not hold the architecture.
        """
        if self.labels == "one-seed":
            genotype = self.space.genotypes([architecture])
            return self._rows.count(int(self._rows.locate(self.space.fingerprint(genotype))[0]))
        return math.inf if self.labels == "resampled" else 1.0

    def describe(self) -> dict[str, Any]:
        """Return what decides the scores that are shown, as plain JSON types."""
        return {
            "benchmark": self.name,
            "objective": self.objective,
            "maximize": self.maximize,
            "labels": self.labels,
            "architectures": len(self._rows.fingerprints),
            "checksum": self._rows.checksum(self.objective),
            **({} if self._deviation is None else {"noise": self._deviation}),
            **({"constraints": self._constraints} if self._constraints else {}),
        }

    @property
    def _constraints(self) -> list[str]:
        return [str(item) for item in getattr(self.space, "constraints", ())]

    @property
    def columns(self) -> list[str]:
        """Names of the columns of numbers."""
        return list(self._rows.columns)

    @property
    def shape(self) -> tuple[int, int]:
        """How many architectures there are, and how many trainings of one at most."""
        return self._rows.shape

    # -- what a search pays for -----------------------------------------------------

    def evaluate(
        self, architecture: Architecture, *, seed: int, fidelity: float | None = None
    ) -> Evaluation:
        """Look one architecture up.

        Parameters
        ----------
        architecture : Architecture
        seed : int
            Of the training that is shown, unless ``labels="mean"``.
        fidelity : float, optional
            One of `fidelities`; default: full training.

        Raises
        ------
        InputError
            When the table does not hold the architecture or the fidelity.
        """
        suffix = self._suffix(fidelity)
        genotype = self.space.genotypes([architecture])
        row = int(self._rows.locate(self.space.fingerprint(genotype))[0])
        single = self.labels == "one-seed"
        shown = self._rows.training(row, seed) if single else self._rows.means(row)
        score = shown[self.objective + suffix] * self._sign
        if self._noise is not None:
            score += float(np.random.default_rng(seed).normal(0.0, self._noise[row]))
        cost = shown.get(f"{self.cost}{suffix}", 0.0) if self.cost else 0.0
        measured = {name: shown[column] for name, column in self._visible(suffix).items()}
        metrics = {name: value for name, value in measured.items() if math.isfinite(value)}
        return Evaluation(score, metrics, cost, fidelity)

    def _visible(self, suffix: str) -> dict[str, str]:
        """Metric to column: what is measured at this fidelity, or does not depend on any."""
        columns = self._rows.columns
        graded = {name.partition("@")[0] for name in columns if "@" in name}
        names = {name.partition("@")[0] for name in columns} - {self.objective, self.test}
        wanted = {name: name + suffix if name in graded else name for name in sorted(names)}
        return {name: column for name, column in wanted.items() if column in columns}

    @property
    def fidelities(self) -> list[float]:
        """The lower fidelities of the objective, ascending."""
        return sorted(self._fidelities)

    def column(self, fidelity: float | None) -> str:
        """Return the name of the column of scores at a fidelity.

        Raises
        ------
        InputError
            When the table has no such fidelity.
        """
        return f"{self.objective}{self._suffix(fidelity)}"

    def _suffix(self, fidelity: float | None) -> str:
        if fidelity is None:
            return ""
        if fidelity not in self._fidelities:
            raise unknown("fidelity", f"{fidelity:g}", [f"{f:g}" for f in self.fidelities])
        return self._fidelities[fidelity]

    # -- the truth, for reports ---------------------------------------------------------

    @property
    def _sign(self) -> float:
        return 1.0 if self.maximize else -1.0

    def true_scores(self, genotypes: npt.NDArray[np.integer], target: str | None = None) -> Values:
        """Return the mean score over all trainings of each genotype, shape (n,).

        Parameters
        ----------
        genotypes : ndarray of int, shape (n, d)
        target : str, optional
            A column other than the objective, e.g. the test results.
        """
        column = self._target(target)
        rows = self._rows.locate(self.space.fingerprint(genotypes))
        return self._sign * self._rows.mean_of(column)[rows]

    def noise(self, genotypes: npt.NDArray[np.integer], target: str | None = None) -> Values:
        """Return the standard deviation of one training of each genotype, shape (n,).

        Pooled over architectures of nearly the same mean: each alone has two or three
        trainings, too few to tell it.

        Parameters
        ----------
        genotypes : ndarray of int, shape (n, d)
        target : str, optional
            A column other than the objective, e.g. that of a lower fidelity.

        Raises
        ------
        InputError
            When no architecture has two trainings, which would tell it.
        """
        rows = self._rows.locate(self.space.fingerprint(genotypes))
        if target is None and self._noise is not None:  # also a noise that was said
            return self._noise[rows]
        return self._rows.noise(self._target(target))[rows]

    def optimum(self, target: str | None = None) -> Optimum:
        """Return the architecture with the best mean over all trainings."""
        scores = self._sign * self._rows.mean_of(self._target(target))
        if self._constraints:
            scores = np.where(self.space.contains(self._rows.genotypes), scores, np.nan)
        best = np.flatnonzero(scores == np.nanmax(scores))
        architecture = self.space.architectures(self._rows.genotypes[best[:1]])[0]
        return Optimum(architecture, float(scores[best[0]]), self._rows.fingerprints[best])

    def _target(self, target: str | None) -> str:
        column = target or self.objective
        if column not in self._rows.columns:
            raise unknown("column", column, self._rows.columns)
        return column


class _Trainings:
    """The table, one row an isomorphism class and all trainings of a class side by side."""

    def __init__(
        self,
        space: SearchSpace,
        genotypes: Genotypes,
        columns: dict[str, Values],
        objective: str,
    ) -> None:
        repeats = columns[objective].shape[1]
        finite = np.isfinite(columns[objective])
        empty = ~finite.any(axis=1)
        if empty.any():
            first = space.architectures(genotypes[empty][:1])[0]
            raise InputError(
                f"the column {objective!r} has no number for {int(empty.sum())} of"
                f" {len(genotypes)} rows, the first being {first.text!r}"
            )
        codes = np.repeat(space.fingerprint(genotypes), repeats)[finite.ravel()]
        order = np.argsort(codes, kind="stable")
        self.fingerprints, self._starts, self._counts = np.unique(
            codes[order], return_index=True, return_counts=True
        )
        row_of = np.repeat(np.arange(len(genotypes)), repeats)[finite.ravel()][order]
        self.genotypes = space.canonicalize(genotypes[row_of[self._starts]])
        for name, values in columns.items():
            if values.shape[1] not in (1, repeats):
                raise InputError(
                    f"the column {name!r} has {values.shape[1]} numbers a row where"
                    f" {objective!r} has {repeats}; allowed: 1 and {repeats}"
                )
        self.columns = {
            name: np.broadcast_to(values, finite.shape)[finite][order]
            for name, values in columns.items()
        }
        self._means: dict[str, Values] = {}

    def locate(self, fingerprints: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Row of each fingerprint.

        Raises
        ------
        InputError
            When one is not in the table.
        """
        rows = np.searchsorted(self.fingerprints, fingerprints).clip(0, len(self.fingerprints) - 1)
        if (self.fingerprints[rows] != fingerprints).any():
            raise InputError("the table does not hold the architecture")
        return np.asarray(rows)

    def mean_of(self, column: str) -> Values:
        """Mean over the trainings of each class, NaN where there is none."""
        if column not in self._means:
            values = self.columns[column]
            known = np.isfinite(values)
            total = np.add.reduceat(np.where(known, values, 0.0), self._starts)
            with np.errstate(invalid="ignore"):
                self._means[column] = total / np.add.reduceat(known.astype(float), self._starts)
        return self._means[column]

    def checksum(self, column: str) -> str:
        """Return a short text that differs between tables of other architectures or numbers."""
        digest = hashlib.blake2b(self.fingerprints.tobytes(), digest_size=8)
        digest.update(self._starts.tobytes())
        digest.update(self.columns[column].tobytes())
        return digest.hexdigest()

    @property
    def shape(self) -> tuple[int, int]:
        """Classes, and trainings of a class at most."""
        return len(self._counts), int(self._counts.max())

    def count(self, row: int) -> int:
        """Return the number of trainings of one class."""
        return int(self._counts[row])

    def noise(self, column: str) -> Values:
        """Return the standard deviation of one training of each class, shape (n,).

        The pooled deviation within the classes whose mean is near: single classes have
        two or three trainings, too few to tell it.

        Raises
        ------
        InputError
            When no class has two trainings.
        """
        means, values = self.mean_of(column), self.columns[column]
        known = np.isfinite(values)
        errors = np.where(known, values - np.repeat(means, self._counts), 0.0) ** 2
        squares = np.add.reduceat(errors, self._starts)
        freedom = np.maximum(np.add.reduceat(known.astype(np.int64), self._starts) - 1, 0)
        if not freedom.any():
            raise InputError(
                f"the column {column!r} has one training of each architecture, which does not"
                " tell its noise; say it as a standard deviation"
            )
        order = np.argsort(means, kind="stable")
        # Sums of windows one by one: in differences of sums so far a large one hides the others.
        window = np.ones(2 * _NEIGHBOURS + 1)
        near, count = (
            np.convolve(each[order], window)[_NEIGHBOURS : _NEIGHBOURS + len(order)]
            for each in (squares, freedom)
        )
        deviations = np.empty(len(order))
        deviations[order] = np.sqrt(near / np.maximum(count, 1))
        return deviations

    def means(self, row: int) -> dict[str, float]:
        """All columns of one class, averaged."""
        return {name: float(self.mean_of(name)[row]) for name in self.columns}

    def training(self, row: int, seed: int) -> dict[str, float]:
        """All columns of one training of one class, drawn with the seed."""
        index = int(self._starts[row]) + seed % int(self._counts[row])
        return {name: float(values[index]) for name, values in self.columns.items()}


def _read_fidelities(objective: str, columns: Iterable[str]) -> dict[float, str]:
    """Fidelity to suffix of the columns of lower fidelities of the objective."""
    suffixes = [
        name.removeprefix(objective) for name in columns if name.startswith(f"{objective}@")
    ]
    try:
        numbers = [float(suffix[1:]) for suffix in suffixes]
    except ValueError as error:
        raise InputError(
            f"the columns of lower fidelities are named {objective}@NUMBER: {error}"
        ) from error
    for number, suffix in zip(numbers, suffixes, strict=True):
        if not 0 < number < np.inf or numbers.count(number) > 1:
            raise InputError(
                f"the column {objective}{suffix} is no lower fidelity: that is a number above 0,"
                " in one column"
            )
    return dict(zip(numbers, suffixes, strict=True))


def _check_costs(name: str, costs: Values) -> None:
    """Refuse costs that are no seconds."""
    if not np.isfinite(costs).all():
        raise InputError(f"the column {name!r} of costs lacks numbers where there are scores")
    if costs.size and costs.min() < 0:
        raise InputError(f"the column {name!r} of costs has {costs.min():g}, which is below 0")


def _count_missing(space: SearchSpace, fingerprints: npt.NDArray[np.int64]) -> int | None:
    """How many architectures of the space are not in the table; None if they cannot be listed."""
    if not space.is_listable:
        return None
    return int((~np.isin(space.architecture_fingerprints, fingerprints)).sum())
