"""The elastic supernet and the networks that are cut out of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from weaknas.errors import InputError
from weaknas.spaces.mobilenetv3 import MobileNetV3

torch = pytest.importorskip("torch")

# Of the published checkpoints: stem, input and output channels of the 20 blocks by
# unit (first block, the three others), final expansion and feature mix.
STEMS = {1.0: (16, 16), 1.2: (24, 24)}
UNITS = {
    1.0: [(16, 24), (24, 40), (40, 80), (80, 112), (112, 160)],
    1.2: [(24, 32), (32, 48), (48, 96), (96, 136), (136, 192)],
}
HEADS = {1.0: (960, 1280), 1.2: (1152, 1536)}
# Channels between the layers of squeeze-and-excitation, by those outside.
SQUEEZED = {144: 40, 240: 64, 480: 120, 672: 168, 960: 240}
SQUEEZED |= {192: 48, 288: 72, 576: 144, 816: 208, 1152: 288}
WITH_SQUEEZE = (1, 3, 4)  # units


def norm(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    kinds = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{kind}": (channels,) for kind in kinds} | {f"{name}.num_batches_tracked": ()}


def published(width: float) -> dict[str, tuple[int, ...]]:
    """Names and shapes in ofa_mbv3_d234_e346_k357_w1.0 and _w1.2."""
    stem, first = STEMS[width]
    final, mixed = HEADS[width]
    shapes = {"first_conv.conv.weight": (stem, 3, 3, 3), **norm("first_conv.bn", stem)}
    fixed = "blocks.0.mobile_inverted_conv"
    shapes |= {f"{fixed}.depth_conv.conv.weight": (stem, 1, 3, 3)}
    shapes |= norm(f"{fixed}.depth_conv.bn", stem)
    shapes |= {f"{fixed}.point_linear.conv.weight": (first, stem, 1, 1)}
    shapes |= norm(f"{fixed}.point_linear.bn", first)
    index = 1
    for unit, (given, made) in enumerate(UNITS[width]):
        for channels in (given, made, made, made):
            block, mid = f"blocks.{index}.mobile_inverted_conv", 6 * channels
            shapes[f"{block}.inverted_bottleneck.conv.conv.weight"] = (mid, channels, 1, 1)
            shapes |= norm(f"{block}.inverted_bottleneck.bn.bn", mid)
            shapes[f"{block}.depth_conv.conv.5to3_matrix"] = (9, 9)
            shapes[f"{block}.depth_conv.conv.7to5_matrix"] = (25, 25)
            shapes[f"{block}.depth_conv.conv.conv.weight"] = (mid, 1, 7, 7)
            shapes |= norm(f"{block}.depth_conv.bn.bn", mid)
            if unit in WITH_SQUEEZE:
                squeezed, fc = SQUEEZED[mid], f"{block}.depth_conv.se.fc"
                shapes[f"{fc}.reduce.weight"] = (squeezed, mid, 1, 1)
                shapes[f"{fc}.reduce.bias"] = (squeezed,)
                shapes[f"{fc}.expand.weight"] = (mid, squeezed, 1, 1)
                shapes[f"{fc}.expand.bias"] = (mid,)
            shapes[f"{block}.point_linear.conv.conv.weight"] = (made, mid, 1, 1)
            shapes |= norm(f"{block}.point_linear.bn.bn", made)
            index += 1
    shapes["final_expand_layer.conv.weight"] = (final, UNITS[width][-1][1], 1, 1)
    shapes |= norm("final_expand_layer.bn", final)
    shapes["feature_mix_layer.conv.weight"] = (mixed, final, 1, 1)
    shapes["classifier.linear.weight"] = (1000, mixed)
    shapes["classifier.linear.bias"] = (1000,)
    return shapes


def trained(space: MobileNetV3, **options):
    """A supernet in which nothing is what it starts as."""
    torch.manual_seed(0)
    net = space.supernet(**options).double().eval()
    for name, tensor in net.state_dict().items():
        if name.endswith("_matrix"):
            tensor.add_(0.1 * torch.randn_like(tensor))
        elif name.endswith(("bn.weight", "running_var")):
            tensor.uniform_(0.5, 1.5)
        elif name.endswith(("bias", "running_mean")):
            tensor.normal_(0, 0.1)
    return net


SMALL = MobileNetV3(0.25, 16, classes=7)
IMAGES = torch.randn(2, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("width", [1.0, 1.2])
def test_state_dict_is_that_of_the_published_checkpoints(width: float) -> None:
    with torch.device("meta"):
        state = MobileNetV3(width).supernet().state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == published(width)
    assert len(state) == 475


def test_active_and_extracted_architectures_give_the_same() -> None:
    net = trained(SMALL)
    for genotype in SMALL.sample(12, np.random.default_rng(0)):
        net.activate(genotype)
        with torch.no_grad():
            active, alone = net(IMAGES), net.extract(genotype)(IMAGES)
        assert active.shape == (2, 7)
        assert (active - alone).abs().max() <= 1e-6


def test_extracted_weights_are_the_leading_ones() -> None:
    net = trained(SMALL)
    whole = net.state_dict()
    text = "k33-357-53-77-3333_e34-643-66-43-3463_r16"
    cut = net.extract(text).state_dict()
    # The third block of the network is the second of the first unit: kernel 3, expansion 4.
    mid = 4 * whole["blocks.2.mobile_inverted_conv.inverted_bottleneck.conv.conv.weight"].shape[1]
    alone, shared = (f"blocks.2.mobile_inverted_conv.{part}" for part in ("", ""))
    pairs = {
        "inverted_bottleneck.conv.weight": "inverted_bottleneck.conv.conv.weight",
        "depth_conv.bn.running_var": "depth_conv.bn.bn.running_var",
    }
    for name, source in pairs.items():
        assert torch.equal(cut[alone + name], whole[shared + source][:mid])
    project = whole[shared + "point_linear.conv.conv.weight"]
    assert torch.equal(cut[alone + "point_linear.conv.weight"], project[:, :mid])
    # The second unit starts at block 5 of the supernet, and at 3 of the network.
    assert torch.equal(
        cut["blocks.3.mobile_inverted_conv.point_linear.bn.bias"],
        whole["blocks.5.mobile_inverted_conv.point_linear.bn.bn.bias"],
    )


def test_smaller_kernels_are_the_transformed_centre() -> None:
    net = trained(SMALL)
    whole = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
    depth = "blocks.1.mobile_inverted_conv.depth_conv.conv"
    cut = net.extract("k33-33-33-33-33_e33-33-33-33-33_r16").state_dict()
    kernels = cut["blocks.1.mobile_inverted_conv.depth_conv.conv.weight"].numpy()
    for channel, kernel in enumerate(kernels[:, 0]):
        seven = whole[f"{depth}.conv.weight"][channel, 0]
        five = (whole[f"{depth}.7to5_matrix"] @ seven[1:6, 1:6].ravel()).reshape(5, 5)
        three = (whole[f"{depth}.5to3_matrix"] @ five[1:4, 1:4].ravel()).reshape(3, 3)
        np.testing.assert_allclose(kernel, three, atol=1e-12)


@pytest.mark.parametrize(
    "space",
    [
        pytest.param(MobileNetV3(1.2, 236), marks=pytest.mark.slow),
        pytest.param(MobileNetV3(1.0, 224), marks=pytest.mark.slow),
        MobileNetV3(0.25, 8, classes=10, channels=1),
        pytest.param(MobileNetV3(0.35, 28, classes=10, channels=1), marks=pytest.mark.slow),
        MobileNetV3(0.5, 32, classes=5, strides=(1, 2, 1, 2, 1, 1)),
    ],
)
def test_parameters_and_macs_are_those_of_the_formulas(space: MobileNetV3) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    genotypes = space.sample(4, np.random.default_rng(0))
    size = space.resolutions[0]
    with torch.device("meta"):
        net = space.supernet()
        images = torch.empty(1, space.channels, size, size)
    for genotype in genotypes:
        alone = net.extract(genotype).eval()
        assert sum(p.numel() for p in alone.parameters()) == space.parameters(genotype[None])[0]
        with FlopCounterMode(display=False) as counter:
            logits = alone(images)
        assert logits.shape == (1, space.classes)
        assert counter.get_total_flops() == 2 * space.macs(genotype[None])[0]


@pytest.mark.parametrize("expansions", [(6,), (4, 6), (3, 6), (3, 4, 6)])
def test_sorting_channels_keeps_what_was_trained(expansions: tuple[int, ...]) -> None:
    net = trained(SMALL)
    units = [(3, 2), (4, 3), (2, 2), (3, 3), (2, 4)]  # which expansion, and how many layers
    texts = [
        "k75-337-55-777-3335_e"
        + "-".join(str(expansions[(shift + which) % len(expansions)]) * n for which, n in units)
        + "_r16"
        for shift in range(len(expansions))
    ]
    name = "blocks.6.mobile_inverted_conv.point_linear.conv.conv.weight"
    weight = net.state_dict()[name].clone()
    with torch.no_grad():
        before = [net.extract(text)(IMAGES) for text in texts]
        net.sort_channels(expansions)
        after = [net.extract(text)(IMAGES) for text in texts]
    assert not torch.equal(net.state_dict()[name], weight)
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other)


def test_the_most_important_channels_come_first() -> None:
    net = trained(SMALL)
    net.sort_channels()
    for name, tensor in net.state_dict().items():
        if "point_linear.conv.conv" in name or "se.fc.expand.weight" in name:
            importance = tensor.abs().sum(dim=(0, 2, 3))
            assert (importance.diff() <= 0).all(), name


def test_networks_of_the_space_match_extracted_ones() -> None:
    text = "k33-533-75-3335-55_e44-334-66-4466-33_r16"
    alone = SMALL.network(text, classes=7, shape=(3, 16, 16))
    cut = SMALL.supernet().extract(text)
    shapes = [{n: t.shape for n, t in net.state_dict().items()} for net in (alone, cut)]
    assert shapes[0] == shapes[1]
    wide = SMALL.network(text, classes=3, shape=(1, 28, 28), width=1.0, dropout=0.0)
    assert wide(torch.zeros(2, 1, 28, 28)).shape == (2, 3)
    assert sum(p.numel() for p in wide.parameters()) > sum(p.numel() for p in alone.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (3, 16, 20)}, "square images"),
        ({"widht": 1.0}, "unknown setting of the skeleton 'widht'; did you mean 'width'"),
        ({"strides": (1, 2)}, "strides are 6 numbers"),
    ],
)
def test_bad_settings_of_networks_are_refused(options, message: str) -> None:
    with pytest.raises(InputError, match=message):
        SMALL.network(SMALL.cardinalities - 1, **options)


# -- checkpoints ----------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["plain", "wrapped", "old", "short", "parallel", "no counters"])
def test_checkpoints_load(tmp_path: Path, form: str) -> None:
    state = trained(SMALL).float().state_dict()
    stored = dict(state)
    if form == "short":
        stored = {n.replace("mobile_inverted_conv", "conv"): t for n, t in state.items()}
    elif form == "parallel":
        stored = {f"module.{n}": t for n, t in state.items()}
    elif form == "no counters":
        stored = {n: t for n, t in state.items() if "num_batches" not in n}
    torch.save(
        {"state_dict": stored} if form in ("wrapped", "old") else stored,
        tmp_path / "net",
        _use_new_zipfile_serialization=form != "old",  # the published files are from 2020
    )
    net = SMALL.supernet()
    net.load_checkpoint(tmp_path / "net")
    assert all(torch.equal(t, state[n]) for n, t in net.state_dict().items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classifier.linear.bias": None}, r"'classifier.linear.bias' of shape \(7,\) is missing"),
        (
            {"first_conv.conv.weight": torch.zeros(24, 3, 3, 3)},
            r"not the supernet of width 0.25, 'first_conv.conv.weight' has the shape"
            r" \(24, 3, 3, 3\), not \(8, 3, 3, 3\)",
        ),
        ({"classifier.extra": torch.zeros(2)}, r"'classifier.extra' of shape \(2,\) is too much"),
        ({"classifier.linear.bias": torch.full((7,), torch.nan)}, "damaged, 'classifier.linear"),
        ({"epoch": 3}, "no state dict, 'epoch' is a int"),
    ],
)
def test_wrong_checkpoints_are_refused(tmp_path: Path, change, message: str) -> None:
    net = SMALL.supernet()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    state = {name: tensor for name, tensor in (before | change).items() if tensor is not None}
    torch.save(state, tmp_path / "net")
    with pytest.raises(InputError, match=message):
        net.load_checkpoint(tmp_path / "net")
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_no_checkpoint_at_all(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    with pytest.raises(InputError, match="no such file"):
        SMALL.supernet().load_checkpoint(tmp_path / "none")
    with pytest.raises(InputError, match="damaged, or not of a known format"):
        SMALL.supernet().load_checkpoint(tmp_path / "text")


def test_all_weights_learn() -> None:
    net = SMALL.supernet()
    largest = f"k{'-'.join(['7777'] * 5)}_e{'-'.join(['6666'] * 5)}_r16"
    for text in (largest, largest.replace("7777", "3333")):
        net.activate(text)
        net(IMAGES.float()).square().sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None] == []
    assert (
        int(net.state_dict()["blocks.1.mobile_inverted_conv.depth_conv.bn.bn.num_batches_tracked"])
        == 2
    )
