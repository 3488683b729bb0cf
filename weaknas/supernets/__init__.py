"""Supernets: networks that share weights among all architectures of a space.

What is named here needs no torch. The rest is imported from its module, e.g.
`weaknas.supernets.trainer`.
"""

from weaknas.supernets.schedule import METHODS, Phase, make_phases

__all__ = ["METHODS", "Phase", "make_phases"]
