"""Networks as timm defines and names them: strings for its ``efficientnet_builder``.

timm (Wightman, github.com/huggingface/pytorch-image-models) describes a stage by
strings such as ``ir_r1_k5_s2_e4_c40_se0.25_nre``: an inverted residual block with
kernel, stride, expansion, channels, squeeze-and-excitation and ReLU instead of the
network's activation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from weaknas.errors import InputError, optional_import
from weaknas.spaces.mobilenetv3.network import Network
from weaknas.spaces.mobilenetv3.skeleton import Block

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

_STEM_STRIDE, _OUTPUT_STRIDE = 2, 32  # timm dilates what would shrink the image further
_HEAD = (
    ("first_conv.conv.", "conv_stem."),
    ("first_conv.bn.", "bn1."),
    ("final_expand_layer.conv.", "blocks.{head}.0.conv."),
    ("final_expand_layer.bn.", "blocks.{head}.0.bn1."),
    ("feature_mix_layer.conv.", "conv_head."),
    ("classifier.linear.", "classifier."),
)
#: Parts of a block without expansion, and of one with.
_SEPARABLE = {
    "depth_conv.conv": "conv_dw",
    "depth_conv.bn": "bn1",
    "point_linear.conv": "conv_pw",
    "point_linear.bn": "bn2",
}
_INVERTED = {
    "inverted_bottleneck.conv": "conv_pw",
    "inverted_bottleneck.bn": "bn1",
    "depth_conv.conv": "conv_dw",
    "depth_conv.bn": "bn2",
    "depth_conv.se.fc.reduce": "se.conv_reduce",
    "depth_conv.se.fc.expand": "se.conv_expand",
    "point_linear.conv": "conv_pwl",
    "point_linear.bn": "bn3",
}
_BLOCK = re.compile(r"blocks\.(\d+)\.mobile_inverted_conv\.(.+)\.(\w+)")


def timm_definition(network: Network) -> dict[str, Any]:
    """Return what `build_timm` builds the network from, as plain JSON types.

    Returns
    -------
    dict
        ``arch_def``, a list of strings for each stage, and ``num_classes``,
        ``in_chans``, ``stem_size`` and ``num_features`` of ``timm.models.mobilenetv3.MobileNetV3``.

    Raises
    ------
    InputError
        When timm cannot build it: its stem has stride 2, and it does not shrink
        images by more than 32.
    """
    skeleton = network.skeleton
    shrinks = 1
    for stride in skeleton.strides:
        shrinks *= stride
    if skeleton.strides[0] != _STEM_STRIDE or shrinks > _OUTPUT_STRIDE:
        raise InputError(
            f"timm builds networks whose stem has stride 2 and whose strides multiply to 32 at"
            f" most; {skeleton.strides} are for smaller images"
        )
    stem, _, final, _, mix, linear = skeleton.fixed
    stages = [[_describe(block) for block in stage] for stage in _stages(network)]
    return {
        "arch_def": [*stages, [f"cn_r1_k1_s1_c{final.channels_out}"]],
        "num_classes": linear.channels_out,
        "in_chans": stem.channels_in,
        "stem_size": stem.channels_out,
        "num_features": mix.channels_out,
    }


def timm_state_dict(network: Network) -> dict[str, Tensor]:
    """Return the weights under the names that they have in timm."""
    stages = _stages(network)
    places = [(u, i) for u, stage in enumerate(stages) for i in range(len(stage))]
    renamed = {}
    for name, tensor in network.state_dict().items():
        if match := _BLOCK.fullmatch(name):
            stage, index = places[int(match[1])]
            block = stages[stage][index]
            parts = _SEPARABLE if block.expansion == 1 else _INVERTED
            made = f"blocks.{stage}.{index}.{parts[match[2]]}.{match[3]}"
        else:
            ours, theirs = next(pair for pair in _HEAD if name.startswith(pair[0]))
            made = theirs.format(head=len(stages)) + name.removeprefix(ours)
        renamed[made] = tensor
    return renamed


def build_timm(definition: Mapping[str, Any]) -> Module:
    """Return timm's module of a definition, untrained.

    Raises
    ------
    MissingDependencyError
        When timm is not installed.
    """
    models = optional_import("timm.models.mobilenetv3", "timm")
    builder = optional_import("timm.models._efficientnet_builder", "timm")
    layers = optional_import("timm.layers", "timm")
    options = {name: value for name, value in definition.items() if name != "arch_def"}
    torch = optional_import("torch", "train")
    squeeze = partial(
        models.SqueezeExcite,
        gate_layer="hard_sigmoid",
        force_act_layer=torch.nn.ReLU,
        rd_round_fn=builder.round_channels,
    )
    made: Module = models.MobileNetV3(
        block_args=builder.decode_arch_def(definition["arch_def"]),
        fix_stem=True,
        head_bias=False,
        act_layer=layers.get_act_layer("hard_swish"),
        se_layer=squeeze,
        **options,
    )
    return made


def _stages(network: Network) -> list[list[Block]]:
    """Return the blocks by stage; one begins where a block has no shortcut, as a unit does."""
    first, *blocks = (_block(part) for part in network.blocks)
    stages = [[first]]
    for place, block in enumerate(blocks):
        if place == 0 or not block.shortcut:
            stages.append([])
        stages[-1].append(block)
    return stages


def _describe(block: Block) -> str:
    kind = "ds" if block.expansion == 1 else "ir"
    parts = [kind, "r1", f"k{block.kernel}", f"s{block.stride}", f"e{block.expansion}"]
    parts += [f"c{block.channels_out}", *(["se0.25"] if block.squeeze else [])]
    return "_".join([*parts, *([] if block.hard_swish else ["nre"])])


def _block(part: Any) -> Block:
    block: Block = part.block
    return block
