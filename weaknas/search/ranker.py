"""The predictor of one search, with the candidates that it ranks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from weaknas.components import fresh_predictor
from weaknas.errors import InputError, is_out_of_memory
from weaknas.predictors.labels import Joint, Repeats
from weaknas.predictors.pool import PoolModel, for_pool
from weaknas.predictors.regressor import Regressor, check_predictions
from weaknas.search.acquisition import Acquisition
from weaknas.search.belief import Belief, Evaluated, Floats
from weaknas.search.pool import Pool
from weaknas.search.targets import Scale
from weaknas.spaces import Fingerprints, Genotypes
from weaknas.strategies import History


@dataclass(frozen=True, eq=False, kw_only=True)
class Evidence:
    """What a search knows when it plans a round.

    Parameters
    ----------
    history : History
        What was told.
    targets : ndarray of float, shape (n,)
        What the predictor is fitted to, of what was told and did not fail.
    scale : Scale
        From the targets to the scores.
    repeats : Repeats, optional
        What is known of trainings beyond the first ones.
    pending : ndarray of int, shape (p, d)
        Asked for and not told yet, canonical.
    pending_fingerprints : ndarray of int64, shape (p,)
    seen : ndarray of int64, shape (s,)
        Fingerprints of what is not to be proposed again.
    round : int
        Rounds of the predictor before this one.
    rng : numpy.random.Generator
    """

    history: History
    targets: Floats
    scale: Scale
    repeats: Repeats | None
    pending: Genotypes
    pending_fingerprints: Fingerprints
    seen: Fingerprints
    round: int
    rng: np.random.Generator


class Ranker(ABC):
    """A predictor bound to candidates: fitted in each round, then asked what it believes."""

    @abstractmethod
    def fit(self, evidence: Evidence) -> None:
        """Fit the predictor to what was told, given what is pending."""

    @abstractmethod
    def rank(self, evidence: Evidence, acquisition: Acquisition) -> Belief:
        """Return what the predictor says of the candidates of this round.

        Parameters
        ----------
        evidence : Evidence
            What was fitted to.
        acquisition : Acquisition
            What candidates are looked for by, where not all can be looked at.
        """

    @abstractmethod
    def joint(self, errors: Floats) -> Joint | None:
        """Return the scores behind the labels that were fitted to; see `PoolModel.joint`."""


class PoolSource(Protocol):
    """Where the pools of rounds come from."""

    def pool(self, history: History, rng: np.random.Generator) -> Pool:
        """Return the candidates of the next round."""


class PoolRanker(Ranker):
    """A predictor that ranks the whole pool of a round.

    Parameters
    ----------
    source : PoolSource
    predictor : regressor
        Not fitted itself: a copy is, as long as the pool is the same.
    """

    def __init__(self, source: PoolSource, predictor: Regressor) -> None:
        self._source, self._predictor = source, predictor
        self._pool: Pool | None = None
        self._model: PoolModel

    def fit(self, evidence: Evidence) -> None:
        """Fit to this round's pool; work for the last one is kept if it is the same."""
        pool = self._source.pool(evidence.history, evidence.rng)
        if pool is not self._pool:
            self._pool = pool
            predictor = fresh_predictor(self._predictor, pool.layout, evidence.rng)
            self._model = for_pool(predictor, pool.features)
        with naming(self._predictor):
            rows = pool.locate(evidence.history.successful_fingerprints)
            self._model.fit(rows, evidence.targets, evidence.repeats)
        self._model.condition(pool.locate(evidence.pending_fingerprints))

    def joint(self, errors: Floats) -> Joint | None:
        """Return the scores behind the labels."""
        return self._model.joint(errors, np.empty(0, dtype=np.int64))

    def rank(self, evidence: Evidence, acquisition: Acquisition) -> Belief:
        """Return what the predictor says of the pool."""
        assert self._pool is not None, "`fit` comes first"
        predicted = check_predictions(
            self._predictor, *self._model.predict(), len(self._pool.genotypes)
        )
        return pool_belief(self._pool, self._model, predicted, evidence)


def pool_belief(
    pool: Pool, model: PoolModel, predicted: tuple[Floats, Floats], evidence: Evidence
) -> Belief:
    """Return what a fitted model says of a pool, given mean and deviation of each candidate."""
    mean, std = predicted
    rows = pool.locate(evidence.history.successful_fingerprints)
    return Belief(
        genotypes=pool.genotypes,
        mean=mean,
        std=std,
        available=pool.other_than(evidence.seen),
        evaluated=Evaluated(pool.genotypes[rows], mean[rows]),
        round=evidence.round,
        rng=evidence.rng,
        joint=model.covariance,
        rivals=model.joint,
        scale=evidence.scale,
    )


@contextmanager
def naming(predictor: Regressor) -> Iterator[None]:
    """Say which predictor it is that refuses its options or the data.

    Raises
    ------
    InputError
        When it raises what xgboost, scikit-learn, scipy and torch do then.
    """
    try:
        yield
    except InputError:
        raise
    except (TypeError, ValueError, ArithmeticError, LookupError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        reason = " ".join(str(error).split())
        raise InputError(f"{type(predictor).__name__} cannot be fitted: {reason}") from error
