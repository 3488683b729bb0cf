"""The version of weaknas."""

__version__ = "0.2.0"
