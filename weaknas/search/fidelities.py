"""Search at several fidelities: short trainings tell where full ones are worth their price."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.components import describe, fresh_predictor
from weaknas.encoders import Transformer
from weaknas.errors import MOST_AT_ONCE, check_whole
from weaknas.predictors.open_model import OpenModel, for_any
from weaknas.predictors.regressor import Regressor
from weaknas.registry import get_encoder
from weaknas.search.acquisition import Believer, best_first, log_unit_improvement, shortlist
from weaknas.search.belief import Floats, Indices
from weaknas.search.candidates import Candidates, GrownCandidates, listed_candidates
from weaknas.search.pool import Pool
from weaknas.search.presets import get_preset
from weaknas.search.ranker import naming
from weaknas.search.targets import get_transform
from weaknas.search.threads import one_thread
from weaknas.spaces import Genotypes, SearchSpace
from weaknas.strategies import Fidelity, Strategy
from weaknas.strategies.hyperband import check_resources

_INITIAL = 10  # random architectures at the lowest fidelity
_FIRST = 3  # at each higher one, before its scores are modelled
_LEAST = 2  # scores that a model is fitted to
_SMALLEST = 1e-12  # variance
_SMALLEST_STEP = 1e-2


@dataclass(frozen=True, eq=False)
class _Layer:
    """What is believed of the scores of N candidates at one fidelity.

    Parameters
    ----------
    mean : ndarray of float, shape (N,)
        Of the noise-free score, in units of the targets of the fidelity.
    own : ndarray of float, shape (N,)
        Standard deviation of what the layer below does not tell.
    slope : ndarray of float, shape (N,)
        How the mean moves with that of the layer below.
    noise : float
        Variance of one label.
    level : int
        Of the fidelity.
    """

    mean: Floats
    own: Floats
    slope: Floats
    noise: float
    level: int


class MultiFidelity(Strategy):
    """Gaussian processes of all fidelities: short trainings say which are to be full ones.

    Scores at a fidelity are those of the one below times a slope that is learnt, plus a
    process of their own (Kennedy and O'Hagan, Biometrika 2000, eq. 1), fidelity after
    fidelity, from the lowest on: the mean of the one below is one more feature with a trend
    (recursive co-kriging, Le Gratiet and Garnier 2014). What is not known of it is carried
    upwards to first order. Asked for is the candidate of the largest expected improvement
    at the highest fidelity in play, there where one label moves its mean at that fidelity most
    for each epoch: the candidate first, then the fidelity, as in MF-GP-UCB (Kandasamy et al.,
    NeurIPS 2016, arXiv:1603.06288, sec. 3). So a candidate has a short training first as
    long as short ones tell of full ones, and a full one if it is still the most wanted. A
    fidelity comes into play once those below have cost as much as its first sample will.

    Parameters
    ----------
    space : SearchSpace
    resources : sequence of float or str, optional
        As of `weaknas.strategies.Hyperband`: epochs, ascending; the last is full training.
    continues : bool
        Whether a training at a higher fidelity goes on where one of the same architecture
        at a lower one ended, and costs the difference alone; as of `TrainEvaluator` with
        ``shorten="stop"``.
    batch_size : int, optional
        Architectures of a round.
    initial : int
        Random architectures at the lowest fidelity before all else.
    seed : int

    Raises
    ------
    InputError
        When the resources are not ascending and positive, or the space has no default; when
        a number is out of range.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        resources: Sequence[float] | str | None = None,
        continues: bool = False,
        batch_size: int | None = None,
        initial: int = _INITIAL,
        seed: int = 0,
    ) -> None:
        settings = get_preset("default", space)
        super().__init__(
            space, seed=seed, batch_size=settings.batch_size if batch_size is None else batch_size
        )
        self.resources = check_resources(type(self).__name__, space, resources)
        self.continues = continues
        self.initial = check_whole("initial", initial, most=MOST_AT_ONCE)
        self._transform = get_transform(settings.targets)
        self._predictor: Regressor = settings.build_predictor(settings.predictor)
        self._encoder: Transformer = get_encoder(settings.encoder, space)
        self._planned_for: tuple[int, Counter[tuple[Fidelity, int]]] | None = None
        self._level = 0  # of the next round
        self._is_first = True  # of the level: its scores are not modelled yet
        #: By level, and whether there is a layer below.
        self._models: dict[tuple[int, bool], OpenModel] = {}
        self._pool: Pool
        self._features: list[Any]  # of the pool, by layer
        self._layers: list[_Layer]  # of the levels that have scores, ascending
        self._wanted: Floats  # how much each of the pool is
        self._next: Indices  # the level at which it is looked at

    # -- what users call ----------------------------------------------------------------

    @property
    def fidelities(self) -> tuple[Fidelity, ...]:
        """The resources, the last of them, full training, as None."""
        return (*self.resources[:-1], None)

    @property
    def round_fidelity(self) -> Fidelity:
        """The fidelity that is worth its price most."""
        self._plan()
        return self.fidelities[self._level]

    @property
    def round_size(self) -> int:
        """What is left of the first sample at the fidelity, else `batch_size`."""
        self._plan()
        return max(self._lacking(self._level), 0) or self.batch_size

    def describe(self) -> dict[str, Any]:
        """Return what decides the proposals, as plain JSON types."""
        return super().describe() | {
            "resources": list(self.resources),
            "continues": self.continues,
            "initial": self.initial,
            "predictor": describe(self._predictor),
            "encoder": describe(self._encoder),
        }

    # -- which fidelity is next ------------------------------------------------------------

    def _plan(self) -> None:
        """Decide at which fidelity the next round is, as long as nothing new is known."""
        known = (self.history.told, self._pending.copy())
        if known == self._planned_for:
            return
        self._planned_for = known
        levels = range(self._depth())
        first = [level for level in levels if self._lacking(level) and self._is_open(level)]
        with one_thread():
            self._believe(first[0] if first else len(levels))
            self._is_first = bool(first) or not self._layers
            self._level = next(iter(first), 0) if self._is_first else self._most_wanted()

    def _depth(self) -> int:
        """Return how many fidelities are in play.

        The next one is once those below have cost as much as its first sample will, so that it
        begins with what a search of them has found.
        """
        spent, depth, usable = 0.0, 0, False
        while depth < len(self.resources):
            if usable and spent < _FIRST * self.resources[depth]:
                break
            spent += len(self._proposed[self.fidelities[depth]]) * self.resources[depth]
            usable = usable or self._is_open(depth)
            depth += 1
        return depth

    def _lacking(self, level: int) -> int:
        """Return how many architectures are lacking until the scores of a level are modelled."""
        fidelity = self.fidelities[level]
        wanted = _FIRST if level else self.initial
        missing = max(wanted - len(self._proposed[fidelity]), 0)
        return missing or int(self._is_unknown(level))

    def _is_unknown(self, level: int) -> bool:
        """Tell whether a level has fewer scores than can be modelled."""
        return len(self.history.successful_at(self.fidelities[level])[1]) < _LEAST

    def _is_open(self, level: int) -> bool:
        """Tell whether something is left that was not asked for at a level."""
        if not self.space.is_listable:
            return True
        asked = len(self._proposed[self.fidelities[level]])
        return asked < len(self.space.architecture_fingerprints)

    def _most_wanted(self) -> int:
        """Return the level at which the most wanted candidate is looked at next."""
        every = np.arange(len(self._pool.genotypes))
        improvements = self._improvements(every, {})
        self._wanted = np.where(self._available(self._layers[-1].level), improvements, -np.inf)
        self._next = self._levels()
        return int(self._next[np.argmax(self._wanted)])

    # -- what is believed -----------------------------------------------------------------

    def _believe(self, count: int) -> None:
        """Fit the processes of so many levels, from the lowest on, and predict the pool.

        A level where all has been asked for, and hardly anything has a score, has none.
        """
        self._features, self._layers = [], []
        if count == 0:
            return
        self._pool = self._candidates.pool(self.history, self._rng)
        for level in range(count):
            if not self._is_unknown(level):
                self._features.append(self._columns())
                self._fit(level)
                self._layers.append(self._predict(level))

    def _columns(self) -> Any:
        """Return the features of the pool, and beside them what the last layer predicts."""
        if not self._layers:
            return self._pool.features
        return np.column_stack([self._pool.features, self._layers[-1].mean.astype(np.float32)])

    def _model(self, level: int) -> OpenModel:
        """Return the model of a level, above those layers that there are."""
        key = level, any(layer.level < level for layer in self._layers)
        if key not in self._models:
            predictor = fresh_predictor(self._predictor, self._layout(), self._rng)
            self._models[key] = for_any(predictor, self._features[-1])
        return self._models[key]

    def _fit(self, level: int) -> None:
        fidelity, features, model = self.fidelities[level], self._features[-1], self._model(level)
        genotypes, scores = self.history.successful_at(fidelity)
        rows = self._pool.locate(self.space.fingerprint(genotypes))
        with naming(self._predictor):
            model.fit(features[rows], self._transform(scores / self.history.unit))
        waiting = [code for asked, code in self._pending if asked == fidelity]
        rows = self._pool.locate(np.array(waiting, dtype=np.int64))
        model.condition(features[rows])

    def _layout(self) -> dict[str, Any]:
        """Return what is known of the columns of the next layer."""
        width = self._pool.features.shape[1]
        layout = dict(self._pool.layout)
        if self._layers:
            own = layout.get("groups", [slice(0, width)])
            layout |= {"groups": own, "sources": [width]}
        return layout

    def _predict(self, level: int) -> _Layer:
        features, model = self._features[-1], self._model(level)
        mean, own = model.predict(features)
        slope = np.zeros(len(mean))
        if self._layers:
            moved = features.copy()
            step = np.float32(max(self._layers[-1].own.mean(), _SMALLEST_STEP))
            moved[:, -1] += step
            slope = np.abs(model.predict(moved)[0] - mean) / step
        _, noise = model.covariance(features[:1]) or (None, 0.0)
        return _Layer(mean, own, slope, noise, level)

    def _deviations(self, rows: Indices, own: Mapping[int, Floats]) -> tuple[Floats, list[Floats]]:
        """Return deviations at the top layer, and by layer how far one label there moves its mean.

        A label of variance ``v + noise`` at a layer moves the mean of the top one by a normal
        number of the deviation ``s c sqrt(v / (v + noise))``: s that of the top layer, c the
        correlation of the scores at both, given all labels.

        Parameters
        ----------
        rows : ndarray of int, shape (m,)
            Of the pool.
        own : mapping of int to ndarray of float, shape (m,)
            By level what takes the place of `_Layer.own` of these rows.
        """
        std = np.zeros(len(rows))
        moves: list[Floats] = []
        for layer in self._layers:
            slope = layer.slope[rows]
            std = np.hypot(own.get(layer.level, layer.own[rows]), slope * std)
            variance = np.maximum(std**2, _SMALLEST)
            moves = [slope * move for move in moves]
            moves.append(variance / np.sqrt(variance + layer.noise))
        return np.maximum(std, _SMALLEST), moves

    def _improvements(self, rows: Indices, own: Mapping[int, Floats]) -> Floats:
        """Return the logarithm of the expected improvement at the top layer, shape (m,)."""
        top, (std, _) = self._layers[-1].mean, self._deviations(rows, own)
        told, _ = self.history.successful_at(self.fidelities[self._layers[-1].level])
        reached = top[self._pool.locate(self.space.fingerprint(told))].max()
        return np.asarray(log_unit_improvement((top[rows] - reached) / std) + np.log(std))

    def _levels(self) -> Indices:
        """Return the level that tells most of each candidate an epoch, shape (N,)."""
        _, moves = self._deviations(np.arange(len(self._pool.genotypes)), {})
        levels = np.array([layer.level for layer in self._layers])
        worth = [
            np.where(self._available(level), move / self._costs(level), -1.0)
            for level, move in zip(levels.tolist(), moves, strict=True)
        ]
        return np.asarray(levels[np.argmax(worth, axis=0)])

    def _costs(self, level: int) -> Floats:
        """Return the epochs that a training of each candidate at a level takes, shape (N,)."""
        costs = np.full(len(self._pool.genotypes), self.resources[level])
        if self.continues:
            for below, fidelity in enumerate(self.fidelities[:level]):
                known, _ = self.history.successful_at(fidelity)
                rows = self._pool.locate(self.space.fingerprint(known))
                costs[rows] = self.resources[level] - self.resources[below]
        return costs

    def _available(self, level: int) -> npt.NDArray[np.bool_]:
        """Tell of which candidates nothing of a level or a higher one was asked for."""
        asked = set().union(*(self._proposed[each] for each in self.fidelities[level:]))
        return self._pool.other_than(np.fromiter(asked, dtype=np.int64))

    # -- what is proposed -----------------------------------------------------------------

    def _propose(self, n: int) -> Genotypes:
        self._plan()
        with one_thread():
            return self._draw(n) if self._is_first else self._choose(n)

    def _draw(self, n: int) -> Genotypes:
        """Return the first of a level: random ones, or half promised by the layer below.

        The others are of the first that were told there, which are random: from good ones
        alone it would not be learnt that what is bad below is bad.
        """
        if not self._layers:
            known = np.vstack([self.history.genotypes, self.pending])
            drawn = self._candidates.sample(n + len(self._seen), self._rng, known)
            return self._unseen(drawn)[:n]
        promise = self._layers[-1].mean
        promise = np.where(self._available(self._level), promise, -np.inf)
        best = self._pool.genotypes[best_first(promise, (n + 1) // 2)]
        known, _ = self.history.successful_at(self.fidelities[self._layers[-1].level])
        first = self._rng.permutation(known[: self.initial])
        return self._unseen(np.vstack([best, first, known]))[:n]

    def _choose(self, n: int) -> Genotypes:
        """Return the most wanted, each given that those before come out as predicted."""
        level = self._level
        fits = self._available(level) & (self._next == level)
        wanted = np.where(fits, self._wanted, -np.inf)
        left = int((wanted > -np.inf).sum())
        if left == 0:
            return self._pool.genotypes[:0]
        count = min(n, left)
        place = [layer.level for layer in self._layers].index(level)
        short, rest = shortlist(wanted, count, left)
        covariance = self._model(level).covariance(self._features[place][short])
        believer = Believer(self._layers[place].own[short], covariance)
        while len(believer.chosen) < min(count, len(short)):
            values = self._improvements(short, {level: believer.std})
            values[believer.chosen] = -np.inf
            believer.choose(int(np.argmax(values)))
        chosen: Indices = np.concatenate([short[believer.chosen], rest])
        return self._pool.genotypes[chosen]

    @cached_property
    def _candidates(self) -> Candidates:
        if self.space.is_listable:
            return listed_candidates(self.space, self._encoder)
        return GrownCandidates(self.space, self._encoder, seed=self.seed)
