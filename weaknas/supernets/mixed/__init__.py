"""Mixed supernets: every edge is a weighted sum of operations, and the weights are learnt.

`schedule` says what is trained when and needs no torch; `bilevel` has the gradients,
`trainer` the epochs, `derive` what becomes of weights. May import spaces and training, and
of the other supernets how epochs are divided; who searches is not known here.
"""

from weaknas.supernets.mixed.schedule import MIXED_METHODS, Method, Stage

__all__ = ["MIXED_METHODS", "Method", "Stage"]
