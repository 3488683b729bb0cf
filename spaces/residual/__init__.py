"""The network that policies and activations are searched with: a small residual one.

Imports the contract of spaces, `choices` and `cells` alone.
"""

from weaknas.spaces.residual.skeleton import ResidualSkeleton
from weaknas.spaces.residual.space import ResidualSpace

__all__ = ["ResidualSkeleton", "ResidualSpace"]
