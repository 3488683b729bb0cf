"""Zero-cost proxies: scores of untrained networks, also as features (``zero-cost``)."""

from weaknas.encoders.zero_cost import PROXIES, ZeroCostEncoder, zero_cost

__all__ = ["PROXIES", "ZeroCostEncoder", "zero_cost"]
