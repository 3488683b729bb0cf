"""NAS-Bench-201: cells of four nodes with one of five operations on each of six edges.

Imports the contract and what spaces share. `space` imports network and supernet when they
are asked for; these import cell and skeleton, never the space.
"""

from weaknas.spaces.nasbench201.space import NASBench201

__all__ = ["NASBench201"]
