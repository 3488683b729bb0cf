"""Networks of every space that builds them: costs as by formula, any size of image, gradients."""

from __future__ import annotations

import json

import numpy as np
import pytest

import weaknas
from weaknas.errors import InputError
from weaknas.spaces import ChoiceSpace, ConstrainedSpace, SubsetSpace

#: A small network of each space of cells; mobilenetv3 has tests of its own.
SMALL = {
    "darts": {"channels": 4, "cells": 1},
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
        ({"shape": 32}, "the shape 32"),
    ],
)
def test_bad_settings_are_refused(space, settings, message):
    genotypes = space.sample(1, np.random.default_rng(6))
    for method, given in ((space.network, genotypes[0]), (space.macs, genotypes)):
        with pytest.raises(InputError, match=message):
            method(given, **settings)


def test_spaces_without_networks_say_so():
    space = ChoiceSpace({"a": [1, 2]}, name="mine")
    assert not space.has_networks
    with pytest.raises(InputError, match=r"'mine' has no networks.*does not override `network`"):
        space.network([0])


def test_spaces_with_networks():
    having = [name for name in weaknas.list_spaces() if weaknas.get_space(name).has_networks]
    layers = ["darts", "mobilenetv3", "nasbench101", "nasbench201", "recurrent", "transformer"]
    assert having == sorted([*layers, "activation", "augmentation", "randaugment"])


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
    rows = space.enumerate()[np.random.default_rng(201).permutation(space.size)[:60]]
    pointwise, spatial = (rows == 2).sum(axis=1), (rows == 3).sum(axis=1)
    parameters = np.array([parameters_of(torch, space, row) for row in rows])
    np.testing.assert_allclose(
        parameters / 1e6, 0.073306 + 0.028 * pointwise + 0.24304 * spatial, rtol=0, atol=1e-9
    )
    few = slice(None, None, 15)  # counting takes its time
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
    [
        ({"channels": 4}, "split over up to 5"),
        ({"momentum": 0}, "momentum must be a number above 0"),
    ],
)
def test_nasbench101_settings_are_checked(settings, message):
    with pytest.raises(InputError, match=message):
        weaknas.get_space("nasbench101").network("output:0", **settings)


# -- DARTS ---------------------------------------------------------------------------------

#: Published genotypes with their parameters in millions at full size: for CIFAR-10 (36 channels,
#: 20 cells), that of DARTS as the authors' code prints it, and for ImageNet.
PUBLISHED = {
    # Liu et al. (arXiv:1806.09055), second order
    "DARTS": (
        "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0),"
        "('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0),"
        "('dil_conv_3x3', 2)], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1),"
        "('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2),"
        "('skip_connect', 2), ('max_pool_3x3', 1)])",
        3.349342,
        4.7,
    ),
    # Chen et al. (ICCV 2019, arXiv:1904.12760)
    "P-DARTS": (
        "Genotype(normal=[('skip_connect', 0), ('dil_conv_3x3', 1), ('skip_connect', 0),"
        "('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('sep_conv_3x3', 3), ('sep_conv_3x3', 0),"
        "('dil_conv_5x5', 4)], reduce=[('avg_pool_3x3', 0), ('sep_conv_5x5', 1),"
        "('sep_conv_3x3', 0), ('dil_conv_5x5', 2), ('max_pool_3x3', 0), ('dil_conv_3x3', 1),"
        "('dil_conv_3x3', 1), ('dil_conv_5x5', 3)])",
        3.4,
        4.9,
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_darts_published_genotypes_have_the_published_parameters(torch, name):
    space = weaknas.get_space("darts")
    text, on_cifar, on_imagenet = PUBLISHED[name]
    genotype = space.genotypes([text])
    parameters = space.parameters(genotype)[0]
    assert parameters_of(torch, space, text) == parameters
    assert float(parameters / 1e6) == pytest.approx(on_cifar, abs=5e-7 if name == "DARTS" else 0.05)
    imagenet = {"stem": "imagenet", "classes": 1000, "shape": (3, 224, 224)}
    assert round(float(space.parameters(genotype, **imagenet)[0] / 1e6), 1) == on_imagenet
    if name == "DARTS":
        assert_formulas_hold(torch, space, genotype, **imagenet)


def test_darts_skeletons_are_the_published_ones():
    from weaknas.spaces.darts.skeleton import DARTSSkeleton

    # Number of all cells L, with reductions at L // 3 and 2 L // 3 of the authors' code.
    for options, depth in (({}, 20), ({"stem": "imagenet"}, 14), ({"cells": 2}, 8)):
        skeleton = DARTSSkeleton(**options)
        assert skeleton.depth == len(skeleton.places) == depth
        reductions = [index for index, place in enumerate(skeleton.places) if place.reduces]
        assert reductions == [depth // 3, 2 * depth // 3]


def every_operation(space):
    """Genotypes in which each operation stands at every kind of place."""
    rows = space.sample(len(space.operations), np.random.default_rng(0))
    shifted = np.arange(len(rows))[:, None] + np.arange(16)
    rows[:, 1::2] = shifted % len(space.operations)
    return rows


@pytest.mark.slow
@pytest.mark.parametrize("operations", ["darts", "nasnet"])
@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_darts_formulas_hold_for_every_operation(torch, operations, stem):
    space = weaknas.get_space("darts", operations=operations)
    settings = {"stem": stem, "channels": 6, "shape": (1, 14, 27)}
    assert_formulas_hold(torch, space, every_operation(space), cells=1, **settings)


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 8, 8), (3, 96, 64)], ids=str)
def test_darts_auxiliary_head_is_there_while_training(torch, stem, shape):
    torch.manual_seed(0)
    space = weaknas.get_space("darts")
    genotype = space.sample(1, np.random.default_rng(2))[0]
    settings = {"channels": 4, "cells": 2, "classes": 5, "shape": shape, "stem": stem}
    module = space.network(genotype, auxiliary=True, **settings)
    images = torch.randn(3, *shape)
    logits, auxiliary = module(images)
    assert logits.shape == auxiliary.shape == (3, 5)
    (logits + auxiliary).square().sum().backward()
    assert all(weights.grad is not None for weights in module.parameters())
    assert module.eval()(images).shape == (3, 5)
    plain = sum(w.numel() for n, w in module.named_parameters() if not n.startswith("auxiliary"))
    assert [plain] == space.parameters(genotype[None], auxiliary=True, **settings)


