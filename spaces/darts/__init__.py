"""DARTS: a normal and a reduction cell of four nodes with two inputs each."""

from weaknas.spaces.darts.space import DARTS, OPERATIONS

__all__ = ["DARTS", "OPERATIONS"]
