"""NAO: rows to a latent space and back, uphill in it, as a strategy and as candidates."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from weaknas.encoders import OneHotEncoder
from weaknas.errors import InputError
from weaknas.runs.runner import Result, run
from weaknas.search.nao import NAO, Ascent, LatentAscent
from weaknas.search.strategy import WeakNAS
from weaknas.spaces import Architecture, ChoiceSpace
from weaknas.strategies import History

pytest.importorskip("torch")

SPACE = ChoiceSpace({f"v{i}": list(range(4)) for i in range(5)}, name="steps")


def value(architecture: Architecture) -> float:
    return float(np.array(architecture.genotype) @ np.array([5.0, 4.1, 3.3, 2.0, 1.0]))


@pytest.fixture(scope="module")
def learned() -> tuple[Ascent, History]:
    history, rng = History(SPACE), np.random.default_rng(0)
    rows = SPACE.enumerate()[rng.permutation(SPACE.size)[:60]]
    history.add(rows, np.array([value(each) for each in SPACE.architectures(rows)]))
    ascent = Ascent(SPACE, epochs=150, parents=20, device="cpu")
    ascent.learn(history, rng)
    return ascent, history


def same(rows: np.ndarray, others: np.ndarray) -> float:
    return float((rows == others).all(axis=1).mean())


def test_what_it_was_trained_on_is_spelled_again(learned: tuple[Ascent, History]) -> None:
    ascent, history = learned
    assert same(ascent._networks().ascend(history.genotypes, 0.0), history.genotypes) > 0.95
    others = SPACE.sample(200, np.random.default_rng(1))  # without a score
    assert same(ascent._networks().ascend(others, 0.0), others) > 0.7


def test_ascent_raises_the_predicted_and_the_true_score(learned: tuple[Ascent, History]) -> None:
    ascent, _ = learned
    model = ascent._networks()
    rows = SPACE.sample(100, np.random.default_rng(2))
    moved = model.ascend(rows, 0.8)
    assert (model.predict(moved) - model.predict(rows)).mean() > 0.05
    before, after = (
        np.mean([value(each) for each in SPACE.architectures(which)]) for which in (rows, moved)
    )
    assert after > before


def test_what_is_found_is_new_and_counted(learned: tuple[Ascent, History]) -> None:
    ascent, history = learned
    found = ascent.climb(history, history.fingerprints, 10)
    codes = SPACE.fingerprint(found)
    assert len(found) == len(set(codes.tolist())) == 10
    assert not np.isin(codes, history.fingerprints).any()
    decoded = ascent.decoded
    assert decoded.total >= decoded.valid >= decoded.new >= 10
    assert decoded.shares["new"] == decoded.new / decoded.total


def search(seed: int, epochs: int) -> Result:
    strategy = NAO(SPACE, initial=12, round=8, epochs=epochs, seed=seed, device="cpu")
    return run(strategy, value, 28)


def test_nothing_is_proposed_twice_and_the_seed_decides() -> None:
    first, again, other = (search(seed, 3).trials.genotypes for seed in (0, 0, 1))
    assert len(np.unique(first, axis=0)) == 28
    assert first.tolist() == again.tolist() != other.tolist()


def test_rounds_are_better_than_the_random_sample() -> None:
    scores = [trial.score for trial in search(0, 50).trials]
    assert np.mean(scores[12:]) > np.mean(scores[:12]) + 1.0


def test_the_ascent_serves_any_predictor_and_acquisition() -> None:
    candidates = LatentAscent(
        SPACE, OneHotEncoder(SPACE), size=10, epochs=30, parents=6, device="cpu"
    )
    strategy = WeakNAS(
        SPACE, predictor=Ridge(1e-3), candidates=candidates, acquisition="top-n", initial=10
    )
    result = run(strategy, value, 18)
    assert len(np.unique(result.trials.genotypes, axis=0)) == 18
    assert candidates.ascent.decoded.new > 0
    assert result.best_observed.score > max(trial.score for trial in result.trials[:10])


def test_bad_settings_are_refused() -> None:
    with pytest.raises(InputError, match="step"):
        NAO(SPACE, step=0.0)
    with pytest.raises(InputError, match="round"):
        NAO(SPACE, round=0)
