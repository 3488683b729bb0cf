"""DARTS: a normal and a reduction cell of four nodes with two inputs each.

Imports the contract and what spaces share; its network and layers alone import torch.
"""

from weaknas.spaces.darts.space import DARTS, OPERATIONS

__all__ = ["DARTS", "OPERATIONS"]
