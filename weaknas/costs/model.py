"""A cost of architectures on a device, learnt from a few measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, rankdata

from weaknas.costs.features import Scaling, SpaceFeatures, as_computed
from weaknas.costs.process import Blocks, Floats, Process, choose
from weaknas.costs.sources import Sources, check_measurements
from weaknas.errors import InputError, check_whole
from weaknas.spaces import Genotypes, SearchSpace, distinct
from weaknas.spaces.limits.part import whole_of

_CANDIDATES = 600  # from which measurements are chosen
_SOURCE = (0.1, 0.3, 1.0, 3.0)  # standard deviations that sources may contribute
_TYPICAL_SOURCE = 0.3
_AGREES = 0.5  # correlation from which a source counts fully


class CostModel:
    """A cost on a device, such as its latency, as a function of the architecture.

    The logarithm is a Gaussian process on how often operations are used, the costs the
    space computes, single decisions and the logarithms on source devices: other devices that were
    measured, of which several batch sizes of one card may be some. Where the space computes a
    cost of this name already, a sum of measured blocks say, that is a source, too, which
    the measurements of whole networks correct. A source that agrees neither with
    the other sources nor with the costs of the space counts nothing.

    Parameters
    ----------
    space : SearchSpace
        Of a part of a space the whole.
    sources : Sources, optional
    name : str
        Of the cost, as limits and objectives call it.
    unit : str
        Of the measurements.
    setting : mapping, optional
        How it was measured: device, batch size, threads.
    """

    def __init__(
        self,
        space: SearchSpace,
        sources: Sources | None = None,
        *,
        name: str = "latency",
        unit: str = "ms",
        setting: Mapping[str, Any] | None = None,
    ) -> None:
        space = whole_of(space)
        self.space, self.sources, self.name, self.unit = space, sources, name, unit
        self.setting = dict(setting or {})
        self._features = SpaceFeatures(space, without=name)
        self._sum_of_blocks = space.costs().get(name)
        self.genotypes: Genotypes = self._features.probe[:0]
        #: What was measured, shape (n,).
        self.values: Floats = np.zeros(0)
        #: How much each source counts, 0 to 1.
        self.source_weights: dict[str, float] = {}
        self._scaling: Scaling | None = None
        names = [] if sources is None else list(sources.names)
        names += [] if self._sum_of_blocks is None else ["sum of blocks"]
        if names:
            known = self._features.probe if sources is None else sources.some()
            logs = self._source_logs(known)
            weights = agreement(logs, self._features(known)[1])
            self._scaling = Scaling(logs, weights)
            self.source_weights = dict(zip(names, weights.tolist(), strict=True))

    # -- learning -------------------------------------------------------------------------

    def fit(
        self, genotypes: npt.NDArray[np.integer], values: npt.NDArray[np.floating]
    ) -> CostModel:
        """Learn from measurements; return the model.

        Parameters
        ----------
        genotypes : ndarray of int, shape (n, d)
        values : ndarray, shape (n,)

        Raises
        ------
        InputError
            When a value is not positive or there are fewer than three.
        """
        measured: Floats = np.asarray(values, dtype=np.float64)
        check_measurements(self.name, measured)
        self.genotypes, self.values = as_computed(self.space, genotypes), measured
        self._process = Process(self._blocks(self.genotypes), np.log(measured), self._scales)
        return self

    def extended(
        self, genotypes: npt.NDArray[np.integer], values: npt.NDArray[np.floating]
    ) -> CostModel:
        """Return a model that knows these measurements, shapes (n, d) and (n,), as well."""
        model = copy(self)
        rows = np.vstack([self.genotypes, as_computed(self.space, genotypes)])
        return model.fit(rows, np.concatenate([self.values, values]))

    def propose(self, n: int, rng: np.random.Generator) -> Genotypes:
        """Return the n architectures whose measurements tell most of all others.

        Greedy, by the variance that remains; canonical forms of a random sample.

        Parameters
        ----------
        n : int
        rng : Generator

        Returns
        -------
        ndarray of int, shape (n, d)

        Raises
        ------
        InputError
            When there are fewer architectures.
        """
        check_whole("the number of measurements", n, 3)
        rows = distinct(self.space, self.space.sample(_CANDIDATES, rng))
        if len(rows) < n:
            raise InputError(f"{n} architectures cannot be chosen of {len(rows)} in the space")
        return rows[self.choose(rows, n)]

    def choose(self, genotypes: npt.NDArray[np.integer], n: int) -> list[int]:
        """Return which n of the genotypes, shape (m, d), to measure, the most telling first."""
        features = self._features
        typical: tuple[float, ...] = features.alone_typical
        if self._scaling is not None:
            typical = (_TYPICAL_SOURCE, *features.beside_typical)
        return choose(self._blocks(genotypes), typical, n)

    # -- what is believed -----------------------------------------------------------------

    def predict_log(self, genotypes: npt.NDArray[np.integer]) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of the logarithm of the cost, shapes (n,).

        Raises
        ------
        InputError
            When the model has no measurements.
        """
        if len(self.values) == 0:
            raise InputError(f"the model of {self.name} has no measurements yet: fit it")
        return self._process.predict(self._blocks(genotypes))

    def __call__(self, genotypes: npt.NDArray[np.integer]) -> Floats:
        """Return the median cost of genotypes, (n, d), as it would be measured; shape (n,)."""
        return np.exp(self.predict_log(genotypes)[0])

    def quantiles(
        self, genotypes: npt.NDArray[np.integer], probabilities: Sequence[float]
    ) -> list[Floats]:
        """Return what measurements are below with each of the probabilities, shapes (n,)."""
        mean, deviation = self.predict_log(genotypes)
        return [np.exp(mean + norm.ppf(p) * deviation) for p in probabilities]

    def interval(
        self, genotypes: npt.NDArray[np.integer], confidence: float = 0.9
    ) -> tuple[Floats, Floats]:
        """Return the ends of the central interval of a measurement, shapes (n,)."""
        tail = (1 - confidence) / 2
        low, high = self.quantiles(genotypes, (tail, 1 - tail))
        return low, high

    def probability(
        self, genotypes: npt.NDArray[np.integer], low: float = 0.0, high: float = np.inf
    ) -> Floats:
        """Return how probable it is that a measurement is within bounds, shape (n,)."""
        mean, deviation = self.predict_log(genotypes)
        ends = [np.log(end) if end > 0 else -np.inf for end in (low, high)]
        below, above = (norm.cdf((end - mean) / deviation) for end in ends)
        return np.asarray(above - below)

    @property
    def error(self) -> float:
        """Median relative error of each measurement, predicted from the others."""
        return float(np.median(np.abs(np.expm1(self._process.left_out - np.log(self.values)))))

    @property
    def has_sum_of_blocks(self) -> bool:
        """Whether the space computes a cost of this name, which measurements correct."""
        return self._sum_of_blocks is not None

    def source_gains(self) -> dict[str, float]:
        """Return by how much each source device raises the log evidence of the measurements.

        Each is left out of all others in turn; below zero, a device misleads.
        """
        if self.sources is None or len(self.sources.names) < 2:
            return {}
        gains = {}
        for name in self.sources.names:
            others = self.sources.select([other for other in self.sources.names if other != name])
            left = CostModel(self.space, others, name=self.name).fit(self.genotypes, self.values)
            gains[name] = self._process.log_evidence - left._process.log_evidence
        return gains

    # -- features -------------------------------------------------------------------------

    @property
    def _scales(self) -> Floats:
        """The grid: what sources tell and what is beside them, or sources that tell nothing."""
        features = self._features
        if self._scaling is None:
            return features.alone
        beside = [np.column_stack([np.full(len(features.beside), s), features.beside])
                  for s in _SOURCE]  # fmt: skip
        alone = np.column_stack([np.zeros(len(features.alone)), features.alone])
        return np.vstack([*beside, alone])

    def _blocks(self, genotypes: npt.NDArray[np.integer]) -> Blocks:
        blocks = self._features(genotypes)
        if self._scaling is None:
            return blocks
        return [self._scaling(self._source_logs(genotypes)), *blocks]

    def _source_logs(self, genotypes: npt.NDArray[np.integer]) -> Floats:
        columns = [] if self.sources is None else [self.sources(genotypes)]
        if self._sum_of_blocks is not None:
            columns.append(np.log(self._sum_of_blocks(genotypes))[:, None])
        return np.hstack(columns)


def agreement(sources: Floats, costs: Floats) -> Floats:
    """Return how much each source agrees with all others and with computed costs, 0 to 1.

    By the correlation of its ranks with the mean of theirs: all from one half on, nothing where
    there is none or it is negative: where what is slow elsewhere is fast, something else was
    measured.

    Parameters
    ----------
    sources : ndarray, shape (n, k)
        Logarithms on each device.
    costs : ndarray, shape (n, c)
        Logarithms of costs; may have no columns.

    Returns
    -------
    ndarray, shape (k,)
    """
    ranks = rankdata(np.hstack([sources, costs]), axis=0)
    total, weights = ranks.sum(axis=1), []
    for column in ranks[:, : sources.shape[1]].T:
        others = total - column
        known = others.std() > 0 and column.std() > 0
        weights.append(float(np.corrcoef(column, others)[0, 1]) if known else 1.0)
    return np.clip(np.array(weights) / _AGREES, 0.0, 1.0)