def test_darts_auxiliary_head_shrinks_the_published_size_to_one_pixel(torch):
    from weaknas.spaces.darts.network import _auxiliary_head
    from weaknas.spaces.darts.skeleton import DARTSSkeleton

    for options, size in (({}, 8), ({"stem": "imagenet", "shape": (3, 224, 224)}, 7)):
        skeleton = DARTSSkeleton(**options)
        place = skeleton.places[skeleton.reductions[-1]]
        assert place.size_out == (size, size)
        with torch.device("meta"):
            head = _auxiliary_head(place, skeleton)
            values = torch.empty(2, place.outputs, size, size)
            for layer in head[:-1]:
                values = layer(values)
        assert values.shape == (2, 768, 1, 1)


def test_darts_drop_path(torch):
    from weaknas.spaces.cells.layers import drop_path

    torch.manual_seed(0)
    kept = drop_path(torch.ones(4000, 2, 3, 3), 0.25)
    torch.testing.assert_close(kept.unique(), torch.tensor([0.0, 1 / 0.75]))
    assert (kept == kept[:, :1, :1, :1]).all()  # a sample is dropped as a whole
    assert abs(kept.mean().item() - 1) < 0.03

    space = weaknas.get_space("darts")
    genotype = space.sample(1, np.random.default_rng(3))[0]
    module = space.network(genotype, shape=(1, 8, 8), **SMALL["darts"])
    images = torch.randn(6, 1, 8, 8)
    assert module.drop_path == 0.0
    assert torch.equal(module(images), module(images))
    module.drop_path = 0.5
    assert not torch.equal(module(images), module(images))
    module.eval()
    assert torch.equal(module(images), module(images))


def test_darts_drop_path_is_compiled_once_for_all_probabilities(torch):
    from weaknas.spaces.cells.layers import drop_path

    compiled = []

    def backend(graph, examples):
        compiled.append(graph)
        return graph

    function = torch.compile(drop_path, backend=backend)
    for epoch in range(1, 6):
        function(torch.ones(4, 1, 2, 2), 0.2 * epoch / 6)
    assert len(compiled) <= 2  # for a constant, then for any number


def test_darts_identities_are_never_dropped(torch):
    from weaknas.spaces.darts.network import Cell
    from weaknas.spaces.darts.skeleton import DARTSSkeleton

    place = DARTSSkeleton(channels=2, cells=1).places[0]._replace(reduces=False)
    cell = Cell([("skip_connect", 0), ("skip_connect", 1)] * 4, place)
    first, last = torch.randn(2, 3, place.inputs, 4, 4).unbind()
    one, other = (cell(first, last, dropped) for dropped in (0.0, 0.9))
    assert torch.equal(one, other)


@pytest.mark.parametrize("size", [6, 7, 1])
def test_darts_factorized_reduction_by_hand(torch, size):
    from weaknas.spaces.darts.layers import FactorizedReduction

    layer = FactorizedReduction(3, 5).eval()
    x = torch.randn(2, 3, size, size)
    odd = torch.zeros(2, 3, -(-size // 2), -(-size // 2))
    shifted = x.relu()[:, :, 1::2, 1::2]
    odd[:, :, : shifted.shape[2], : shifted.shape[3]] = shifted
    parts = ((layer.even, x.relu()[:, :, ::2, ::2]), (layer.odd, odd))
    expected = [torch.einsum("oi,nihw->nohw", c.weight[:, :, 0, 0], part) for c, part in parts]
    torch.testing.assert_close(layer(x), torch.cat(expected, dim=1) / (1 + 1e-5) ** 0.5)


def test_darts_cell_by_hand(torch):
    from weaknas.spaces.darts.network import Cell
    from weaknas.spaces.darts.skeleton import DARTSSkeleton

    place = DARTSSkeleton(channels=2, cells=1).places[0]._replace(reduces=False)
    pairs = [("skip_connect", 0), ("max_pool_3x3", 1), ("skip_connect", 2), ("avg_pool_3x3", 0)]
    pairs += [("skip_connect", 3), ("skip_connect", 2), ("skip_connect", 0), ("skip_connect", 4)]
    cell = Cell(pairs, place)
    first, last = torch.randn(2, 3, place.inputs, 4, 4).unbind()
    zero, one = cell.preprocess[0](first), cell.preprocess[1](last)
    pool = torch.nn.functional
    two = zero + pool.max_pool2d(one, 3, 1, 1)
    three = two + pool.avg_pool2d(zero, 3, 1, 1, count_include_pad=False)
    four = three + two
    expected = torch.cat([two, three, four, zero + four], dim=1)
    torch.testing.assert_close(cell(first, last, 0.0), expected)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stem": "imagnet"}, "unknown stem 'imagnet'; did you mean 'imagenet'"),
        ({"channels": 1}, "channels is 1"),
        ({"cells": 0}, "cells is 0, not"),
    ],
)
def test_darts_settings_are_checked(settings, message):
    space = weaknas.get_space("darts")
    with pytest.raises(InputError, match=message):
        space.network(space.sample(1, np.random.default_rng(0))[0], **settings)
