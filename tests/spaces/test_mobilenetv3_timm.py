"""Networks as timm defines them; without timm its blocks are rebuilt here from the strings."""

from __future__ import annotations

import re

import numpy as np
import pytest

from weaknas.errors import InputError
from weaknas.spaces.mobilenetv3 import MobileNetV3

torch = pytest.importorskip("torch")
nn = torch.nn

SPACE = MobileNetV3(1.2, 64, classes=12)


def trained(space=SPACE, seed: int = 0):
    """A network whose weights and statistics are all different from their first values."""
    genotype = space.sample(1, np.random.default_rng(seed))[0]
    torch.manual_seed(seed)
    size = space.resolutions[0]
    net = space.network(genotype, classes=space.classes, shape=(space.channels, size, size)).eval()
    for name, tensor in net.state_dict().items():
        if name.endswith(("bn.weight", "running_var")):
            tensor.uniform_(0.5, 1.5)
        elif name.endswith(("bias", "running_mean")):
            tensor.normal_(0, 0.1)
    return net


class Sequence(nn.Module):
    """Named layers one after the other, as timm's blocks are, with a shortcut if they have one."""

    def __init__(self, shortcut: bool = False, **layers) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.shortcut = shortcut

    def forward(self, x):
        made = x
        for layer in self.children():
            made = layer(made)
        return x + made if self.shortcut else made


class Squeeze(nn.Module):
    def __init__(self, channels: int, reduced: int) -> None:
        super().__init__()
        self.conv_reduce = nn.Conv2d(channels, reduced, 1)
        self.conv_expand = nn.Conv2d(reduced, channels, 1)

    def forward(self, x):
        y = self.conv_reduce(x.mean((2, 3), keepdim=True)).relu()
        return x * nn.functional.relu6(self.conv_expand(y) + 3) / 6


class NormAct(nn.BatchNorm2d):
    def __init__(self, channels: int, act) -> None:
        super().__init__(channels)
        self.act = act

    def forward(self, x):
        return self.act(super().forward(x))


def hard_swish(x):
    return x * nn.functional.relu6(x + 3) / 6


def same(x):
    return x


def divisible(value: float) -> int:
    made = max(8, int(value + 4) // 8 * 8)
    return made + 8 if made < 0.9 * value else made


def rebuild(text: str, given: int):
    """One block from its string by the rules of timm's builder; the block and its channels."""
    kind, *rest = text.split("_")
    act = nn.functional.relu if "nre" in rest else hard_swish
    options = dict(re.fullmatch(r"([a-z]+)([\d.]+)", o).groups() for o in rest if o != "nre")
    kernel, stride, made = (int(options[key]) for key in "ksc")
    shortcut = stride == 1 and given == made
    if kind == "cn":
        conv = nn.Conv2d(given, made, kernel, stride, kernel // 2, bias=False)
        return Sequence(conv=conv, bn1=NormAct(made, act)), made
    mid = divisible(given * float(options["e"])) if kind == "ir" else given
    depthwise = nn.Conv2d(mid, mid, kernel, stride, kernel // 2, groups=mid, bias=False)
    squeeze = {"se": Squeeze(mid, divisible(mid * float(options["se"])))} if "se" in options else {}
    project = nn.Conv2d(mid, made, 1, bias=False)
    if kind == "ds":
        layers = {"conv_dw": depthwise, "bn1": NormAct(mid, act), **squeeze, "conv_pw": project}
        return Sequence(shortcut, **layers, bn2=NormAct(made, same)), made
    layers = {"conv_pw": nn.Conv2d(given, mid, 1, bias=False), "bn1": NormAct(mid, act)}
    layers |= {"conv_dw": depthwise, "bn2": NormAct(mid, act), **squeeze, "conv_pwl": project}
    return Sequence(shortcut, **layers, bn3=NormAct(made, same)), made


def rebuild_network(definition):
    channels = definition["stem_size"]
    layers = {"conv_stem": nn.Conv2d(definition["in_chans"], channels, 3, 2, 1, bias=False)}
    layers["bn1"] = NormAct(channels, hard_swish)
    stages = []
    for strings in definition["arch_def"]:
        blocks = []
        for text in strings:
            block, channels = rebuild(text, channels)
            blocks.append(block)
        stages.append(nn.Sequential(*blocks))
    features = definition["num_features"]
    return Sequence(
        **layers,
        blocks=nn.Sequential(*stages),
        pool=nn.AdaptiveAvgPool2d(1),
        conv_head=nn.Conv2d(channels, features, 1, bias=False),
        act2=nn.Hardswish(),
        flatten=nn.Flatten(),
        classifier=nn.Linear(features, definition["num_classes"]),
    ).eval()


@pytest.mark.parametrize("seed", range(3))
def test_blocks_of_the_strings_give_the_same(seed: int) -> None:
    from weaknas.spaces.mobilenetv3.timm import timm_definition, timm_state_dict

    net = trained(seed=seed)
    other = rebuild_network(timm_definition(net))
    other.load_state_dict(timm_state_dict(net))
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = net(images)
        assert (other(images) - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_timm_gives_the_same() -> None:
    try:
        pytest.importorskip("timm")
    except ImportError as error:  # a package of it is missing
        pytest.skip(str(error))
    from weaknas.spaces.mobilenetv3.timm import build_timm, timm_definition, timm_state_dict

    for seed in range(3):
        net = trained(seed=seed)
        other = build_timm(timm_definition(net)).eval()
        other.load_state_dict(timm_state_dict(net))
        images = torch.randn(2, 3, 64, 64)
        with torch.no_grad():
            assert (other(images) - net(images)).abs().max() <= 1e-5


def test_the_strings_are_those_of_timm() -> None:
    from weaknas.spaces.mobilenetv3.timm import timm_definition

    space = MobileNetV3()
    net = space.network("k35-333-75-33-55_e34-666-43-66-36_r224", classes=1000, shape=(3, 224, 224))
    definition = timm_definition(net)
    assert definition["arch_def"] == [
        ["ds_r1_k3_s1_e1_c16_nre"],
        ["ir_r1_k3_s2_e3_c24_nre", "ir_r1_k5_s1_e4_c24_nre"],
        ["ir_r1_k3_s2_e6_c40_se0.25_nre", *["ir_r1_k3_s1_e6_c40_se0.25_nre"] * 2],
        ["ir_r1_k7_s2_e4_c80", "ir_r1_k5_s1_e3_c80"],
        ["ir_r1_k3_s1_e6_c112_se0.25"] * 2,
        ["ir_r1_k5_s2_e3_c160_se0.25", "ir_r1_k5_s1_e6_c160_se0.25"],
        ["cn_r1_k1_s1_c960"],
    ]
    del definition["arch_def"]
    rest = {"num_classes": 1000, "in_chans": 3, "stem_size": 16, "num_features": 1280}
    assert definition == rest


def test_networks_for_small_images_are_none_of_timm() -> None:
    from weaknas.spaces.mobilenetv3.timm import timm_definition

    with pytest.raises(InputError, match="whose stem has stride 2"):
        timm_definition(trained(MobileNetV3(0.25, 8, classes=10)))
