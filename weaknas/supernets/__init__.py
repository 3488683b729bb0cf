"""Supernets: networks that share weights among all architectures of a space.

What is named here needs no torch; the rest is imported from its file, e.g.
`weaknas.supernets.trainer`. May import spaces, strategies and training; the networks
themselves are beside their spaces, and who asks for scores is not known here.
"""

from weaknas.supernets.schedule import METHODS, SAMPLED, Phase, make_phases

__all__ = ["METHODS", "SAMPLED", "Phase", "make_phases"]
