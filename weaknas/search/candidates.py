"""Candidate pools: what the predictor ranks in a round."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from weaknas.components import HasParameters, describe
from weaknas.encoders import Transformer
from weaknas.predictors.regressor import Regressor
from weaknas.search.narrowing import Narrowing
from weaknas.search.pool import Pool, encode_pool
from weaknas.search.ranker import PoolRanker, Ranker
from weaknas.spaces import Genotypes, SearchSpace, distinct, distinct_with_fingerprints
from weaknas.strategies import History

_MOST_LISTED = 4  # pools that are kept for searches to come
_DRAWS = 20  # of a sample, until it has enough different architectures


class Candidates(ABC):
    """Where pools come from. Everything that was told is in each of them."""

    space: SearchSpace
    #: The sampling distribution that the candidates come from, where there is one.
    narrowing: Narrowing | None = None

    def sample(self, n: int, rng: np.random.Generator, known: Genotypes) -> Genotypes:
        """Draw n architectures for the initial sample; repeats are allowed.

        Parameters
        ----------
        n : int
        rng : Generator
        known : ndarray of int, shape (m, d)
            What was told or asked for, which may be drawn all the same.
        """
        return self.space.sample(n, rng)

    @abstractmethod
    def pool(self, history: History, rng: np.random.Generator) -> Pool:
        """Return the candidates of the next round."""

    def ranker(self, predictor: Regressor) -> Ranker:
        """Return a predictor bound to these candidates, for one search."""
        return PoolRanker(self, predictor)


class ListedCandidates(Candidates):
    """The whole space, encoded once.

    Parameters
    ----------
    space : SearchSpace
    encoder : transformer
        Fitted here, to the whole space.
    """

    def __init__(self, space: SearchSpace, encoder: Transformer) -> None:
        self.space = space
        genotypes, codes = distinct_with_fingerprints(space, space.enumerate())
        self._pool = encode_pool(genotypes, codes, encoder.fit(genotypes))

    def sample(self, n: int, rng: np.random.Generator, known: Genotypes) -> Genotypes:
        """Draw from the list, where each architecture stands once."""
        return self._pool.genotypes[rng.permutation(len(self._pool.genotypes))[:n]]

    def pool(self, history: History, rng: np.random.Generator) -> Pool:
        """Return the whole space."""
        return self._pool


class GrownCandidates(Candidates):
    """Offspring of the best and random architectures, drawn anew each round.

    Half of the pool are mutants and crossings of the best architectures so far,
    with one to several mutations in a row, so that near and far offspring are
    there; the other half is drawn uniformly from the space.

    Parameters
    ----------
    space : SearchSpace
    encoder : transformer
        Fitted here, to a sample.
    size : int
        Size of the pool.
    parents : int
        How many of the best architectures have offspring.
    seed : int
        For the sample the encoder is fitted to.
    """

    def __init__(
        self,
        space: SearchSpace,
        encoder: Transformer,
        size: int = 5000,
        parents: int = 20,
        seed: int = 0,
    ) -> None:
        self.space, self.size, self.parents = space, size, parents
        sample = space.sample(size, np.random.default_rng(seed))
        self.encoder = encoder.fit(space.canonicalize(sample))

    def pool(self, history: History, rng: np.random.Generator) -> Pool:
        """Grow a pool around the best of the history."""
        genotypes, scores = history.successful
        best = genotypes[np.argsort(-scores, kind="stable")[: self.parents]]
        drawn = [history.genotypes, self.space.sample(self.size // 2, rng)]
        if len(best):
            mothers, fathers = best[rng.integers(len(best), size=(2, self.size // 2))]
            drawn.append(breed(self.space, mothers, fathers, rng))
        genotypes, codes = distinct_with_fingerprints(self.space, np.vstack(drawn))
        return encode_pool(genotypes, codes, self.encoder)


class SampledCandidates(Candidates):
    """A random sample of the space, drawn once, with what was told from elsewhere.

    Parameters
    ----------
    space : SearchSpace
    encoder : transformer
        Fitted here, to the sample.
    size : int
        Different architectures in the sample; fewer where the space has no more.
    seed : int
    """

    def __init__(
        self, space: SearchSpace, encoder: Transformer, size: int = 10_000, seed: int = 0
    ) -> None:
        self.space, rng = space, np.random.default_rng(seed)
        rows = distinct(space, space.sample(size, rng))
        for _ in range(_DRAWS):
            if len(rows) >= size:
                break
            rows = distinct(space, np.vstack([rows, space.sample(size, rng)]))
        self._sample = rows[:size]
        self.encoder = encoder.fit(self._sample)
        self._pool = encode_pool(self._sample, space.fingerprint(self._sample), encoder)

    def sample(self, n: int, rng: np.random.Generator, known: Genotypes) -> Genotypes:
        """Draw of the sample, without repeats."""
        return self._sample[rng.permutation(len(self._sample))[:n]]

    def pool(self, history: History, rng: np.random.Generator) -> Pool:
        """Return the same pool as long as nothing was told that is not in it."""
        evaluated = history.fingerprints
        if len(self._pool.locate(evaluated)) < len(evaluated):
            rows = np.vstack([self._pool.genotypes, history.genotypes])
            self._pool = encode_pool(*distinct_with_fingerprints(self.space, rows), self.encoder)
        return self._pool


def breed(
    space: SearchSpace,
    mothers: Genotypes,
    fathers: Genotypes,
    rng: np.random.Generator,
    most_mutations: int | None = None,
) -> Genotypes:
    """Return a child of each pair, shape (n, d): crossed or like the mother, then mutated.

    The number of mutations in a row is geometric, 1 in half of the cases, 2 in a
    quarter, so that near and far children are there.
    """
    crossed = (rng.random(len(mothers)) < 0.5)[:, None]
    children = np.where(crossed, space.crossover(mothers, fathers, rng), mothers)
    mutations = np.minimum(rng.geometric(0.5, size=len(children)), most_mutations or np.inf)
    for depth in range(1, int(mutations.max()) + 1):
        again = mutations >= depth
        children[again] = space.mutate(children[again], rng)
    return children.astype(space.genotype_dtype)


# Pools of listed spaces, the one that was used last at the end: an experiment runs many searches of
# one space, and every search that has sources of its own has another encoder.
_LISTED: list[tuple[SearchSpace, str, ListedCandidates]] = []


def listed_candidates(space: SearchSpace, encoder: Transformer) -> ListedCandidates:
    """Return the whole of a space that can be listed.

    Pools are shared between searches with the same space object and an equal
    encoder of ours; they are not changed after they are made. The last few are kept.
    """
    if not _is_described(encoder):
        return ListedCandidates(space, encoder)
    key = json.dumps(describe(encoder))
    for known in reversed(_LISTED):
        if known[0] is space and known[1] == key:
            break
    else:
        known = space, key, ListedCandidates(space, encoder)
    _LISTED[:] = [*(other for other in _LISTED if other is not known), known][-_MOST_LISTED:]
    return known[2]


def _is_described(value: object) -> bool:
    """Tell whether equal descriptions are of equal encoders: of ours, made of ours and of data."""
    ours = type(value).__module__.startswith("weaknas.")
    if isinstance(value, HasParameters):
        return ours and all(map(_is_described, value.get_params(deep=False).values()))
    if isinstance(value, Mapping):
        return all(map(_is_described, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_described, value))
    return ours or isinstance(value, Path | str | int | float | np.generic | None)
