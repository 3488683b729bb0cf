"""Networks of every space that builds them: costs as by formula, any size of image, gradients."""

from __future__ import annotations

import json

import numpy as np
import pytest

import weaknas
from weaknas.errors import InputError
from weaknas.spaces import ChoiceSpace, ConstrainedSpace, SubsetSpace
from weaknas.spaces._base import WITH_NETWORKS

#: A small network of each space of cells; mobilenetv3 has tests of its own.
SMALL = {
    "nasbench101": {"channels": 8, "stacks": 3, "cells": 2},
    "nasbench201": {"channels": 4, "cells": 1},
}
SPACES = [weaknas.get_space(name) for name in SMALL]


@pytest.fixture(name="torch")
def _torch():
    return pytest.importorskip("torch")


def parameters_of(torch, space, genotype, **settings):
    """Weights of the real module, on the device without memory."""
    with torch.device("meta"):
        module = space.network(genotype, **settings)
    return sum(weights.numel() for weights in module.parameters())


def macs_of(torch, space, genotype, shape=(3, 32, 32), **settings):
    """Multiply-adds that torch counts while an image goes through the real module."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        module = space.network(genotype, shape=shape, **settings).eval()
        image = torch.empty(1, *shape)
    with FlopCounterMode(display=False) as counter:
        module(image)
    return counter.get_total_flops() / 2


def assert_formulas_hold(torch, space, genotypes, **settings):
    parameters, macs = space.parameters(genotypes, **settings), space.macs(genotypes, **settings)
    # The tables of NAS-Bench-201 count the addition of the bias of the classifier.
    bias = settings.get("classes", 10) if space.name == "nasbench201" else 0
    for row, weights, operations in zip(genotypes, parameters, macs, strict=True):
        assert parameters_of(torch, space, row, **settings) == weights
        assert macs_of(torch, space, row, **settings) == operations - bias


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_formulas_are_what_modules_have(torch, space):
    genotypes = space.sample(4, np.random.default_rng(0))
    assert_formulas_hold(torch, space, genotypes[:1])
    small = SMALL[space.name]
    assert_formulas_hold(torch, space, genotypes, shape=(1, 8, 8), **small)
    assert_formulas_hold(torch, space, genotypes, shape=(2, 29, 15), classes=7, **small)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 28, 28), (2, 5, 1)], ids=str)
@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_every_size_of_image_gives_logits_and_gradients(torch, space, shape):
    torch.manual_seed(0)
    for genotype in space.sample(3, np.random.default_rng(1)):
        module = space.network(genotype, classes=5, shape=shape, **SMALL[space.name])
        logits = module(torch.randn(4, *shape))
        assert logits.shape == (4, 5)
        logits.square().sum().backward()
        for name, weights in module.named_parameters():
            assert weights.grad is not None, name
            assert torch.isfinite(weights.grad).all(), name


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_seed_decides_the_weights(torch, space):
    genotype = space.sample(1, np.random.default_rng(2))[0]

    def weights(seed):
        torch.manual_seed(seed)
        return list(space.network(genotype, **SMALL[space.name]).state_dict().values())

    one, again, other = weights(3), weights(3), weights(4)
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_genotypes_text_and_architectures_are_taken(torch, space):
    genotype = space.sample(1, np.random.default_rng(5))[0]
    architecture = space.architecture(genotype)
    forms = [genotype, genotype.tolist(), architecture, architecture.text]
    with torch.device("meta"):
        modules = [str(space.network(form, **SMALL[space.name])) for form in forms]
    assert len(set(modules)) == 1


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cels": 3}, "did you mean 'cells'"),
        ({"channels": 0}, "channels is 0, not a positive whole number"),
        ({"cells": 2.5}, "cells is 2.5, not"),
        ({"classes": True}, "classes is True, not"),
        ({"shape": (32, 32)}, r"\(32, 32\) is not \(channels, height, width\)"),
        ({"shape": (3, 32, -1)}, "three positive whole numbers"),
        ({"shape": None}, "the shape None"),
    ],
)
def test_bad_settings_are_refused(space, settings, message):
    genotypes = space.sample(1, np.random.default_rng(6))
    for method, given in ((space.network, genotypes[0]), (space.macs, genotypes)):
        with pytest.raises(InputError, match=message):
            method(given, **settings)


def test_spaces_without_networks_say_which_have_them():
    space = ChoiceSpace({"a": [1, 2]}, name="mine")
    assert not space.has_networks
    with pytest.raises(InputError, match=r"'mine' has no networks.*nasbench201"):
        space.network([0])


def test_the_list_of_spaces_with_networks_is_complete():
    having = [name for name in weaknas.list_spaces() if weaknas.get_space(name).has_networks]
    assert having == sorted(WITH_NETWORKS)


def test_parts_of_a_space_have_its_networks(torch):
    whole = weaknas.get_space("nasbench201")
    rows = whole.sample(3, np.random.default_rng(7))
    for part in (SubsetSpace(whole, rows), ConstrainedSpace(whole, "params<=0.4e6")):
        assert part.has_networks
        genotype = part.sample(1, np.random.default_rng(8))[0]
        with torch.device("meta"):
            module = part.network(genotype, cells=1)
            assert str(module) == str(whole.network(genotype, cells=1))
    assert not SubsetSpace(ChoiceSpace({"a": [1, 2]}, name="mine"), [[0]]).has_networks


# -- NAS-Bench-201 -------------------------------------------------------------------------


def test_nasbench201_modules_are_those_of_the_benchmark(torch):
    space = weaknas.get_space("nasbench201")
    rows = space.enumerate()[np.random.default_rng(201).permutation(space.size)[:200]]
    pointwise, spatial = (rows == 2).sum(axis=1), (rows == 3).sum(axis=1)
    parameters = np.array([parameters_of(torch, space, row) for row in rows])
    np.testing.assert_allclose(
        parameters / 1e6, 0.073306 + 0.028 * pointwise + 0.24304 * spatial, rtol=0, atol=1e-9
    )
    few = slice(None, None, 20)  # counting takes its time
    # Ten multiply-adds less than the benchmark counts: the bias of the classifier.
    macs = np.array([macs_of(torch, space, row) + 10 for row in rows[few]])
    expected = 7.78305 + 3.93216 * pointwise[few] + 35.38944 * spatial[few]
    np.testing.assert_allclose(macs / 1e6, expected, rtol=0, atol=1e-9)


def test_nasbench201_cells_by_hand(torch):
    space = weaknas.get_space("nasbench201")

    def cell(text):
        from weaknas.spaces.nasbench201.network import Cell

        return Cell(space.parse(text).tolist(), channels=2).eval()

    x = torch.randn(3, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    nothing = cell("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    assert torch.equal(nothing(x), torch.zeros_like(x))
    # node 1 = x, node 2 = 2 x, node 3 = x + x + 2 x
    skips = cell("|skip_connect~0|+" "|skip_connect~0|skip_connect~1|+"
                 "|skip_connect~0|skip_connect~1|skip_connect~2|")  # fmt: skip
    torch.testing.assert_close(skips(x), 4 * x)
    # the mean over what is inside the image, at a corner over four pixels
    pool = cell("|none~0|+|none~0|none~1|+|avg_pool_3x3~0|none~1|none~2|")
    torch.testing.assert_close(pool(x)[:, :, 0, 0], x[:, :, :2, :2].mean(dim=(2, 3)))
    pointwise = cell("|none~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|")
    kernel = pointwise.edges[3][1].weight[:, :, 0, 0]
    expected = torch.einsum("oi,nihw->nohw", kernel, x.relu()) / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(pointwise(x), expected)


def test_nasbench201_keeps_convolutions_that_nothing_reaches(torch):
    space = weaknas.get_space("nasbench201")
    dead = space.parse("|none~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|")
    assert parameters_of(torch, space, dead) == 73_306 + 28_000 + 243_040


# -- NAS-Bench-101 -------------------------------------------------------------------------


def test_nasbench101_modules_have_the_parameters_of_the_table(torch, shared_data):
    space = weaknas.get_space("nasbench101")
    with np.load(shared_data("nasbench101/sample_30001.npz"), allow_pickle=False) as table:
        matrices, names, listed = table["adj"], table["ops"], table["params"]
        op_names, vertices = table["op_names"].astype(str).tolist(), table["n_vertices"]
    for index in np.random.default_rng(101).permutation(len(listed))[:40]:
        count = int(vertices[index])
        inner = [op_names[op] for op in names[index][: count - 2]]
        cell = {
            "matrix": matrices[index][:count, :count].astype(int).tolist(),
            "ops": ["input", *inner, "output"],
        }
        assert parameters_of(torch, space, json.dumps(cell)) == listed[index]


def test_nasbench101_cell_by_hand(torch):
    from weaknas.spaces.nasbench101.network import Cell

    space = weaknas.get_space("nasbench101")
    # 5 channels over two vertices: 3 and 2; the first also feeds the second, cut to 2.
    text = "maxpool3x3:0+maxpool3x3:0,1+output:0,1,2"
    genotype = space.canonicalize(space.parse(text)[None])[0]
    cell = Cell(genotype, inputs=4, outputs=5, momentum=0.1).eval()
    assert cell.channels[1:3] == [3, 2]
    x = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))

    def pooled(values):
        return torch.nn.functional.max_pool2d(values, 3, 1, 1)

    def projected(vertex):
        kernel = cell.projections[str(vertex)][0].weight[:, :, 0, 0]
        return (torch.einsum("oi,nihw->nohw", kernel, x) / (1 + 1e-5) ** 0.5).relu()

    first = pooled(projected(1))
    second = pooled(first[:, :2] + projected(2))
    expected = torch.cat([first, second], dim=1) + projected(6)
    torch.testing.assert_close(cell(x), expected)


def test_nasbench101_weights_start_as_in_the_benchmark(torch):
    space = weaknas.get_space("nasbench101")
    torch.manual_seed(0)
    module = space.network("conv3x3-bn-relu:0+output:1", momentum=0.003)
    for layer in module.modules():
        if isinstance(layer, torch.nn.Conv2d) and layer.weight.numel() > 1e5:
            inputs = layer.weight[0].numel()
            assert abs(layer.weight.detach().var().item() * inputs - 1) < 0.02
            assert layer.weight.detach().abs().max().item() < 2 / 0.879 / inputs**0.5
        elif isinstance(layer, torch.nn.BatchNorm2d):
            assert (layer.momentum, layer.eps) == (0.003, 1e-5)
        elif isinstance(layer, torch.nn.Linear):
            assert layer.weight.detach().abs().max().item() <= (6 / (512 + 10)) ** 0.5
            assert not layer.bias.any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"channels": 4}, "split over up to 5"), ({"momentum": 0}, "momentum 0 is not above 0")],
)
def test_nasbench101_settings_are_checked(settings, message):
    with pytest.raises(InputError, match=message):
        weaknas.get_space("nasbench101").network("output:0", **settings)
