"""NAS-Bench-101: cells of up to seven vertices and nine edges with three operations.

Imports the contract and what spaces share; its network alone imports torch.
"""

from weaknas.spaces.nasbench101.space import NASBench101

__all__ = ["NASBench101"]
