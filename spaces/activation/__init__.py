"""Activation functions as a space: a binary function of two unary ones.

`functions` has the names, `layers` the modules. Imports the contract of spaces, `choices`
and `residual` alone; torch is for the modules.
"""

from weaknas.spaces.activation.space import ActivationSpace

__all__ = ["ActivationSpace"]
