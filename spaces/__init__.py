"""Search spaces: the sets of architectures that can be chosen, one folder a space.

`_base` is the contract, `architecture` and `graphs` are what it speaks in; `cells`,
`choices`, `files` and `limits` are what several spaces share. May import no other wing: a
space knows nothing of features, scores and searches. torch is for networks alone.
"""

from weaknas.spaces._base import (
    LISTABLE_LIMIT,
    CostFunction,
    SearchSpace,
    distinct,
    distinct_with_fingerprints,
)
from weaknas.spaces.architecture import Architecture, ArchitectureLike
from weaknas.spaces.choices import Cell, ChoiceSpace, PerArchitecture, SumOfChoices
from weaknas.spaces.graphs import GraphBatch
from weaknas.spaces.limits import ConstrainedSpace, Costs, PricedSpace, SubsetSpace
from weaknas.spaces.product import ProductSpace
from weaknas.spaces.rows import Fingerprints, Genotypes

__all__ = [
    "LISTABLE_LIMIT",
    "Architecture",
    "ArchitectureLike",
    "Cell",
    "ChoiceSpace",
    "ConstrainedSpace",
    "CostFunction",
    "Costs",
    "Fingerprints",
    "Genotypes",
    "GraphBatch",
    "PerArchitecture",
    "PricedSpace",
    "ProductSpace",
    "SearchSpace",
    "SubsetSpace",
    "SumOfChoices",
    "distinct",
    "distinct_with_fingerprints",
]
