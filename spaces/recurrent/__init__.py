"""Recurrent cells of ENAS and DARTS: nodes with a predecessor and an activation each.

Imports the contract and what language models share. `space` imports network and supernet
when they are asked for; these import cell and skeleton, never the space.
"""

from weaknas.spaces.recurrent.space import Recurrent

__all__ = ["Recurrent"]
