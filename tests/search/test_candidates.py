"""Pools of candidates of listed and of unlistable spaces."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import weaknas
from weaknas.encoders import OneHotEncoder, PathEncoder
from weaknas.search.candidates import (
    GrownCandidates,
    ListedCandidates,
    SampledCandidates,
    listed_candidates,
)
from weaknas.search.pool import Pool
from weaknas.search.sources import Source
from weaknas.spaces import ChoiceSpace, SubsetSpace, distinct
from weaknas.spaces.nasbench201 import NASBench201
from weaknas.strategies import History

CELLS = NASBench201()
CHAIN = ChoiceSpace({f"layer{i}": ["skip", "conv3", "conv5", "pool"] for i in range(30)})


def generator(seed=0):
    return np.random.default_rng(seed)


def history(space, n=30, seed=1, score=lambda rows: rows.sum(axis=1)):
    told = History(space)
    rows = distinct(space, space.sample(n, generator(seed)))
    told.add(rows, np.asarray(score(rows), dtype=float))
    return told


# -- listed ---------------------------------------------------------------------------------


def test_a_listed_pool_is_the_whole_space_once():
    pool = listed_candidates(CELLS, OneHotEncoder(CELLS)).pool(History(CELLS), generator())
    assert len(pool.genotypes) == 8765
    np.testing.assert_array_equal(CELLS.canonicalize(pool.genotypes), pool.genotypes)
    np.testing.assert_array_equal(np.sort(pool.fingerprints), CELLS.architecture_fingerprints)
    np.testing.assert_array_equal(pool.features, OneHotEncoder(CELLS).transform(pool.genotypes))


def test_part_of_a_space():
    part = SubsetSpace(CELLS, CELLS.sample(50, generator()))
    pool = listed_candidates(part, OneHotEncoder(part)).pool(History(part), generator())
    assert sorted(pool.fingerprints) == part.architecture_fingerprints.tolist()


def test_pools_of_spaces_that_are_searched_no_more_are_let_go():
    """Each has features of the whole space: a process of many searches would run out of memory."""

    def pool(width):
        space = ChoiceSpace({"width": range(width), "depth": [1, 2]})
        return weakref.ref(listed_candidates(space, OneHotEncoder(space)))

    pools = [pool(width) for width in range(2, 30)]
    gc.collect()
    assert sum(one() is not None for one in pools) < 10
    assert pools[-1]() is not None


def test_pools_are_shared_by_space_and_encoder():
    first = listed_candidates(CELLS, OneHotEncoder(CELLS))
    assert listed_candidates(CELLS, OneHotEncoder(CELLS)) is first
    assert listed_candidates(CELLS, PathEncoder(CELLS, 5)) is not first
    assert listed_candidates(CELLS, PathEncoder(CELLS, 5)) is not listed_candidates(
        CELLS, PathEncoder(CELLS, 6)
    )
    other = NASBench201()
    assert listed_candidates(other, OneHotEncoder(other)) is not first
    # what an encoder of the user's does is not known
    plain = FunctionTransformer()
    assert listed_candidates(CELLS, plain) is not listed_candidates(CELLS, plain)


def test_blocks_of_columns_are_passed_on():
    encoder = weaknas.get_encoder("one-hot+operation-counts", CELLS)
    pool = ListedCandidates(CELLS, encoder).pool(History(CELLS), generator())
    assert pool.layout == {"groups": [slice(0, 30), slice(30, 36)]}


# -- grown ----------------------------------------------------------------------------------


def test_a_grown_pool_holds_what_was_told_and_nothing_twice():
    told = history(CHAIN)
    candidates = GrownCandidates(CHAIN, OneHotEncoder(CHAIN), seed=3)
    pool = candidates.pool(told, generator())
    assert len(np.unique(pool.fingerprints)) == len(pool.fingerprints)
    assert set(told.fingerprints.tolist()) <= set(pool.fingerprints.tolist())
    assert CHAIN.contains(pool.genotypes).all()
    assert 4000 < len(pool.genotypes) <= 5030
    np.testing.assert_array_equal(pool.fingerprints, CHAIN.fingerprint(pool.genotypes))
    np.testing.assert_array_equal(pool.features, OneHotEncoder(CHAIN).transform(pool.genotypes))


def test_half_of_a_grown_pool_is_offspring_of_the_best():
    told = history(CHAIN, n=200)
    pool = GrownCandidates(CHAIN, OneHotEncoder(CHAIN), size=1000, parents=3).pool(
        told, generator()
    )
    best = told.genotypes[np.argsort(-told.scores)[:3]]
    # an offspring differs from what its parents offer in a few places, others in many
    offered = (pool.genotypes[:, None] == best[None]).any(axis=1)
    missing = (~offered).sum(axis=1)
    assert 250 < (missing <= 5).sum() <= 500  # some of the 500 came twice
    assert 650 < (missing > 5).sum() <= 700 + 30
    # mutants near and far: one, two and more decisions away from the parent itself
    distances = (pool.genotypes[:, None] != best[None]).sum(axis=2).min(axis=1)
    assert all((distances == d).sum() > 5 for d in (1, 2, 3))


def test_failures_have_no_offspring_but_stay_known():
    told = history(CHAIN, n=40, score=lambda rows: np.where(np.arange(len(rows)) < 3, 1.0, np.nan))
    pool = GrownCandidates(CHAIN, OneHotEncoder(CHAIN), size=400).pool(told, generator())
    assert set(told.fingerprints.tolist()) <= set(pool.fingerprints.tolist())
    nothing = history(CHAIN, n=4, score=lambda rows: np.full(len(rows), np.nan))
    pool = GrownCandidates(CHAIN, OneHotEncoder(CHAIN), size=400).pool(nothing, generator())
    assert len(pool.genotypes) == 204


def test_the_generator_decides():
    told = history(CHAIN)

    def grow(seed):
        return GrownCandidates(CHAIN, OneHotEncoder(CHAIN), size=200).pool(told, generator(seed))

    np.testing.assert_array_equal(grow(1).genotypes, grow(1).genotypes)
    assert not np.array_equal(grow(1).genotypes, grow(2).genotypes)


# -- sampled --------------------------------------------------------------------------------


def test_a_sampled_pool_stays_and_takes_in_what_was_told():
    candidates = SampledCandidates(CHAIN, OneHotEncoder(CHAIN), size=500, seed=2)
    pool = candidates.pool(History(CHAIN), generator())
    assert len(np.unique(pool.fingerprints)) == len(pool.genotypes) == 500
    drawn = candidates.sample(20, generator(), CHAIN.sample(0, generator()))
    assert np.isin(CHAIN.fingerprint(drawn), pool.fingerprints).all()
    told = History(CHAIN)
    told.add(drawn, np.arange(20.0))
    assert candidates.pool(told, generator()) is pool
    other = history(CHAIN, n=30, seed=9)
    larger = candidates.pool(other, generator())
    assert len(larger.genotypes) == 530
    assert np.isin(other.fingerprints, larger.fingerprints).all()
    assert candidates.pool(other, generator()) is larger


def test_a_sampled_pool_of_a_small_space_is_all_of_it():
    part = SubsetSpace(CELLS, CELLS.sample(50, generator()))
    pool = SampledCandidates(part, OneHotEncoder(part)).pool(History(part), generator())
    assert sorted(pool.fingerprints) == part.architecture_fingerprints.tolist()


# -- finding rows ---------------------------------------------------------------------------


@pytest.mark.parametrize("shuffle", [False, True])
def test_rows_are_found_by_fingerprint(shuffle):
    codes = np.array([5, -3, 99, 7, 0])
    codes = codes[generator().permutation(5)] if shuffle else codes
    pool = Pool(np.zeros((5, 1), dtype=np.int16), codes, None)
    np.testing.assert_array_equal(codes[pool.locate(np.array([7, -3, 7, 99]))], [7, -3, 7, 99])
    np.testing.assert_array_equal(codes[pool.locate(np.array([-99, 5, 6, 1000]))], [5])
    assert pool.locate(np.array([], dtype=np.int64)).shape == (0,)


# -- large pools ----------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [2**30, 1])
def test_pools_are_encoded_in_chunks_and_mapped_when_large(limit, monkeypatch):
    names = "one-hot+path-counts+operation-counts"
    whole = ListedCandidates(CELLS, weaknas.get_encoder(names, CELLS))
    monkeypatch.setattr("weaknas.search.pool._CHUNK", 1000)
    monkeypatch.setattr("weaknas.search.pool._MAPPED_ABOVE", limit)
    parts = ListedCandidates(CELLS, weaknas.get_encoder(names, CELLS))
    pool, expected = (
        parts.pool(History(CELLS), generator()),
        whole.pool(History(CELLS), generator()),
    )
    assert isinstance(pool.features, np.memmap) == (limit == 1)
    assert pool.features.dtype == np.float32
    np.testing.assert_array_equal(pool.features, expected.features)
    assert pool.layout == expected.layout
    searches = [weaknas.WeakNAS(CELLS, seed=3, candidates=c) for c in (parts, whole)]
    for _ in range(4):
        asked, same = (search.ask() for search in searches)
        assert asked == same
        for search in searches:
            search.tell(asked, [len(a.text) - 0.1 * sum(a.genotype) for a in asked])


def test_what_is_not_among_others():
    codes = np.array([5, -3, 99, 7, 0])
    pool = Pool(np.zeros((5, 1), dtype=np.int16), codes, None)
    assert pool.other_than(np.array([99, 5, 1234])).tolist() == [False, True, False, True, True]
    assert pool.other_than(np.array([], dtype=np.int64)).all()


def test_pools_of_encoders_with_parts_of_others_are_not_shared():
    """Two functions look alike in a description."""
    space = ChoiceSpace({"width": list(range(8)), "depth": [1, 2]})
    known = Source("known", space.enumerate()[:6], np.arange(6.0), space=space)

    def largest(factor):
        encoder = FunctionTransformer(lambda genotypes: genotypes * float(factor))
        search = weaknas.WeakNAS(space, encoder=encoder, sources=[known])
        features = search._candidates.pool(search.history, generator()).features
        return features[:, : space.n_variables].max()

    assert (largest(1), largest(5)) == (7, 35)


def test_an_encoder_is_fitted_for_one_search_alone():
    scaler = StandardScaler()
    first = weaknas.WeakNAS(CHAIN, seed=0, encoder=scaler)
    first.tell(asked := first.ask(), np.arange(float(len(asked))))
    first.ask()
    fitted = first.encoder.mean_.copy()
    weaknas.WeakNAS(CHAIN, seed=1, encoder=scaler).ask()
    np.testing.assert_array_equal(first.encoder.mean_, fitted)
    assert not hasattr(scaler, "mean_")
