"""NAS-Bench-Graph: graph networks of four operations in a tree."""

from weaknas.spaces.graph.space import LINKS, OPERATIONS, GraphNetworks

__all__ = ["LINKS", "OPERATIONS", "GraphNetworks"]
