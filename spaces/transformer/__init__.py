"""Transformers as language models: depth, heads, widths and position encoding.

Imports the contract, choices and what language models share. `space` imports the network
when it is asked for.
"""

from weaknas.spaces.transformer.space import Transformer

__all__ = ["Transformer"]
