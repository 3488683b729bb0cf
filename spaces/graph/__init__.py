"""NAS-Bench-Graph: graph networks of four operations in a tree.

Imports the contract and what spaces share; has no networks.
"""

from weaknas.spaces.graph.space import LINKS, OPERATIONS, GraphNetworks

__all__ = ["LINKS", "OPERATIONS", "GraphNetworks"]
