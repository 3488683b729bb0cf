"""Candidate pools: what the predictor ranks in a round."""

from __future__ import annotations

import json
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from weaknas.components import describe
from weaknas.spaces import Fingerprints, Genotypes, SearchSpace
from weaknas.strategies import History

_CHUNK = 8192  # candidates encoded at a time, so that temporaries stay small
_DRAWS = 20  # of a sample, until it has enough different architectures
_MAPPED_ABOVE = 2**30  # bytes of features of one pool


@dataclass(frozen=True)
class Pool:
    """The candidates of one round.

    Parameters
    ----------
    genotypes : ndarray of int, shape (n, d)
        Canonical, each architecture once.
    fingerprints : ndarray of int64, shape (n,)
    features : ndarray of float32, shape (n, f)
    layout : mapping
        What the encoder knows of the columns, for predictors with parameters of
        these names: ``groups``, blocks that belong together, and ``trend``, columns
        with which scores may go up or down over the whole space.
    """

    genotypes: Genotypes
    fingerprints: Fingerprints
    features: Any
    layout: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def _order(self) -> npt.NDArray[np.int64]:
        return np.argsort(self.fingerprints, kind="stable")

    def locate(self, fingerprints: Fingerprints) -> npt.NDArray[np.int64]:
        """Return the rows of fingerprints, shape (m,), without those that are not in the pool."""
        position = np.searchsorted(self.fingerprints, fingerprints, sorter=self._order)
        rows: npt.NDArray[np.int64] = self._order[np.minimum(position, len(self._order) - 1)]
        return np.asarray(rows[self.fingerprints[rows] == fingerprints])

    def other_than(self, fingerprints: Fingerprints) -> npt.NDArray[np.bool_]:
        """Tell which candidates, shape (n,), are none of the fingerprints, shape (m,)."""
        others = np.ones(len(self.fingerprints), dtype=bool)
        others[self.locate(fingerprints)] = False
        return others


class Candidates(ABC):
    """Where pools come from. Everything that was told is in each of them."""

    space: SearchSpace

    def sample(self, n: int, rng: np.random.Generator) -> Genotypes:
        """Draw n architectures for the initial sample; repeats are allowed."""
        return self.space.sample(n, rng)

    @abstractmethod
    def pool(self, history: History, rng: np.random.Generator) -> Pool:
        """Return the candidates of the next round."""


class ListedCandidates(Candidates):
    """The whole space, encoded once.

    Parameters
    ----------
    space : SearchSpace
    encoder : transformer
        Fitted here, to the whole space.
    """

    def __init__(self, space: SearchSpace, encoder: Any) -> None:
        self.space = space
        genotypes, codes = space._distinct_with_codes(space.enumerate())
        self._pool = _encoded(genotypes, codes, encoder.fit(genotypes))

    def sample(self, n: int, rng: np.random.Generator) -> Genotypes:
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
        self, space: SearchSpace, encoder: Any, size: int = 5000, parents: int = 20, seed: int = 0
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
            first, second = best[rng.integers(len(best), size=(2, self.size // 2))]
            cross = (rng.random(len(first)) < 0.5)[:, None]
            offspring = np.where(cross, self.space.crossover(first, second, rng), first)
            mutations = rng.geometric(0.5, size=len(offspring))
            for depth in range(1, int(mutations.max()) + 1):
                again = mutations >= depth
                offspring[again] = self.space.mutate(offspring[again], rng)
            drawn.append(offspring.astype(self.space.genotype_dtype))
        genotypes, codes = self.space._distinct_with_codes(np.vstack(drawn))
        return _encoded(genotypes, codes, self.encoder)


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

    def __init__(self, space: SearchSpace, encoder: Any, size: int = 10_000, seed: int = 0) -> None:
        self.space, rng = space, np.random.default_rng(seed)
        rows = space._distinct(space.sample(size, rng))
        for _ in range(_DRAWS):
            if len(rows) >= size:
                break
            rows = space._distinct(np.vstack([rows, space.sample(size, rng)]))
        self._sample = rows[:size]
        self.encoder = encoder.fit(self._sample)
        self._pool = _encoded(self._sample, space.fingerprint(self._sample), encoder)

    def sample(self, n: int, rng: np.random.Generator) -> Genotypes:
        """Draw of the sample, without repeats."""
        return self._sample[rng.permutation(len(self._sample))[:n]]

    def pool(self, history: History, rng: np.random.Generator) -> Pool:
        """Return the same pool as long as nothing was told that is not in it."""
        told = history.fingerprints
        if len(self._pool.locate(told)) < len(told):
            rows = np.vstack([self._pool.genotypes, history.genotypes])
            self._pool = _encoded(*self.space._distinct_with_codes(rows), self.encoder)
        return self._pool


def _encoded(genotypes: Genotypes, fingerprints: Fingerprints, encoder: Any) -> Pool:
    """Return the pool of canonical genotypes with an encoder that is fitted."""
    features = encoder.transform(genotypes[:_CHUNK])
    if len(genotypes) > _CHUNK:
        first = np.asarray(features)
        features = _allocate((len(genotypes), first.shape[1]), first.dtype)
        features[:_CHUNK] = first
        for start in range(_CHUNK, len(genotypes), _CHUNK):
            part = slice(start, start + _CHUNK)
            features[part] = encoder.transform(genotypes[part])
    known = {name: getattr(encoder, name, None) for name in ("groups", "trend")}
    layout = {name: value for name, value in known.items() if value}
    return Pool(genotypes, fingerprints, features, layout)


def _allocate(shape: tuple[int, int], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return room for features, in a file that is mapped to memory where it is large."""
    if shape[0] * shape[1] * dtype.itemsize <= _MAPPED_ABOVE:
        return np.empty(shape, dtype=dtype)
    with tempfile.TemporaryFile() as file:  # goes with the array: the mapping keeps it
        return np.memmap(file, dtype=dtype, shape=shape, mode="w+")


# Pools of listed spaces by encoder: an experiment runs many searches of one space.
_LISTED: WeakKeyDictionary[SearchSpace, dict[str, ListedCandidates]] = WeakKeyDictionary()


def listed_candidates(space: SearchSpace, encoder: Any) -> ListedCandidates:
    """Return the whole of a space that can be listed.

    Pools are shared between searches with the same space object and an equal
    encoder of ours; they are not changed after they are made.
    """
    if not type(encoder).__module__.startswith("weaknas."):
        return ListedCandidates(space, encoder)
    known = _LISTED.setdefault(space, {})
    key = json.dumps(describe(encoder))
    if key not in known:
        known[key] = ListedCandidates(space, encoder)
    return known[key]
