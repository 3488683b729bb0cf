"""The distribution of the controller, its gradient, and learning on a bandit."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from weaknas.errors import InputError  # noqa: E402
from weaknas.spaces import ChoiceSpace  # noqa: E402
from weaknas.strategies import LSTMController  # noqa: E402
from weaknas.strategies.controller import Controller, PolicyGradient  # noqa: E402

SPACE = ChoiceSpace({"a": ["x", "y", "z"], "b": ["x", "y"], "c": [1, 2, 3, 4]})
ALL = torch.from_numpy(SPACE.enumerate().astype(np.int64))


def controller(**options) -> Controller:
    return Controller(SPACE, **({"hidden": 12, "initial_range": 1.0} | options))


@pytest.mark.parametrize(
    "options", [{}, {"layers": 1, "temperature": 5.0, "tanh_constant": 2.5}], ids=str
)
def test_probabilities_of_all_genotypes_sum_to_one(options) -> None:
    made = controller(**options)
    chances = made(ALL).exp()
    assert chances.sum().item() == pytest.approx(1, abs=1e-5)
    given = made.log_probabilities(ALL).exp()
    torch.testing.assert_close(given.sum(2), torch.ones(len(ALL), 3))
    drawn = made.draw(10_000, np.random.default_rng(0))
    counts = np.bincount(SPACE.fingerprint(drawn), minlength=len(ALL)) / len(drawn)
    order = SPACE.fingerprint(ALL.numpy())
    assert np.abs(counts[order] - chances.detach().numpy()).max() < 0.02


def test_a_decision_depends_on_those_before_and_on_no_other() -> None:
    made = controller()
    rows = torch.tensor([[0, 0, 0], [0, 1, 0], [0, 1, 3]])
    given = made.log_probabilities(rows)
    torch.testing.assert_close(given[0, :2], given[1, :2])
    assert (given[0, 2] - given[1, 2]).abs().max() > 0.01
    torch.testing.assert_close(given[1], given[2])
    assert made.states(rows).shape == (3, 4, 12)
    assert not torch.allclose(made.states(rows)[1, 3], made.states(rows)[2, 3])


def test_the_tanh_constant_bounds_and_the_temperature_flattens() -> None:
    plain = controller(initial_range=3.0)
    bounded = controller(initial_range=3.0, tanh_constant=0.5)
    flat = controller(initial_range=3.0, temperature=1e6)
    spreads = []
    for made in (plain, bounded, flat):
        logits = made.log_probabilities(ALL)[:, 0, :3]  # the first decision has three choices
        spreads.append(logits.amax(1) - logits.amin(1))
    assert spreads[0].max() > 1.0 >= spreads[1].max() > 0.1
    assert spreads[2].max() < 1e-3


def test_the_step_follows_the_policy_gradient() -> None:
    """The gradient of the loss is that of the expected reward, summed over all genotypes."""
    made = controller()
    rewards = torch.from_numpy(np.random.default_rng(0).normal(size=len(ALL)).astype(np.float32))
    expected = (made(ALL).exp() * rewards).sum()
    by_definition = torch.autograd.grad(expected, made.maps)[0]
    log_chances = made(ALL)
    surrogate = (log_chances.exp().detach() * (rewards - 0.7) * log_chances).sum()
    torch.testing.assert_close(torch.autograd.grad(surrogate, made.maps)[0], by_definition)


def test_the_baseline_moves_and_the_bonus_is_entropy() -> None:
    policy = PolicyGradient(controller(), learning_rate=0.01, momentum=0.5)
    policy.learn(ALL[:2].numpy(), np.array([1.0, 3.0]))
    assert policy.baseline == pytest.approx(2)  # the first mean
    policy.learn(ALL[:2].numpy(), np.array([4.0, 4.0]))
    assert policy.baseline == pytest.approx(3)
    made = controller(seed=3)
    eager = PolicyGradient(made, learning_rate=0.02, entropy=1.0)
    rng = np.random.default_rng(0)

    @torch.no_grad()
    def entropy() -> float:
        chances = made(ALL)
        return -float((chances.exp() * chances).sum())

    before = entropy()
    for _ in range(60):
        eager.learn(made.draw(16, rng), np.zeros(16))
    assert before < entropy() <= np.log(len(ALL)) + 1e-5


@pytest.mark.parametrize("unit", [0.01, 100.0])
@pytest.mark.parametrize("reward", ["cube", "raw", lambda score: score - 7.0])
def test_a_bandit_is_learned_whatever_the_unit(unit: float, reward) -> None:
    arms = ChoiceSpace({"arm": [f"arm{i}" for i in range(6)]})
    strategy = LSTMController(arms, seed=2, reward=reward, hidden=8, layers=1, learning_rate=0.05)
    strategy.tell(arms.architectures(arms.enumerate()), unit * np.arange(6.0))
    for _ in range(8):
        assert strategy.ask(1) == []  # nothing new, but draws answered from memory
    chances = strategy.policy.controller(torch.arange(6)[:, None]).exp()
    assert chances.argmax() == 5
    assert chances.max() > 0.8


def test_a_copy_goes_on_alike() -> None:
    strategy = LSTMController(SPACE, seed=0, samples=2)
    for _ in range(3):
        batch = strategy.ask(2)
        strategy.tell(batch, [sum(a.genotype) for a in batch])
    for twin in (copy.deepcopy(strategy), pickle.loads(pickle.dumps(strategy))):  # noqa: S301
        one = copy.deepcopy(strategy)
        for _ in range(4):
            batch, other = one.ask(2), twin.ask(2)
            assert batch == other
            for each in (one, twin):
                each.tell(batch, [sum(a.genotype) for a in batch])


def test_the_reward_is_described_by_its_name() -> None:
    rewards = [LSTMController(SPACE, reward=r).describe()["reward"] for r in ("raw", math.tanh)]
    assert rewards == ["raw", "tanh"]


def test_torchs_random_numbers_are_left_alone() -> None:
    before = torch.random.get_rng_state()
    strategy = LSTMController(SPACE, seed=0)
    batch = strategy.ask(4)
    strategy.tell(batch, [1.0, 2.0, 3.0, 4.0])
    assert torch.equal(torch.random.get_rng_state(), before)


class Rising(ChoiceSpace):
    """Each of two choices is above the one before: 20 of 216."""

    def __init__(self) -> None:
        super().__init__({name: list(range(6)) for name in "abc"})

    def contains(self, genotypes):
        return super().contains(genotypes) & (np.diff(genotypes, axis=1) > 0).all(axis=1)


def test_what_is_drawn_is_inside() -> None:
    drawn = Controller(Rising()).draw_inside(2, np.random.default_rng(0))
    assert drawn.shape == (2, 3)
    assert Rising().contains(drawn).all()
    strategy = LSTMController(Rising(), seed=0)
    assert len({a.id for _ in range(20) for a in strategy.ask(1)}) == 20  # all there are


def test_spaces_grow() -> None:
    layers = {f"layer{i}": ["skip", "conv3", "conv5"] for i in range(4)}
    whole = ChoiceSpace(layers)
    one = ChoiceSpace({"layer0": ["conv5", "conv3"]})
    two = ChoiceSpace({name: layers[name] for name in ("layer0", "layer1")})
    options = {"growth": [one, two], "growth_trainings": 4, "hidden": 8, "layers": 1}
    strategy = LSTMController(whole, seed=0, **options)
    rows = []
    for _ in range(12):
        (asked,) = strategy.ask(1)
        rows.append(asked.genotype)
        strategy.tell([asked], [float(sum(asked.genotype))])
    rows = np.array(rows)
    assert sorted(rows[:2, 0]) == [1, 2]  # both there are, and then the next
    assert not rows[:2, 1:].any()
    assert rows[2:6, 1].any()
    assert not rows[:6, 2:].any()
    assert rows[8:, 2:].any()
    assert [space["size"] for space in strategy.describe()["growth"]] == [2, 9]
    limited = strategy.policy.controller(torch.from_numpy(whole.enumerate().astype(np.int64)))
    assert float(limited.detach().exp().sum()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("smaller", "message"),
    [
        ({"layr0": ["skip"]}, "did you mean 'layer0'"),
        (
            {"layer0": ["conv7"]},
            "layer0 of the space .* has no value 'conv7' .allowed: skip, conv3",
        ),
    ],
)
def test_what_grows_is_inside(smaller, message: str) -> None:
    whole = ChoiceSpace({"layer0": ["skip", "conv3"], "layer1": ["skip", "conv3"]})
    with pytest.raises(InputError, match=message):
        LSTMController(whole, growth=[ChoiceSpace({**smaller, "layer1": ["skip"]})])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reward": "cubed"}, "did you mean 'cube'"),
        ({"hidden": 0}, "hidden must be at least 1"),
        ({"layers": 1.5}, "layers must be a whole number"),
        ({"learning_rate": 0.0}, "learning_rate must be a number above 0"),
        ({"temperature": 0.0}, "temperature must be a number above 0"),
        ({"tanh_constant": -1.0}, "tanh_constant must be a number at least 0"),
        ({"initial_range": -1.0}, "initial_range must be a number at least 0"),
        ({"entropy": -1.0}, "entropy must be a number at least 0"),
        ({"momentum": 1.0}, "momentum must be a number at least 0 and below 1"),
        ({"samples": 0}, "samples must be at least 1"),
        ({"growth_trainings": 0}, "growth_trainings must be at least 1"),
    ],
)
def test_bad_settings_are_refused(options, message: str) -> None:
    with pytest.raises(InputError, match=message):
        LSTMController(SPACE, **options)


@pytest.mark.parametrize("score", [1e12, 1e102])
def test_rewards_that_no_network_can_learn_from_are_refused(score) -> None:
    search = LSTMController(SPACE, samples=2, seed=0)
    with pytest.raises(InputError, match=r"reward='cube' of the score .* scale the scores"):
        search.tell(search.ask(2), [score, 2 * score])
