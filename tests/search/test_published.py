"""BANANAS and NPENAS as configurations: what they rank and with what."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

from weaknas.encoders import OneHotEncoder, TruncatedPathEncoder
from weaknas.registry import get_space
from weaknas.search.acquisition import Greedy, HalvedTop, IndependentThompson
from weaknas.search.published import MutatedCandidates, bananas, brp_nas, npenas
from weaknas.spaces import ChoiceSpace, distinct
from weaknas.strategies import History

SPACE = ChoiceSpace({f"x{i}": ["a", "b", "c", "d"] for i in range(8)})


def test_candidates_are_one_mutation_away_from_the_best() -> None:
    rng = np.random.default_rng(0)
    history = History(SPACE)
    told = distinct(SPACE, SPACE.sample(30, rng))
    scores = np.arange(len(told), dtype=np.float64)
    scores[-1] = np.nan  # the last failed
    history.add(told, scores)
    candidates = MutatedCandidates(SPACE, OneHotEncoder(SPACE), 3, 20, 0)
    pool = candidates.pool(history, rng)
    new = pool.genotypes[~np.isin(pool.fingerprints, history.fingerprints)]
    distances = (new[:, None] != told[-4:-1][None]).sum(axis=2)
    assert (distances.min(axis=1) == 1).all()
    assert 20 < len(new) <= 60  # of 72 there are
    assert np.isin(history.fingerprints, pool.fingerprints).all()
    assert (np.diff(pool.fingerprints) > 0).all()
    assert np.array_equal(pool.features, candidates.encoder.transform(pool.genotypes))


def test_the_parts_are_those_of_the_papers() -> None:
    space = get_space("nasbench201")
    search = bananas(space)
    assert isinstance(search.acquisition, IndependentThompson)
    assert isinstance(search.encoder, TruncatedPathEncoder)
    assert (search.predictor.hidden, search.predictor.members) == ((20,) * 10, 5)
    assert isinstance(npenas(space).acquisition, Greedy)
    assert (search.round_size, search.batch_size, search.initial) == (10, 10, 10)
    if find_spec("torch"):
        search = brp_nas(space)
        assert isinstance(search.acquisition, HalvedTop)
        assert (type(search.predictor).__name__, search.batch_size) == ("PairwiseRelation", 20)
    assert isinstance(bananas(SPACE).encoder, OneHotEncoder)  # not graphs


def test_they_beat_random_search_on_a_smooth_score() -> None:
    best = SPACE.sample(1, np.random.default_rng(5))[0]
    for factory in (bananas, npenas):
        search = factory(SPACE, seed=1)
        for _ in range(4):
            batch = search.ask()
            rows = np.array([architecture.genotype for architecture in batch])
            search.tell(batch, (rows == best).sum(axis=1).astype(float))
        first, last = search.history.scores[:10], search.history.scores[-10:]
        assert last.mean() > first.max()
