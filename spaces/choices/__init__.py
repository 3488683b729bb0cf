"""A user's own space: a product of choices, some of which exist under conditions, or a file.

Imports the contract of spaces alone.
"""

from weaknas.spaces.choices.cell import Cell
from weaknas.spaces.choices.costs import PerArchitecture, SumOfChoices
from weaknas.spaces.choices.space import ChoiceSpace

__all__ = ["Cell", "ChoiceSpace", "PerArchitecture", "SumOfChoices"]
