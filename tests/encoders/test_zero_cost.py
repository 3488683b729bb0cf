"""Zero-cost proxies against their definitions, and as features."""

from __future__ import annotations

import json

import numpy as np
import pytest

import weaknas
from weaknas.encoders.zero_cost import PROXIES, ZeroCostEncoder, zero_cost
from weaknas.errors import InputError
from weaknas.evaluators.zero_cost import MEASURED, ZeroCostEvaluator, measure_proxies
from weaknas.registry import get_sources
from weaknas.testing import evaluator_checks

torch = pytest.importorskip("torch")
nn = torch.nn

SPACE = weaknas.get_space("nasbench201")
ROWS = SPACE.sample(4, np.random.default_rng(0))
DEAD = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"


def perceptron(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 7), nn.ReLU(), nn.Linear(7, 3))


def batch(n=5, shape=(3, 2, 2), seed=1):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(n, *shape, generator=generator)
    return images, torch.arange(n) % 3


# -- definitions -----------------------------------------------------------------------


def test_gradients_by_hand():
    network, (images, labels) = perceptron(), batch()
    scores = zero_cost(network, images, labels, ["grad-norm", "snip"])
    nn.functional.cross_entropy(network(images), labels).backward()
    layers = [network[1], network[3]]
    norms = [float(layer.weight.grad.norm()) for layer in layers]
    assert scores["grad-norm"] == pytest.approx(sum(norms), rel=1e-5)
    saliency = [float((layer.weight.detach() * layer.weight.grad).abs().sum()) for layer in layers]
    assert scores["snip"] == pytest.approx(sum(saliency), rel=1e-5)


def test_curvature_and_channels_by_hand():
    network, (images, labels) = perceptron().double(), batch()
    images = images.double()
    scores = zero_cost(network, images, labels, ["grasp", "fisher"])
    shapes = [network[i].weight.shape for i in (1, 3)]

    def loss(flat):
        first, second = (part.view(s) for part, s in zip(flat.split([84, 21]), shapes, strict=True))
        hidden = torch.relu(images.flatten(1) @ first.T + network[1].bias)
        return nn.functional.cross_entropy(hidden @ second.T + network[3].bias, labels)

    flat = torch.cat([network[i].weight.detach().flatten() for i in (1, 3)])
    hessian = torch.autograd.functional.hessian(loss, flat)
    (gradient,) = torch.autograd.grad(loss(flat.requires_grad_()), flat)
    assert scores["grasp"] == pytest.approx(-float(flat.detach() @ hessian @ gradient), rel=1e-6)
    hidden = network[1](images.flatten(1)).detach().requires_grad_()
    logits = network[3](torch.relu(hidden))
    loss_ = nn.functional.cross_entropy(logits, labels)
    slopes = torch.autograd.grad(loss_, [hidden, logits])
    products = [
        (a * g).detach().square().sum() for a, g in zip((hidden, logits), slopes, strict=True)
    ]
    assert scores["fisher"] == pytest.approx(sum(map(float, products)) / (2 * 5), rel=1e-6)


def test_a_hard_sigmoid_has_curvature():
    # Of torch's own there is no second derivative.
    images, labels = batch()
    torch.manual_seed(0)
    soft = nn.Sequential(nn.Flatten(), nn.Linear(12, 7), nn.Hardsigmoid(), nn.Linear(7, 3))
    plain = nn.Sequential(soft[0], soft[1], Sixth(), soft[3])
    names = ["grasp", "fisher", "snip"]
    expected = zero_cost(plain, images, labels, names)
    assert zero_cost(soft, images, labels, names) == pytest.approx(expected)


class Sixth(nn.Module):
    """What a hard sigmoid is."""

    def forward(self, x):
        return (x / 6 + 0.5).clamp(0, 1)


def test_fisher_sums_over_the_pixels_of_a_channel():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    images, labels = batch()
    channels = network[0](images).detach().requires_grad_()
    loss = nn.functional.cross_entropy(network[1:](channels)[:, :3], labels)
    (slopes,) = torch.autograd.grad(loss, channels)
    expected = (channels * slopes).sum((2, 3)).square().sum() / (2 * 5)
    cut = nn.Sequential(*network, nn.Unflatten(1, (1, 4)), First())
    assert zero_cost(cut, images, labels, ["fisher"])["fisher"] == pytest.approx(
        float(expected.detach())
    )


