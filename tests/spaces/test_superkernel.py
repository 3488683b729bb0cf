"""Superkernels compute what the blocks they choose compute, and cost what the table says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from weaknas.errors import InputError
from weaknas.spaces.mobilenetv3 import LatencyTable, MobileNetV3
from weaknas.spaces.mobilenetv3.costs import count_macs
from weaknas.spaces.mobilenetv3.latency import FORMATS, required_parts
from weaknas.spaces.mobilenetv3.skeleton import Block, Skeleton

torch = pytest.importorskip("torch")

from weaknas.spaces.mobilenetv3.network import ResidualBlock  # noqa: E402
from weaknas.spaces.mobilenetv3.superkernel import (  # noqa: E402
    Choice,
    SuperkernelBlock,
)

KEPT, DROPPED = -9.0, 9.0
SMALL = Skeleton(0.25, 16, classes=10, channels=1, strides=(1, 1, 2, 1, 2, 1))


def table(both_squeezes: bool = False) -> LatencyTable:
    """Multiply-adds for latencies, and a little for squeeze-and-excitation."""
    parts = required_parts(Skeleton(1.0, 64))
    if both_squeezes:
        other = [
            part._replace(squeeze=not part.squeeze)
            for part in parts.values()
            if isinstance(part, Block)
        ]
        parts |= {str(FORMATS["phone"].key(part)): part for part in other}
    return LatencyTable({None: {key: count_macs(part) / 1e6 for key, part in parts.items()}})


@pytest.fixture(name="space", scope="module")
def _space():
    return MobileNetV3(resolution=64, latency=table())


def set_thresholds(network, rng):
    with torch.no_grad():
        for layer in network.layers:
            drawn = rng.choice([KEPT, DROPPED], size=4)
            layer.thresholds.copy_(torch.tensor(drawn, dtype=torch.float32))


def disturb(module):
    """Give batch norms statistics and weights of their own."""
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
            torch.nn.init.normal_(part.weight, 1, 0.3)
            torch.nn.init.normal_(part.bias)


@pytest.mark.parametrize("layer", [0, 2, 4, 7], ids=lambda layer: f"layer {layer}")
def test_a_superkernel_is_each_of_its_blocks(layer):
    torch.manual_seed(layer)
    block = SuperkernelBlock(SMALL, layer, search_squeeze=True).eval()
    disturb(block)
    x = torch.randn(3, block.block.channels_in, block.block.size_in, block.block.size_in)
    for kernel, expansion, squeeze in itertools.product((3, 5), (3, 6), (False, True)):
        choice = Choice(kernel, expansion, squeeze)
        alone = ResidualBlock(block.block_of(choice)).eval()
        alone.load_state_dict(block.weights(choice))
        values = torch.tensor([1.0, expansion == 6, kernel == 5, squeeze])
        with torch.no_grad():
            assert torch.allclose(block(x, values), alone(x), atol=1e-6, rtol=1e-5), choice
    skipped = torch.tensor([0.0, 1, 1, 1])
    if block.block.shortcut:
        with torch.no_grad():
            assert torch.equal(block(x, skipped), x)


def test_thresholds_decide_and_learn():
    torch.manual_seed(0)
    block = SuperkernelBlock(SMALL, 2, search_squeeze=True)
    block.remember_norms()
    assert block.indicators().tolist() == [1, 1, 1, 1]  # norms are what they were at first
    with torch.no_grad():
        block.thresholds.copy_(torch.tensor([0.99, 1.01, 0.99, 1.01]))
    assert block.indicators().tolist() == [1, 0, 1, 0]
    assert block.choice() == Choice(5, 3, False)
    block.indicators().sum().backward()
    # The gradient of a sigmoid near the threshold: a quarter.
    assert block.thresholds.grad.tolist() == pytest.approx([-0.25] * 4, abs=1e-3)
    assert block.mobile_inverted_conv.depth_conv.conv.weight.grad.abs().sum() > 0
    first = SuperkernelBlock(SMALL, 4)  # the first of a unit stays, with its squeeze
    with torch.no_grad():
        first.thresholds.fill_(DROPPED)
    assert first.choice() == Choice(3, 3, first.has_squeeze)


def test_a_derived_network_is_the_superkernels_and_costs_what_the_table_says(space):
    rng = np.random.default_rng(0)
    torch.manual_seed(1)
    network = space.superkernel(classes=10, shape=(1, 16, 16), width=0.25).eval()
    disturb(network)
    images = torch.randn(2, 1, 16, 16)
    small = MobileNetV3(0.25, 16, channels=1, classes=10)
    for _ in range(2):
        set_thresholds(network, rng)
        genotype = space.read_choices(network.derive())
        latency = float(network.latency().detach())
        assert latency == pytest.approx(space.latency(genotype[None])[0], rel=1e-5)
        alone = network.extract()
        with torch.no_grad():
            assert torch.allclose(alone(images), network(images), atol=1e-5, rtol=1e-5)
        weights = sum(weight.numel() for weight in alone.parameters())
        assert weights == small.parameters(genotype[None])[0]


def test_less_latency_is_pulled_for_by_gradients(space):
    network = space.superkernel(classes=10, shape=(1, 16, 16), width=0.25, weight=2.0, warmup=1)
    network(torch.zeros(2, 1, 16, 16))
    assert float(network.penalty().detach()) == 0  # in the warm-up
    network(torch.zeros(2, 1, 16, 16))
    penalty = network.penalty()
    assert float(penalty.detach()) == pytest.approx(2 * np.log(float(network.latency().detach())))
    penalty.backward()
    for number, layer in enumerate(network.layers):
        slopes = layer.thresholds.grad.tolist()
        # Descent raises the thresholds of what costs something and can be left out.
        can = [number % 4 >= 2, True, True, False]
        assert [slope < 0 for slope in slopes] == can


@pytest.mark.slow
def test_squeezes_are_searched_where_the_table_has_both():
    space = MobileNetV3(resolution=64, latency=table(both_squeezes=True))
    torch.manual_seed(0)
    network = space.superkernel(shape=(3, 16, 16), width=0.25, search_squeeze=True).eval()
    set_thresholds(network, np.random.default_rng(3))
    chosen = network.derive()
    assert len({choice.squeeze for choice in chosen}) == 2
    skeleton = Skeleton(1.0, 64)
    blocks = [
        skeleton.block(layer, choice.kernel, choice.expansion)._replace(squeeze=choice.squeeze)
        for layer, choice in enumerate(chosen)
        if choice.expansion
    ]
    total = sum(map(count_macs, [*skeleton.fixed, *blocks])) / 1e6
    assert float(network.latency().detach()) == pytest.approx(total, rel=1e-5)
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        assert torch.allclose(network.extract()(images), network(images), atol=1e-5)
    with pytest.raises(InputError, match="lacks the block expanded_conv"):
        MobileNetV3(resolution=64, latency=table()).superkernel(search_squeeze=True)


def test_superkernels_need_a_table_and_one_resolution():
    with pytest.raises(InputError, match="need a latency table and one resolution"):
        MobileNetV3().superkernel()
