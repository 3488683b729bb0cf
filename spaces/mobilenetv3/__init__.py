"""OFA's MobileNetV3 space on ImageNet: depth, kernel, expansion, resolution."""

from weaknas.spaces.mobilenetv3.latency import LatencyTable
from weaknas.spaces.mobilenetv3.space import MobileNetV3

__all__ = ["LatencyTable", "MobileNetV3"]