class First(nn.Module):
    """The first three logits."""

    def forward(self, x):
        return x[:, 0, :3]


def test_synflow_by_hand():
    network, (images, labels) = perceptron(), batch()
    first, second = (network[i].weight.detach().abs().double() for i in (1, 3))
    bias = network[1].bias.detach().abs().double()
    # In each layer weight times slope sums to the flow of ones through it.
    flow = float((second @ (first @ torch.ones(12).double())).sum())
    whole = float((second @ (first @ torch.ones(12).double() + bias)).sum())
    assert zero_cost(network, images, labels, ["synflow"])["synflow"] == pytest.approx(flow + whole)


def test_synflow_of_a_network_without_biases_is_its_flow_times_its_depth():
    # Tanaka et al., theorem 2: each layer conserves the flow.
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Conv2d(4, 5, 1, bias=False), nn.BatchNorm2d(5), nn.ReLU(),
        nn.Flatten(), nn.Linear(5, 2, bias=False),
    )  # fmt: skip
    kernels = [network[i].weight.detach().abs().double() for i in (0, 3, 7)]
    flow = kernels[2] @ (kernels[1][:, :, 0, 0] @ kernels[0].sum(dim=(1, 2, 3)))
    scores = zero_cost(network, *batch(shape=(3, 3, 3)), ["synflow"])
    assert scores["synflow"] == pytest.approx(3 * float(flow.sum()))


def test_jacov_by_hand():
    network, (images, labels) = perceptron(), batch()
    weights = [network[i].weight.detach().double().numpy() for i in (1, 3)]
    hidden = images.flatten(1).double().numpy() @ weights[0].T
    active = hidden + network[1].bias.detach().double().numpy() > 0
    jacobian = np.array([weights[1].sum(axis=0) * on @ weights[0] for on in active])
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(jacobian)) + 1e-5
    expected = -np.sum(np.log(eigenvalues) + 1 / eigenvalues)
    found = zero_cost(network, images, labels, ["jacov"])["jacov"]
    assert found == pytest.approx(expected, rel=1e-4)


def test_naswot_by_hand():
    network, (images, labels) = perceptron(), batch()
    codes = (network[:2](images) > 0).numpy()
    agree = (codes[:, None] == codes[None]).sum(axis=2) + 1e-3 * np.eye(5)
    found = zero_cost(network, images, labels, ["naswot"])["naswot"]
    assert found == pytest.approx(np.linalg.slogdet(agree)[1], rel=1e-6)


def test_naswot_counts_every_activation():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Linear(12, 7), nn.Hardswish())
    images, labels = batch()
    codes = np.hstack([(images.flatten(1) > 0).numpy(), (network[:3](images) > 0).numpy()])
    agree = (codes[:, None] == codes[None]).sum(axis=2) + 1e-3 * np.eye(5)
    found = zero_cost(network, images, labels, ["naswot"])["naswot"]
    assert found == pytest.approx(np.linalg.slogdet(agree)[1], rel=1e-6)
    with pytest.raises(InputError, match="needs activations as modules, one of ReLU"):
        zero_cost(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), images, labels, ["naswot"])


def test_costs_are_those_of_the_formulas():
    module = SPACE.network(ROWS[0], shape=(1, 8, 8))
    images, labels = batch(shape=(1, 8, 8))
    scores = zero_cost(module, images, labels, ["params", "macs"])
    assert scores["params"] == SPACE.parameters(ROWS[:1], shape=(1, 8, 8))[0]
    assert scores["macs"] == SPACE.macs(ROWS[:1], shape=(1, 8, 8))[0] - 10


