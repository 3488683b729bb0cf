"""WeakNAS: rounds of fit, rank and query with a weak predictor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from weaknas.components import describe, fresh_predictor
from weaknas.errors import InputError, check_whole
from weaknas.predictors.open_model import OpenModel, OpenPool, for_any
from weaknas.predictors.pool import PoolModel, for_pool
from weaknas.registry import get_encoder
from weaknas.search.acquisition import Acquisition, Prediction
from weaknas.search.candidates import Candidates, Pool
from weaknas.search.evolution import EvolvedCandidates
from weaknas.search.narrowing import Narrowing
from weaknas.search.objectives import Costs, HypervolumeImprovement
from weaknas.search.presets import get_preset
from weaknas.search.targets import get_transform
from weaknas.spaces import Genotypes, SearchSpace
from weaknas.strategies import Scores, Strategy


class WeakNAS(Strategy):
    """Progressive search with weak predictors (Wu et al., NeurIPS 2021, arXiv:2102.10490).

    Each round fits a predictor to the architectures evaluated so far, ranks the
    candidates with it and proposes a batch of the most promising; the predictor
    need only be right about the shrinking region that still matters.

    Parameters
    ----------
    space : SearchSpace
    predictor : str or estimator, optional
        A registered name, also with options such as ``"xgboost:members=5"``, or any
        scikit-learn regressor; one whose ``predict`` takes ``return_std`` gives uncertainty.
    encoder : str or transformer, optional
        A registered name, several joined by ``+``, or any transformer of genotypes.
    acquisition : str or Acquisition, optional
        A name in `weaknas.search.acquisition.ACQUISITIONS` or an object.
    batch_size : int, optional
        Architectures of a round.
    initial : int, optional
        Random architectures before the first fit.
    seed : int
    preset : str
        Where what is None comes from: ``"default"``, the best we know, or
        ``"paper"``, the published algorithm.
    targets : str, optional
        What the predictor is fitted to: ``"rank-normal"``, ``"standard"`` or ``"raw"``.
    candidates : Candidates, optional
        What is ranked; default: that of the preset, the whole space where it can be listed.
    objectives : sequence of str
        Costs of the space to make small beside a large score: the search is for the
        front of what can be had, by `weaknas.search.objectives.HypervolumeImprovement`.

    Raises
    ------
    InputError
        When a name is unknown, a number is out of range, the encoder does not fit
        the space, or both an acquisition and objectives are given; by ``ask`` when the
        predictor cannot be fitted.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        predictor: Any = None,
        encoder: Any = None,
        acquisition: str | Acquisition | None = None,
        batch_size: int | None = None,
        initial: int | None = None,
        seed: int = 0,
        preset: str = "default",
        targets: str | None = None,
        candidates: Candidates | None = None,
        objectives: Sequence[str] = (),
    ) -> None:
        self._settings = settings = get_preset(preset, space)
        super().__init__(
            space, seed=seed, batch_size=settings.batch_size if batch_size is None else batch_size
        )
        self.initial = settings.initial if initial is None else initial
        check_whole("initial", self.initial)
        chosen = predictor if predictor is not None else settings.predictor
        self.predictor = settings.build_predictor(chosen) if isinstance(chosen, str) else chosen
        chosen = encoder if encoder is not None else settings.encoder_for(self.predictor)
        self.encoder = get_encoder(chosen, space) if isinstance(chosen, str) else chosen
        self.objectives = tuple(objectives)
        if self.objectives and acquisition is not None:
            raise InputError("a search with objectives has an acquisition of its own; give none")
        if self.objectives:
            acquisition = HypervolumeImprovement(Costs(space, self.objectives))
        how = acquisition if acquisition is not None else settings.acquisition
        self.acquisition = (
            settings.build_acquisition(how) if isinstance(how, str) else deepcopy(how)
        )
        # Volumes need differences of scores: ranks have none.
        self.targets = targets or ("standard" if self.objectives else settings.targets)
        self._transform = get_transform(self.targets)
        self._candidates = candidates
        self._pool: Pool | None = None
        self._model: PoolModel
        self._open_model: OpenModel | None = None

    @property
    def round_size(self) -> int:
        """The initial sample first, then `batch_size`."""
        proposed = len(self.history) + len(self._pending)
        return max(self.initial - proposed, 0) or self.batch_size

    @property
    def narrowing(self) -> Narrowing | None:
        """The sampling distribution of a space that cannot be listed, from the first fit on."""
        return getattr(self._candidates, "narrowing", None)

    def describe(self) -> dict[str, Any]:
        """Return what decides the proposals, as plain JSON types."""
        return super().describe() | {
            "initial": self.initial,
            "predictor": describe(self.predictor),
            "encoder": describe(self.encoder),
            "acquisition": self.acquisition.describe(),
            "targets": self.targets,
        }

    # -- inside -------------------------------------------------------------------

    def _propose(self, n: int) -> Genotypes:
        # One thread: faster on matrices of this size, and the same sums, and so
        # the same proposals, on any number of cores.
        with _thread_pools().limit(limits=1, user_api="blas"):
            return self._propose_rows(n)

    def _propose_rows(self, n: int) -> Genotypes:
        if self._candidates is None:
            self._candidates = self._settings.candidates(self.space, self.encoder, seed=self.seed)
        _, scores = self.history.successful
        missing = self.initial - len(self.history) - len(self._pending)
        if missing > 0 or len(scores) < 2:
            drawn = self._candidates.sample(n + len(self._seen), self._rng)
            first = self.acquisition.first()
            return self._unseen(drawn if first is None else np.vstack([first, drawn]))[:n]
        if isinstance(self._candidates, EvolvedCandidates):
            pool, model = self._evolve(self._candidates, self._transform(scores))
        else:
            pool, model = self._rank(self._candidates, self._transform(scores))
        available = pool.other_than(np.fromiter(self._seen, dtype=np.int64))
        queried = pool.locate(self.history.successful_fingerprints)
        prediction = Prediction(model, available, queried, pool.genotypes)
        return pool.genotypes[self.acquisition.choose(prediction, n, self._rng)]

    def _rank(self, candidates: Candidates, targets: Scores) -> tuple[Pool, PoolModel]:
        """Return this round's pool and the predictor, fitted and bound to it."""
        pool = self._current_pool(candidates)
        with self._fitting():
            self._model.fit(pool.locate(self.history.successful_fingerprints), targets)
        self._model.condition(pool.locate(self.pending_fingerprints))
        return pool, self._model

    def _evolve(self, candidates: EvolvedCandidates, targets: Scores) -> tuple[Pool, PoolModel]:
        """Fit the predictor, and let candidates evolve on what the acquisition makes of it."""
        if self._open_model is None:
            predictor = fresh_predictor(self.predictor, candidates.layout, self._rng)
            self._open_model = for_any(predictor, candidates.reference)
        model, encode = self._open_model, candidates.encoder.transform
        evaluated, _ = self.history.successful
        features = encode(evaluated)
        with self._fitting():
            model.fit(features, targets)
        means, _ = model.predict(features)
        acquisition, incumbent = self.acquisition.at(evaluated, means), float(means.max())
        if self._pending:
            model.condition(encode(self.pending))

        def wanted(rows: Genotypes, some: Any) -> Scores:
            return acquisition.values_of(rows, *model.predict(some), incumbent, self._rng)

        known = np.vstack([self.history.genotypes, self.pending])
        pool = candidates.evolve(self.history, known, wanted, self._rng)
        return pool, OpenPool(model, pool.features)

    @contextmanager
    def _fitting(self) -> Iterator[None]:
        """Say who it is that refuses its options or the data."""
        try:
            yield
        except InputError:
            raise
        except (TypeError, ValueError) as error:  # also what xgboost and scikit-learn raise
            name = type(self.predictor).__name__
            raise InputError(f"{name} cannot be fitted: {error}") from error

    def _current_pool(self, candidates: Candidates) -> Pool:
        """Return this round's pool, and bind the predictor to it if it is a new one."""
        pool = candidates.pool(self.history, self._rng)
        if pool is not self._pool:
            self._pool = pool
            predictor = fresh_predictor(self.predictor, pool.layout, self._rng)
            self._model = for_pool(predictor, pool.features)
        return pool


@cache
def _thread_pools() -> ThreadpoolController:
    return ThreadpoolController()
