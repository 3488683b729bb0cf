"""NATS-Bench, size: the numbers of channels of five stages."""

from weaknas.spaces.nats_size.space import NATSSize

__all__ = ["NATSSize"]