# -- promises --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["darts", "nasbench101", "nasbench201"])
def test_measuring_changes_nothing_and_draws_nothing(name):
    space = weaknas.get_space(name)
    genotype = space.sample(1, np.random.default_rng(3))[0]
    module = space.network(genotype, shape=(1, 8, 8), **space.small_network)
    module.drop_path = 0.7  # not heard
    images, labels = batch(shape=(1, 8, 8))
    images.requires_grad_(True)
    for training in (True, False):
        module.train(training)
        before = {key: value.clone() for key, value in module.state_dict().items()}
        state = torch.get_rng_state()
        one, other = (zero_cost(module, images, labels) for _ in range(2))
        assert one == other
        assert list(one) == list(PROXIES)
        assert torch.equal(torch.get_rng_state(), state)
        assert all(layer.training == training for layer in module.modules())
        assert all(weights.grad is None for weights in (*module.parameters(), images))
        assert not any(layer._forward_pre_hooks for layer in module.modules())
        for key, value in module.state_dict().items():
            assert torch.equal(value, before[key])


@pytest.mark.parametrize("stem", [pytest.param("cifar", marks=pytest.mark.slow), "imagenet"])
def test_the_order_of_the_proxies_does_not_matter(stem):
    darts = weaknas.get_space("darts")
    genotype = darts.sample(1, np.random.default_rng(4))[0]
    # With this stem single pixels are left, of which one image makes no batch statistics.
    settings = {"stem": stem, **darts.small_network}
    module = darts.network(genotype, shape=(1, 8, 8), **settings)
    images, labels = batch(shape=(1, 8, 8))
    scores = zero_cost(module, images, labels)
    assert zero_cost(module, images, labels, PROXIES[::-1]) == scores
    for name in PROXIES:
        assert zero_cost(module, images, labels, [name]) == {name: scores[name]}


def test_networks_with_an_auxiliary_head_and_without_gradients_are_measured():
    darts = weaknas.get_space("darts")
    genotype = darts.sample(1, np.random.default_rng(3))[0]
    images, labels = batch(shape=(1, 8, 8))
    module = darts.network(genotype, shape=(1, 8, 8), auxiliary=True, **darts.small_network)
    with torch.no_grad():
        scores = zero_cost(module.requires_grad_(False), images, labels)
    assert all(np.isfinite(value) for value in scores.values())
    assert scores["grad-norm"] > 0


def test_bad_input_is_refused():
    network, (images, labels) = perceptron(), batch()
    with pytest.raises(
        InputError, match="unknown zero-cost proxy 'sinflow'; did you mean 'synflow'"
    ):
        zero_cost(network, images, labels, ["sinflow"])
    for given in ((images[:1], labels[:1]), (images, labels[:2]), (images[0], labels)):
        with pytest.raises(InputError, match="need n images"):
            zero_cost(network, *given)


# -- features --------------------------------------------------------------------------


def encoder(**options):
    return ZeroCostEncoder(SPACE, **options)


def test_features_are_the_proxies():
    images, labels = batch(n=4, shape=(1, 8, 8))
    options = {"images": images.numpy(), "labels": labels.numpy(), "skeleton": {"cells": 1}}
    features = encoder(proxies=PROXIES, seed=5, **options).fit_transform(ROWS)
    for row, found in zip(ROWS, features, strict=True):
        torch.manual_seed(5)
        canonical = SPACE.canonicalize(row[None])[0]
        module = SPACE.network(canonical, classes=3, shape=(1, 8, 8), cells=1)
        expected = np.arcsinh(list(zero_cost(module, images, labels).values()))
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_settings_matter_and_are_kept_apart():
    plain = encoder().fit_transform(ROWS)
    assert plain.shape == (4, 5)
    assert not np.array_equal(plain, encoder(seed=1).fit_transform(ROWS))
    wider = encoder(skeleton={"channels": 9, "cells": 1}).fit_transform(ROWS)
    assert not np.array_equal(plain, wider)
    np.testing.assert_array_equal(plain, encoder().fit_transform(ROWS))
    np.testing.assert_array_equal(plain[:, 2:3], encoder(proxies=["naswot"]).fit_transform(ROWS))


def test_dead_cells_are_the_last_by_every_proxy():
    rows = SPACE.genotypes(
        [DEAD, "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|"]
    )
    dead, alive = encoder().fit_transform(rows)
    assert np.isfinite(dead).all()
    assert (dead < alive).all()


