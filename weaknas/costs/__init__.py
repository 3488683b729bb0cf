"""Costs: latency, energy or memory of a device, learnt from few measurements.

May import spaces and encoders; does not measure anything (that is `weaknas.training`)
and knows no search: a model is a cost function as those of a space are.
"""

from weaknas.costs.files import read_model, write_model
from weaknas.costs.measured import MeasuredCost
from weaknas.costs.model import CostModel
from weaknas.costs.sources import Sources

__all__ = ["CostModel", "MeasuredCost", "Sources", "read_model", "write_model"]
