"""Search strategies behind one contract: `ask` and `tell`. WeakNAS is in `weaknas.search`."""

from weaknas.strategies._base import History, Scores, Strategy
from weaknas.strategies.random import RandomSearch

__all__ = ["History", "RandomSearch", "Scores", "Strategy"]