def test_a_proxy_that_overflows_is_the_largest(monkeypatch):
    values = {"naswot": np.inf, "snip": np.nan, "synflow": 1e300}
    monkeypatch.setattr(
        "weaknas.encoders._zero_cost.measure_untrained",
        lambda build, images, labels, names, seed: {name: values[name] for name in names},
    )
    features = encoder(proxies=list(values), seed=991).fit_transform(ROWS[:1])[0]
    assert np.isfinite(features).all()
    assert features[1] < features[2] < features[0]


def test_each_architecture_is_measured_once(monkeypatch, tmp_path):
    built = []
    network = type(SPACE).network

    def counting(self, architecture, **settings):
        built.append(np.asarray(architecture).tolist())
        return network(self, architecture, **settings)

    monkeypatch.setattr(type(SPACE), "network", counting)
    memory = {}
    monkeypatch.setattr("weaknas.encoders.zero_cost._MEMORY", memory)
    cache = tmp_path / "folder" / "measured.jsonl"
    first = encoder(seed=77, proxies=["naswot"], cache=cache).fit_transform(ROWS)
    assert len(built) == len(ROWS)
    again = encoder(seed=77, proxies=["naswot"]).transform(np.vstack([ROWS, ROWS]))
    np.testing.assert_array_equal(again, np.vstack([first, first]))
    assert len(built) == len(ROWS)
    # another process knows what the file holds, up to a line that was cut off
    memory.clear()
    lines = cache.read_text().strip().splitlines()
    assert len(lines) == len(ROWS)
    assert set(json.loads(lines[0])) == {"setting", "id", "naswot"}
    cache.write_text("\n".join([*lines[:-1], lines[-1][:30]]))
    reread = encoder(seed=77, proxies=["naswot"], cache=cache).fit_transform(ROWS)
    np.testing.assert_array_equal(reread, first)
    assert len(built) == len(ROWS) + 1
    memory.clear()  # and what was cut off is there again
    encoder(seed=77, proxies=["naswot"], cache=cache).transform(ROWS)
    assert len(built) == len(ROWS) + 1


def test_encoder_refuses_bad_options():
    for options, message in (
        ({"proxies": ["synflow", "jacob"]}, "unknown zero-cost proxy 'jacob'"),
        ({"proxies": []}, "no zero-cost proxy is given"),
        ({"images": np.zeros((2, 1, 8, 8))}, "given together"),
        ({"images": np.zeros((2, 8, 8)), "labels": np.arange(2)}, "need n images"),
    ):
        with pytest.raises(InputError, match=message):
            encoder(**options)
    with pytest.raises(InputError, match="needs a space with networks, and torch"):
        ZeroCostEncoder(weaknas.ChoiceSpace({"a": [1, 2]}, name="mine"))


@pytest.mark.slow
def test_proxies_rank_the_cells_of_the_table(shared_data):
    """On 60 random cells of NAS-Bench-201 most proxies tell good from bad, untrained."""
    from scipy.stats import kendalltau

    with np.load(shared_data("nasbench201/nasbench201.npz"), allow_pickle=False) as table:
        rows = np.random.default_rng(201).permutation(SPACE.size)[:60]
        accuracy = np.nanmean(table["cifar10_val200_seeds"][rows], axis=1)
        genotypes = table["ops"][rows].astype(np.int16)
    features = encoder().fit_transform(genotypes)
    synflow, _, naswot, *_ = (kendalltau(column, accuracy).statistic for column in features.T)
    assert synflow > 0.4
    assert naswot > 0.4


# -- as scores of a search ----------------------------------------------------------------


CHECKS = [
    pytest.param(check, id=str(check), marks=[pytest.mark.slow] * ("another_process" in str(check)))
    for check in evaluator_checks(ZeroCostEvaluator(SPACE), SPACE, queries=2)
]


@pytest.mark.parametrize("check", CHECKS)
def test_evaluator_keeps_its_promises(check):
    check()


