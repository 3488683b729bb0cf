"""OFA's MobileNetV3 space on ImageNet: depth, kernel, expansion, resolution.

Imports the contract and what spaces share. `space` imports what builds networks when they
are asked for; these import skeleton, text and coding, never the space.
"""

from weaknas.spaces.mobilenetv3.latency import LatencyTable
from weaknas.spaces.mobilenetv3.space import MobileNetV3

__all__ = ["LatencyTable", "MobileNetV3"]
