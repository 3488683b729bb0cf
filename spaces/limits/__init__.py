"""Parts of a space: below limits on costs, with other costs, or a list of architectures.

Imports the contract of spaces; no single space: whatever has costs can be limited.
"""

from weaknas.spaces.limits.constrained import ConstrainedSpace
from weaknas.spaces.limits.objectives import Costs
from weaknas.spaces.limits.priced import PricedSpace
from weaknas.spaces.limits.subset import SubsetSpace

__all__ = ["ConstrainedSpace", "Costs", "PricedSpace", "SubsetSpace"]
