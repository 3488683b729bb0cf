"""Encoders: genotypes to features, one file an encoder.

`_base` is the contract. May import spaces; an encoder sees neither scores nor predictors.
"""

from weaknas.encoders._base import (
    Batch,
    Encoder,
    Features,
    GraphEncoder,
    Transformer,
    encode,
    find_layout,
)
from weaknas.encoders.adjacency import AdjacencyEncoder
from weaknas.encoders.concatenation import ConcatenatedEncoder
from weaknas.encoders.costs import CostsEncoder
from weaknas.encoders.graph_batch import GraphsEncoder
from weaknas.encoders.graph_features import GraphFeaturesEncoder
from weaknas.encoders.one_hot import OneHotEncoder
from weaknas.encoders.operation_counts import OperationCountsEncoder
from weaknas.encoders.operation_pairs import OperationPairsEncoder
from weaknas.encoders.ordinal import OrdinalEncoder
from weaknas.encoders.path import PathCountsEncoder, PathEncoder, TruncatedPathEncoder
from weaknas.encoders.path_statistics import PathStatisticsEncoder
from weaknas.encoders.shared_features import SharedFeaturesEncoder
from weaknas.encoders.value_counts import ValueCountsEncoder
from weaknas.encoders.variables import VariablesEncoder
from weaknas.encoders.zero_cost import ZeroCostEncoder

__all__ = [
    "AdjacencyEncoder",
    "Batch",
    "ConcatenatedEncoder",
    "CostsEncoder",
    "Encoder",
    "Features",
    "GraphEncoder",
    "GraphFeaturesEncoder",
    "GraphsEncoder",
    "OneHotEncoder",
    "OperationCountsEncoder",
    "OperationPairsEncoder",
    "OrdinalEncoder",
    "PathCountsEncoder",
    "PathEncoder",
    "PathStatisticsEncoder",
    "SharedFeaturesEncoder",
    "Transformer",
    "TruncatedPathEncoder",
    "ValueCountsEncoder",
    "VariablesEncoder",
    "ZeroCostEncoder",
    "encode",
    "find_layout",
]
