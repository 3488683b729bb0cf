"""Samplers of a single-path supernet: which architecture is trained next, and who decides it.

`_base` is the contract, the other files are samplers; `making` builds one by its name. What is
named here needs no torch.
"""

from weaknas.supernets.samplers._base import Lessons, Rewards, Sampler
from weaknas.supernets.samplers.manas import MANAS, LeastSquaresMANAS
from weaknas.supernets.samplers.searching import Searching
from weaknas.supernets.samplers.uniform import Uniform

__all__ = [
    "MANAS",
    "LeastSquaresMANAS",
    "Lessons",
    "Rewards",
    "Sampler",
    "Searching",
    "Uniform",
]
