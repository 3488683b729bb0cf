"""Candidates of a space that cannot be listed: evolution on the acquisition, round by round."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from weaknas.components import fresh_predictor
from weaknas.encoders import Transformer, encode, find_layout
from weaknas.predictors.labels import Joint
from weaknas.predictors.open_model import OpenModel, OpenPool, for_any
from weaknas.predictors.regressor import Regressor, check_predictions
from weaknas.search.acquisition import Acquisition
from weaknas.search.belief import Belief, Evaluated, Floats
from weaknas.search.candidates import Candidates, breed, listed_candidates
from weaknas.search.narrowing import Narrowing
from weaknas.search.pool import Pool
from weaknas.search.ranker import Evidence, Ranker, naming, pool_belief
from weaknas.spaces import Fingerprints, Genotypes, SearchSpace, distinct_with_fingerprints
from weaknas.strategies import History


class Valued(NamedTuple):
    """What is predicted of candidates, and how much each is wanted; three of shape (n,)."""

    mean: Floats
    std: Floats
    wanted: Floats


#: Of genotypes, shape (n, d), and features, shape (n, f).
Valuation: TypeAlias = Callable[[Genotypes, Any], Valued]

_INCUMBENTS = 50  # of what was told, to begin with
_MOST_NEIGHBORS = 500  # of one architecture, drawn where there are more
_EXPANDED = 3  # architectures a generation whose neighbours are all looked at
_MOST_MUTATIONS = 4  # in a row
_STALE = 2  # generations without something better, after which an evolution ends
_PRESSURE = 2.0  # exponent: how much likelier the better are to be parents
_DRAWN = 32  # for each of the initial sample, of which one is chosen
_MOST_COVERING = 100  # architectures that all choices occur in


class EvolvedCandidates(Candidates):
    """What an evolution on the acquisition finds, from the best so far and from afar.

    A generation crosses and mutates the most wanted candidates, with one to several
    mutations in a row, and looks at all neighbours of the very best, so that the
    end of it is a local optimum of the acquisition. The start are the best that
    were told, draws from a sampling distribution that narrows from round to round
    (`Narrowing`) and draws from the whole space. Moves of a space with constraints
    stay inside, and so does all this. The work of a round does not depend on the
    size of the space.

    Parameters
    ----------
    space : SearchSpace
    encoder : transformer
        Fitted here, to a sample.
    size : int
        Size of the pool that a round ends with.
    offspring : int
        Of a generation.
    parents : int
        The most wanted, which have offspring.
    generations : int
        At most; an evolution ends earlier when it finds nothing better.
    patience : int
        Rounds without a better score after which the sampling distribution widens.
    seed : int
        For the sample the encoder is fitted to.
    """

    def __init__(
        self,
        space: SearchSpace,
        encoder: Transformer,
        *,
        size: int = 2000,
        offspring: int = 600,
        parents: int = 100,
        generations: int = 15,
        patience: int = 10,
        seed: int = 0,
    ) -> None:
        self.space, self.size, self.offspring = space, size, offspring
        self.parents, self.generations, self.patience = parents, generations, patience
        rng = np.random.default_rng(seed)
        sample = space.canonicalize(space.sample(size, rng))
        self.encoder = encoder.fit(sample)
        #: Features of a sample of the space.
        self.reference = encode(encoder, sample)
        self._covering = cover(sample, space.cardinalities, min(_MOST_COVERING, size), sample[:0])
        self.layout = find_layout(encoder)
        self.narrowing: Narrowing = Narrowing(space, rng)
        self._record, self._stale = -np.inf, 0

    def sample(self, n: int, rng: np.random.Generator, known: Genotypes) -> Genotypes:
        """Draw n architectures in which, and in the known ones, as many choices occur as may be.

        A choice that few architectures within limits have would else not be tried for long. Of
        many the rest is drawn uniformly.
        """
        count = min(n, _MOST_COVERING)
        drawn = self.space.canonicalize(self.space.sample(_DRAWN * count + n - count, rng))
        chosen = cover(drawn[: _DRAWN * count], self.space.cardinalities, count, known)
        return np.vstack([chosen, drawn[_DRAWN * count :]])

    def pool(self, history: History, rng: np.random.Generator) -> Pool:
        """Return where an evolution starts."""
        rows, codes = distinct_with_fingerprints(self.space, self._start(history, rng))
        return Pool(rows, codes, encode(self.encoder, rows), self.layout)

    def ranker(self, predictor: Regressor) -> Ranker:
        """Return a predictor that candidates evolve on, for one search."""
        return EvolvingRanker(self, predictor)

    def evolve(
        self, history: History, seen: Fingerprints, value: Valuation, rng: np.random.Generator
    ) -> Population:
        """Return where an evolution ends.

        Parameters
        ----------
        history : History
        seen : ndarray of int64, shape (k,)
            Fingerprints of what was told or asked for: it has offspring, but does not count as
            progress.
        value : callable
            What is predicted of candidates, and how much they are wanted.
        rng : Generator
        """
        self._notice(history)
        living = self._alive(self._start(history, rng), seen[:0], value)
        record, stale = -np.inf, 0
        for _ in range(self.generations):
            living.add(self._alive(self._breed(living, rng), living.codes, value))
            living.keep(self.size)
            new = living.values.wanted[~np.isin(living.codes, seen)]
            top = float(np.sort(new)[-10:].sum()) if len(new) else -np.inf
            stale = 0 if top > record else stale + 1
            record = max(record, top)
            if stale == _STALE:
                break
        self.narrowing.learn(living.rows[living.ranked[: self.parents]])
        return living

    def _alive(self, genotypes: Genotypes, known: Fingerprints, value: Valuation) -> Population:
        """Return those that are not known yet, each once."""
        rows, codes = distinct_with_fingerprints(self.space, genotypes)
        new = ~np.isin(codes, known)
        rows, codes = rows[new], codes[new]
        if len(rows) == 0:
            nothing = np.empty(0)
            return Population(rows, codes, self.reference[:0], Valued(nothing, nothing, nothing))
        features = encode(self.encoder, rows)
        return Population(rows, codes, features, value(rows, features))

    def _start(self, history: History, rng: np.random.Generator) -> Genotypes:
        genotypes, scores = history.successful
        best = genotypes[np.argsort(-scores, kind="stable")[:_INCUMBENTS]]
        narrow = self.narrowing.sample(self.parents, rng)
        wide = self.space.sample(2 * self.parents - len(narrow), rng)
        if len(best) == 0:
            return np.vstack([narrow, wide, self._covering])
        # What has any choice, and the like of the best that has it.
        parents = best[rng.integers(len(best), size=len(self._covering))]
        mixed = self.space.crossover(parents, self._covering, rng)
        return np.vstack([best, narrow, wide, self._covering, mixed])

    def _breed(self, living: Population, rng: np.random.Generator) -> Genotypes:
        order = living.ranked[: self.parents]
        draws = rng.random((2, self.offspring)) ** _PRESSURE * len(order)
        mothers, fathers = living.rows[order[draws.astype(np.int64)]]
        children = breed(self.space, mothers, fathers, rng, _MOST_MUTATIONS)
        neighbors = [self._neighbors(row, rng) for row in living.unexpanded(_EXPANDED)]
        return np.vstack([children, *neighbors]).astype(self.space.genotype_dtype)

    def _neighbors(self, genotype: Genotypes, rng: np.random.Generator) -> Genotypes:
        if (self.space.cardinalities - 1).sum() > _MOST_NEIGHBORS:
            return self.space.mutate(np.repeat(genotype[None], _MOST_NEIGHBORS, axis=0), rng)
        return self.space.neighbors(genotype)

    def _notice(self, history: History) -> None:
        """Widen the sampling distribution when the search is stuck."""
        _, scores = history.successful
        record = float(scores.max())
        self._stale = 0 if record > self._record else self._stale + 1
        self._record = max(record, self._record)
        if self._stale == self.patience:
            self.narrowing.widen()
            self._stale = 0


def cover(
    genotypes: Genotypes, cardinalities: npt.NDArray[np.integer], n: int, known: Genotypes
) -> Genotypes:
    """Choose n genotypes in which every choice occurs that can be, rare ones included.

    One after the other, each the one whose choices were chosen least so far: a choice
    that occurs k times counts 1 / (1 + k).

    Parameters
    ----------
    genotypes : ndarray of int, shape (m, d)
        The first of those that are equal is taken.
    cardinalities : ndarray of int, shape (d,)
    n : int
    known : ndarray of int, shape (l, d)
        Chosen before.

    Returns
    -------
    ndarray of int, shape (min(n, m), d)
    """
    offsets = np.cumsum(cardinalities) - cardinalities
    places = genotypes + offsets
    counts = np.bincount((known + offsets).ravel(), minlength=int(cardinalities.sum()))
    worth = 1.0 / (1.0 + counts)
    left = np.ones(len(genotypes), dtype=bool)
    chosen: list[int] = []
    for _ in range(min(n, len(genotypes))):
        chosen.append(int(np.argmax(np.where(left, worth[places].sum(axis=1), -1.0))))
        left[chosen[-1]] = False
        worth[places[chosen[-1]]] = 1.0 / (1.0 / worth[places[chosen[-1]]] + 1.0)
    return genotypes[chosen]


class Population:
    """Candidates that live, and what is thought of them.

    Parameters
    ----------
    rows : ndarray of int, shape (n, d)
        Canonical, each architecture once.
    codes : ndarray of int64, shape (n,)
        Fingerprints.
    features : ndarray of float32, shape (n, f)
    values : Valued
    """

    def __init__(self, rows: Genotypes, codes: Fingerprints, features: Any, values: Valued) -> None:
        self.rows, self.codes, self.features, self.values = rows, codes, features, values
        self._expanded: set[int] = set()

    @property
    def ranked(self) -> npt.NDArray[np.int64]:
        """Places by how much they are wanted, the most wanted first."""
        return np.argsort(-self.values.wanted, kind="stable")

    def add(self, others: Population) -> None:
        """Take in others, which are none of these."""
        if len(others.rows) == 0:
            return
        self.rows = np.vstack([self.rows, others.rows])
        self.codes = np.concatenate([self.codes, others.codes])
        self.features = np.vstack([self.features, others.features])
        pairs = zip(self.values, others.values, strict=True)
        self.values = Valued(*(np.concatenate(pair) for pair in pairs))

    def keep(self, count: int) -> None:
        """Let all but the most wanted die."""
        if count < len(self.rows):
            self._select(np.sort(self.ranked[:count]))

    def drop(self, codes: Fingerprints) -> None:
        """Let those with these fingerprints die."""
        self._select(np.flatnonzero(~np.isin(self.codes, codes)))

    def unexpanded(self, count: int) -> list[Genotypes]:
        """Return the most wanted whose neighbours were not asked for yet."""
        chosen: list[Genotypes] = []
        for place in self.ranked[: 10 * count].tolist():
            code = int(self.codes[place])
            if code not in self._expanded and len(chosen) < count:
                self._expanded.add(code)
                chosen.append(self.rows[place])
        return chosen

    def _select(self, places: npt.NDArray[np.int64]) -> None:
        self.rows, self.codes = self.rows[places], self.codes[places]
        self.features = self.features[places]
        self.values = Valued(*(each[places] for each in self.values))


class EvolvingRanker(Ranker):
    """A predictor for any candidates, and an evolution on what an acquisition makes of it.

    Parameters
    ----------
    candidates : EvolvedCandidates
    predictor : regressor
        Not fitted itself: a copy is.
    """

    def __init__(self, candidates: EvolvedCandidates, predictor: Regressor) -> None:
        self._candidates, self._predictor = candidates, predictor
        self._model: OpenModel | None = None
        self._proposed: Population
        self._evaluated: Evaluated

    def fit(self, evidence: Evidence) -> None:
        """Fit to what was told, and predict it and what is pending."""
        candidates, history = self._candidates, evidence.history
        if self._model is None:
            predictor = fresh_predictor(self._predictor, candidates.layout, evidence.rng)
            self._model = for_any(predictor, candidates.reference)
        proposed = np.vstack([history.genotypes, evidence.pending])
        rows, codes = distinct_with_fingerprints(candidates.space, proposed)
        features = encode(candidates.encoder, rows)
        pool = Pool(rows, codes, features)
        known = pool.locate(history.successful_fingerprints)
        with naming(self._predictor):
            self._model.fit(features[known], evidence.targets, evidence.repeats)
        mean, std = self._predict(features)
        self._evaluated = Evaluated(rows[known], mean[known])
        # Known, and so not wanted: they are in the pool to be trained again.
        self._proposed = Population(
            rows, codes, features, Valued(mean, std, np.full(len(rows), -np.inf))
        )
        pending = pool.locate(evidence.pending_fingerprints)
        if len(pending):
            self._model.condition(features[pending])

    def rank(self, evidence: Evidence, acquisition: Acquisition) -> Belief:
        """Return what the predictor says of where the evolution ends, and of what was proposed."""
        model, candidates = self._model, self._candidates
        assert model is not None, "`fit` comes first"

        def value(genotypes: Genotypes, features: Any) -> Valued:
            mean, std = self._predict(features)
            belief = Belief(
                genotypes=genotypes,
                mean=mean,
                std=std,
                available=np.ones(len(mean), dtype=bool),
                evaluated=self._evaluated,
                round=evidence.round,
                rng=evidence.rng,
                joint=lambda rows: model.covariance(features[rows]),
                scale=evidence.scale,
            )
            return Valued(mean, std, acquisition.values(belief))

        seen = self._proposed.codes
        end = candidates.evolve(evidence.history, seen, value, evidence.rng)
        end.drop(seen)
        end.add(self._proposed)
        pool = Pool(end.rows, end.codes, end.features, candidates.layout)
        predicted = end.values.mean, end.values.std
        return pool_belief(pool, OpenPool(model, pool.features), predicted, evidence)

    def joint(self, errors: Floats) -> Joint | None:
        """Return the scores behind the labels."""
        assert self._model is not None, "`fit` comes first"
        return self._model.joint(errors, self._candidates.reference[:0])

    def _predict(self, features: Any) -> tuple[Floats, Floats]:
        assert self._model is not None, "`fit` comes first"
        return check_predictions(self._predictor, *self._model.predict(features), len(features))


def default_candidates(space: SearchSpace, encoder: Transformer, seed: int = 0) -> Candidates:
    """Return the whole space where it can be listed, else what evolves each round."""
    if space.is_listable:
        return listed_candidates(space, encoder)
    return EvolvedCandidates(space, encoder, seed=seed)
