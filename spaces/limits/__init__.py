"""Parts of a space: below limits on costs, with some choices fixed, or a list of architectures."""

from weaknas.spaces.limits.constrained import ConstrainedSpace
from weaknas.spaces.limits.subset import SubsetSpace

__all__ = ["ConstrainedSpace", "SubsetSpace"]
