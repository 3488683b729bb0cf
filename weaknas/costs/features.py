"""What of an architecture tells its costs on a device, in blocks of columns."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.costs.process import Floats, grid
from weaknas.encoders.columns import choice_columns, most_columns
from weaknas.spaces import Genotypes, SearchSpace
from weaknas.spaces.within import HasChoices

_PROBE = 2000  # architectures by whose mean and spread columns are scaled


def as_computed(space: SearchSpace, genotypes: npt.NDArray[np.integer]) -> Genotypes:
    """Return the rows, (n, d), that tell networks apart which may run differently fast.

    Of graphs the genotype as it is, for devices also compute what leads nowhere;
    elsewhere the canonical form, in which decisions without a layer are the same.
    """
    rows = np.asarray(genotypes)
    return rows if space.has_graphs else space.canonicalize(rows)


class SpaceFeatures:
    """Blocks of features of the architectures of a space.

    How often each choice is taken, over all decisions among the same (or each
    operation, where decisions are not among operations), and how far up ordered choices are;
    the logarithms of the costs that the space computes; every decision by itself.

    Parameters
    ----------
    space : SearchSpace
    without : str, optional
        A cost that is none of the features.
    """

    #: Standard deviations of the logarithm that each block may contribute, where no
    #: source device is known, and beside source devices, which tell most.
    alone = grid([(0.1, 0.3, 0.6), (0.0, 0.1, 0.3), (0.0, 0.03)])
    beside = grid([(0.03, 0.1, 0.3), (0.0, 0.1), (0.0, 0.03)])
    #: Those that a choice of measurements goes by.
    alone_typical, beside_typical = (0.3, 0.1, 0.1), (0.1, 0.05, 0.05)

    def __init__(self, space: SearchSpace, without: str | None = None) -> None:
        self.space = space
        self._costs = [cost for name, cost in space.costs().items() if name != without]
        self._alike: dict[tuple[object, ...], list[int]] = defaultdict(list)
        if isinstance(space, HasChoices):
            for column, values in enumerate(space.choices):
                self._alike[tuple(map(str, values))].append(column)
        self.probe = as_computed(space, space.sample(_PROBE, np.random.default_rng(0)))
        self._scaling = [Scaling(block) for block in self._raw(self.probe)]

    def __call__(self, genotypes: npt.NDArray[np.integer]) -> list[Floats]:
        """Return counts, costs and decisions of genotypes, (n, d); shapes (n, f)."""
        raw = self._raw(as_computed(self.space, genotypes))
        return [scaling(block) for scaling, block in zip(self._scaling, raw, strict=True)]

    def _raw(self, rows: Genotypes) -> list[Floats]:
        columns = [cost(rows) for cost in self._costs]
        costs = np.stack(columns, axis=1).astype(float) if columns else np.zeros((len(rows), 0))
        return [self._counts(rows), np.sign(costs) * np.log1p(np.abs(costs)), self._decisions(rows)]

    def _counts(self, rows: Genotypes) -> Floats:
        space = self.space
        columns: list[npt.NDArray[Any]] = [np.zeros((len(rows), 0))]
        for alike in self._alike.values():
            count = int(space.cardinalities[alike[0]])
            if space.ordered[alike].all():
                columns.append(rows[:, alike].sum(axis=1, keepdims=True))
            elif len(alike) > 1:
                columns.append((rows[:, alike, None] == np.arange(count)).sum(axis=1))
        columns.append(rows[:, space.ordered])
        if space.has_graphs and not self._alike:
            graphs = space.graphs(rows)
            kinds = np.arange(len(graphs.vocabulary))
            columns.append((graphs.operations[:, :, None] == kinds).sum(axis=1))
        return np.hstack(columns).astype(float)

    def _decisions(self, rows: Genotypes) -> Floats:
        space = self.space
        most = most_columns(space.cardinalities)
        tables = [
            choice_columns(int(count), bool(ordered), most)
            for count, ordered in zip(space.cardinalities, space.ordered, strict=True)
        ]
        columns = [table[column] for table, column in zip(tables, rows.T, strict=True)]
        return np.hstack(columns).astype(float)


class Scaling:
    """Scales columns so that their rows have a squared norm of 1 on average.

    Parameters
    ----------
    values : ndarray, shape (n, f)
    weights : ndarray, shape (f,), optional
        How much a column counts; default: all the same, and 0 where it is constant.
    """

    def __init__(self, values: Floats, weights: Floats | None = None) -> None:
        spread = values.std(axis=0)
        given = np.ones(values.shape[1]) if weights is None else weights
        share = np.where(spread > 0, given, 0.0)
        total = np.sqrt((share**2).sum())
        self._mean = values.mean(axis=0)
        self._factor = share / np.where(spread > 0, spread, 1.0) / (total if total > 0 else 1.0)

    def __call__(self, values: Floats) -> Floats:
        """Return scaled columns, shape (n, f)."""
        scaled: Floats = (values - self._mean) * self._factor
        return scaled
