"""NATS-Bench, size: the numbers of channels of five stages.

Imports the contract, what spaces share, and the reader of NATS-Bench files of nasbench201.
"""

from weaknas.spaces.nats_size.space import NATSSize

__all__ = ["NATSSize"]
