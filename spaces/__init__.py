"""Search spaces: the sets of architectures that can be chosen, one folder a space."""

from weaknas.spaces._base import LISTABLE_LIMIT, Fingerprints, Genotypes, SearchSpace
from weaknas.spaces.architecture import Architecture
from weaknas.spaces.choices import ChoiceSpace
from weaknas.spaces.graphs import GraphBatch
from weaknas.spaces.limits import ConstrainedSpace, SubsetSpace

__all__ = [
    "LISTABLE_LIMIT",
    "Architecture",
    "ChoiceSpace",
    "ConstrainedSpace",
    "Fingerprints",
    "Genotypes",
    "GraphBatch",
    "SearchSpace",
    "SubsetSpace",
]
