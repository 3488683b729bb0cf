"""Spaces found in code: choices marked where a module is built.

`marks` is what a user writes, `exploration` finds what depends on what, `space` is the
result. Imports the contract of spaces and `choices`; torch is used only where the marked
code has loaded it, or a module is counted.
"""

from weaknas.spaces.traced.marks import choose, number, repeat
from weaknas.spaces.traced.space import TracedSpace, trace

__all__ = ["TracedSpace", "choose", "number", "repeat", "trace"]