def test_evaluations_have_every_proxy():
    architecture = SPACE.architectures(ROWS[:1])[0]
    evaluator = weaknas.get_evaluator("zero-cost", SPACE, proxy="synflow")
    evaluation = evaluator.evaluate(architecture, seed=3)
    assert evaluation.score == evaluation.metrics["synflow"]
    names = [name for name in PROXIES if name != "grasp"]  # which not every network has
    measured = encoder(proxies=PROXIES, seed=3).measure(ROWS[:1])[0]
    assert {name: evaluation.metrics[name] for name in names} == {
        name: measured[name] for name in names
    }
    by_curvature = weaknas.get_evaluator("zero-cost", SPACE, proxy="grasp")
    assert by_curvature.evaluate(architecture, seed=3).score == measured["grasp"]
    assert evaluator.evaluate(architecture, seed=4).score != evaluation.score


def test_a_search_without_training_finds_wide_cells():
    search = weaknas.WeakNAS(SPACE, predictor="random-forest", initial=6, batch_size=3, seed=0)
    result = weaknas.run(search, weaknas.get_evaluator("zero-cost", SPACE), budget=12)
    mean = np.mean([trial.evaluation.score for trial in result.trials])
    assert result.best.score > mean


def test_evaluator_refuses_what_it_cannot_do():
    with pytest.raises(InputError, match="unknown zero-cost proxy 'nswot'; did you mean 'naswot'"):
        ZeroCostEvaluator(SPACE, proxy="nswot")
    with pytest.raises(InputError, match="needs a space with networks"):
        ZeroCostEvaluator(weaknas.ChoiceSpace({"a": [1, 2]}, name="mine"))


# -- as sources ------------------------------------------------------------------------


def test_proxies_of_a_sample_are_measured_once(tmp_path, monkeypatch):
    file = tmp_path / "proxies.jsonl"
    found = measure_proxies(SPACE, ["naswot", "params"], networks=3, cache=file)
    assert len(np.unique(SPACE.fingerprint(found.genotypes))) == 3
    assert found.seconds > 0
    for row, count in zip(found.genotypes, found.values["params"], strict=True):
        network = SPACE.network(row, shape=(1, 8, 8), **SPACE.small_network)
        assert count == sum(weights.numel() for weights in network.parameters())
    monkeypatch.setattr("weaknas.encoders.zero_cost._MEMORY", {})
    monkeypatch.setattr("weaknas.encoders._zero_cost.measure_untrained", None)  # is not called
    again = measure_proxies(SPACE, ["naswot", "params"], networks=3, cache=file)
    assert {k: v.tolist() for k, v in again.values.items()} == {
        k: v.tolist() for k, v in found.values.items()
    }


def test_a_source_a_proxy(tmp_path, monkeypatch):
    monkeypatch.setenv("WEAKNAS_CACHE", str(tmp_path))
    names = [source.name for source in get_sources("proxies:networks=2", SPACE)]
    assert names == [f"proxies:{name}" for name in MEASURED]
    assert list((tmp_path / "zero-cost").glob("*.jsonl"))
    search = weaknas.WeakNAS(SPACE, sources=["proxies:networks=4:names=naswot+params"], initial=2)
    assert [len(source.scores) for source in search.sources] == [4, 4]
    search.tell(search.ask(), [1.0, 2.0])
    assert len(search.ask()) == 2
    again = weaknas.WeakNAS(SPACE, sources=["proxies:networks=4:names=naswot+params"])
    assert repr(again.sources) == repr(search.sources)  # seconds are none of what it is


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("proxies:netwoks=3", "did you mean 'networks'"),
        ("proxies:names=synfow", "did you mean 'synflow'"),
        ("proxies:networks=1", "networks must be at least 2"),
        ("proxies:dataset=pydoc", "need images with classes, which 'pydoc' has not"),
    ],
)
def test_proxies_that_cannot_be_measured_are_one_line(text, message):
    with pytest.raises(InputError, match=message):
        get_sources(text, SPACE)
    with pytest.raises(InputError, match="needs a space with networks"):
        get_sources("proxies", weaknas.ChoiceSpace({"a": [1, 2]}, name="mine"))
    with pytest.raises(InputError, match="no scores of the same problem"):
        get_sources("proxies", SPACE, same_problem=True)
