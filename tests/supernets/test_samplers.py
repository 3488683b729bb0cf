"""Who decides what a supernet is trained with: learning, memory, effects, resuming."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from weaknas.errors import InputError  # noqa: E402
from weaknas.registry import get_strategy  # noqa: E402
from weaknas.spaces import ChoiceSpace  # noqa: E402
from weaknas.spaces.mobilenetv3 import MobileNetV3  # noqa: E402
from weaknas.spaces.nasbench201 import NASBench201  # noqa: E402
from weaknas.supernets import make_phases  # noqa: E402
from weaknas.supernets.judging import Judge, normalizing_by_batches  # noqa: E402
from weaknas.supernets.samplers import MANAS, LeastSquaresMANAS, Searching, Uniform  # noqa: E402
from weaknas.supernets.samplers.enas import ENAS, MemoryENAS  # noqa: E402
from weaknas.supernets.samplers.making import make_sampler  # noqa: E402
from weaknas.supernets.schedule import SAMPLED  # noqa: E402
from weaknas.supernets.trainer import DEFAULT, SupernetTrainer  # noqa: E402
from weaknas.training.checkpoints import Checkpoint  # noqa: E402
from weaknas.training.distributed import ALONE  # noqa: E402

SPACE = ChoiceSpace({"a": ["x", "y", "z"], "b": ["x", "y"], "c": [1, 2, 3, 4]})
CELLS = NASBench201()
#: Those that need no ordered choices.
ANYWHERE = [method for method in SAMPLED if method != "attentive"]
FEW = replace(DEFAULT, epochs=3, batch_size=32, warmup=1.0)
CPU = torch.device("cpu")


def hits(genotypes) -> np.ndarray:
    """How much of the best of a bandit is chosen, a fraction."""
    return (genotypes == SPACE.cardinalities - 1).mean(axis=1)


def teach(sampler, lessons: int, reward=hits) -> None:
    for _ in range(lessons):
        drawn = sampler.audition()
        sampler.learn(drawn, reward(drawn))


@pytest.mark.parametrize(
    ("build", "lessons"),
    [
        (lambda: ENAS(SPACE, learning_rate=0.02, hidden=12, tanh_constant=2.5), 80),
        (lambda: MANAS(SPACE, rate=2.0), 600),
        (lambda: LeastSquaresMANAS(SPACE), 150),
    ],
    ids=["enas", "manas", "manas-ls"],
)
def test_a_bandit_is_learned(build, lessons: int) -> None:
    sampler = build()
    before = np.mean([hits(sampler.draw(0))[0] for _ in range(200)])
    teach(sampler, lessons)
    after = np.mean([hits(sampler.draw(0))[0] for _ in range(200)])
    assert before == pytest.approx((1 / 3 + 1 / 2 + 1 / 4) / 3, abs=0.08)
    assert after > 0.75
    assert (sampler.favorites(1)[0] == SPACE.cardinalities - 1).all()


def test_weaknas_trains_what_it_proposes_and_is_told_of_it() -> None:
    sampler = Searching(get_strategy("weaknas", SPACE, seed=0), proposals=3, share=0.25)
    for epoch in range(3):
        sampler.begin(epoch)
        drawn = np.concatenate([sampler.draw(step) for step in range(200)])
        proposed = sampler._proposed
        known = (drawn[:, None] == proposed).all(axis=2).any(axis=1).mean()
        assert 0.7 < known <= 0.95
        teach(sampler, 1)
    assert len(sampler.strategy.history) > 9
    told = sampler.strategy.history
    best = told.genotypes[told.scores.argmax()]
    assert hits(best[None]) == hits(told.genotypes).max()
    assert (sampler.favorites(2)[0] == best).all()


def test_the_memory_teaches_a_controller_to_reproduce_sequences() -> None:
    sampler = MemoryENAS(
        SPACE,
        **{"capacity": 3, "stored": 3, "replaced": 0, "store_from": 1, "replay_from": 1},
        **{"learning_rate": 0.02, "hidden": 12, "tanh_constant": 0.0, "draws": 1},
    )
    sampler.begin(1)
    sampler.memory = np.array([[0, 0, 0], [1, 1, 3], [2, 0, 1]], dtype=SPACE.genotype_dtype)
    teach(sampler, 150, reward=lambda drawn: np.zeros(len(drawn)))
    rows = torch.from_numpy(sampler.memory.astype(np.int64))
    chances = sampler.controller(rows).exp().detach()
    assert chances.sum() > 0.9  # of 24 sequences these three
    assert chances.min() > 0.2


def test_the_memory_fills_is_replaced_and_then_replayed() -> None:
    options = {"capacity": 8, "stored": 5, "replaced": 2, "replayed": 4}
    sampler = MemoryENAS(SPACE, **options, store_from=2, replay_from=4, hidden=4)
    sizes, given = [], []
    learn = sampler.policy.learn
    sampler.policy.learn = lambda g, r, replayed=None: (given.append(replayed), learn(g, r))
    for epoch in range(6):
        before = sampler.memory.copy()
        sampler.begin(epoch)
        sizes.append(len(sampler.memory))
        teach(sampler, 1)
    assert sizes == [0, 0, 5, 8, 8, 8]
    assert 0 < (before != sampler.memory).any(axis=1).sum() <= 2
    assert [rows is not None for rows in given] == [False] * 4 + [True] * 2
    assert given[-1].shape == (4, 3)


def test_least_squares_recovers_planted_effects() -> None:
    rng = np.random.default_rng(0)
    planted = [rng.normal(size=count) for count in SPACE.cardinalities]
    sampler = LeastSquaresMANAS(SPACE, window=60)
    rows = SPACE.sample(200, rng)
    losses = 3 + sum(effects[rows[:, i]] for i, effects in enumerate(planted))
    losses[:140] += 100 * rng.normal(size=140)  # no more in the window
    for start in range(0, 200, 20):
        sampler.learn(rows[start : start + 20], 1 - losses[start : start + 20])
    for found, effects in zip(sampler.effects, planted, strict=True):
        assert found[: len(effects)] == pytest.approx(effects - effects.mean(), abs=1e-9)
        assert (found[len(effects) :] == 0).all()


def test_exp3_credits_losses_by_the_inverse_of_their_chance() -> None:
    sampler = MANAS(SPACE)
    sampler.learn(np.array([[0, 1, 2]]), np.array([0.25]))
    expected = np.zeros((3, 4))
    expected[[0, 1, 2], [0, 1, 2]] = 0.75 * SPACE.cardinalities
    assert sampler.losses == pytest.approx(expected)
    weights = np.exp(-np.sqrt(np.log(2) / 2) * np.array([0, 1.5]))
    assert sampler.probabilities[1, :2] == pytest.approx(weights / weights.sum())
    assert sampler.probabilities[0, 3] == 0


@pytest.mark.parametrize("method", ANYWHERE)
def test_a_restored_sampler_goes_on_alike(method: str) -> None:
    def build():
        strategy = get_strategy("weaknas", SPACE, seed=1) if method == "weaknas" else None
        more = {"hidden": 4} if method in ("enas", "memory") else {}
        return make_sampler(method, SPACE, epochs=9, seed=1, strategy=strategy, **more)

    def epochs(sampler, first: int, last: int) -> list[Any]:
        drawn = []
        for epoch in range(first, last):
            sampler.begin(epoch)
            drawn += [sampler.draw(step).tolist() for step in range(3)]
            teach(sampler, 2)
        return drawn

    whole, begun, resumed = build(), build(), build()
    expected = epochs(whole, 3, 9)
    before = epochs(begun, 3, 7)
    resumed.restore(begun.state())
    assert before + epochs(resumed, 7, 9) == expected
    assert whole.describe() == resumed.describe()


# -- in a training ---------------------------------------------------------------------------


def digest(training) -> str:
    made = hashlib.sha256()
    for tensor in training.network.state_dict().values():
        made.update(tensor.numpy().tobytes())
    return made.hexdigest()


def trainer(dataset, method: str | None = None, protocol=FEW, **options) -> SupernetTrainer:
    if method == "weaknas":
        strategy = get_strategy("weaknas", CELLS, seed=0)
        options["sampler"] = Searching(strategy, proposals=2)
    elif method in ("enas", "memory"):
        more = {"store_from": 1, "replay_from": 1, "stored": 9} if method == "memory" else {}
        build = MemoryENAS if method == "memory" else ENAS
        options["sampler"] = build(CELLS, lessons=2, draws=3, hidden=8, **more)
    skeleton = {"channels": 4, "cells": 1}
    return SupernetTrainer(
        CELLS, dataset, protocol, method=method, threads=1, skeleton=skeleton, **options
    )


@pytest.mark.parametrize(
    "method", ["enas", *(pytest.param(name, marks=pytest.mark.slow) for name in ANYWHERE[1:])]
)
def test_a_training_that_is_continued_has_the_same_weights(
    dataset, tmp_path: Path, method: str
) -> None:
    whole = trainer(dataset, method).run()
    for end in (2, 3):
        one = trainer(dataset, method, checkpoint=Checkpoint(tmp_path / "training", {}))
        parts = one.run(end)
    assert digest(parts) == digest(whole)
    assert parts.rewards == whole.rewards
    assert len(whole.rewards) == 3
    assert all(0 <= reward <= 1 for reward in whole.rewards)
    favorites = one.judge_favorites(parts, 3)
    assert favorites == one.judge_favorites(whole, 3)
    accuracies = [favorite["accuracy"] for favorite in favorites]
    assert accuracies == sorted(accuracies, reverse=True)
    assert len({favorite["architecture"] for favorite in favorites}) == len(favorites) > 0


def test_uniform_draws_are_those_of_the_phases() -> None:
    """The same numbers as before there were samplers: a generator of seed, epoch and 1."""
    mobile = MobileNetV3(resolutions=(128, 160))
    phases = make_phases(mobile, 12, "shrinking")
    sampler = Uniform(mobile, phases, seed=7)
    for epoch, place in ((0, 0), (11, -1)):
        sampler.begin(epoch)
        rng = np.random.default_rng([7, epoch, 1])
        for step in range(3):
            assert (sampler.draw(step) == phases[place].draw(mobile, rng)).all()


def test_only_samplers_that_learn_are_of_the_identity(dataset) -> None:
    assert "sampler" not in trainer(dataset).describe()
    assert trainer(dataset, "manas").describe()["sampler"] == {"rate": 1.0}
    assert trainer(dataset).judge_favorites(trainer(dataset).run(1)) == []


def test_judging_leaves_the_network_as_it_was(dataset) -> None:
    torch.manual_seed(0)
    network = CELLS.supernet(classes=4, shape=(1, 8, 8), channels=4, cells=1)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    judge = Judge(dataset, CPU, replace(FEW, batch_size=1000), ALONE)
    rows = CELLS.sample(3, np.random.default_rng(0))
    rewards = judge.scores(network, rows, np.random.default_rng(1))
    again = judge.scores(network, rows, np.random.default_rng(1))
    assert (rewards == again).all()
    assert network.training
    after = network.state_dict()
    same = [name for name in before if not name.endswith("num_batches_tracked")]
    assert all(torch.equal(before[name], after[name]) for name in same)
    # By the definition: the whole split in one batch, normalised by itself.
    network.activate(rows[0])
    images = torch.from_numpy(dataset.validation.pixels).float() / 255
    mean, std = (torch.tensor(part).view(-1, 1, 1) for part in (dataset.mean, dataset.std))
    with torch.no_grad():
        guessed = network((images - mean) / std).argmax(1).numpy()
    assert rewards[0] == pytest.approx((guessed == dataset.validation.labels).mean(), abs=0.03)


def test_batches_normalize_and_dropout_is_off() -> None:
    network = torch.nn.Sequential(torch.nn.BatchNorm1d(2), torch.nn.Dropout(0.9))
    images = torch.randn(50, 2) * 3 + 5
    with normalizing_by_batches(network):
        out = network(images)
    torch.testing.assert_close(out.mean(0), torch.zeros(2), atol=1e-5, rtol=0)
    assert (out != 0).all()
    assert network[0].momentum == 0.1
    assert (network[0].running_mean == 0).all()


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("enass", {}, "did you mean 'enas'"),
        ("weaknas", {}, "needs a strategy"),
        ("enas", {"lesons": 3}, "did you mean 'lessons'"),
        ("memory", {"drawss": 3}, "did you mean 'draws'"),
        ("memory", {"store_from": 5, "replay_from": 4}, "replay_from must be at least 5"),
        ("memory", {"stored": 20_000}, "stored must be at most 10,000"),
        ("manas", {"rate": 0.0}, "rate must be a number above 0"),
        ("manas-ls", {"window": 0}, "window must be at least 1"),
        ("enas", {"draws": 0}, "draws must be at least 1"),
    ],
)
def test_bad_settings_are_refused(method: str, settings, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_sampler(method, SPACE, epochs=5, **settings)
