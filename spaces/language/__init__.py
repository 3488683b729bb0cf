"""What spaces of language models share: their task, the embedding, and the interface.

A network maps tokens, int64 of shape (n, length), to logits of what comes next at each
place, shape (n, classes, length). Imports the contract and the settings of cell spaces.
"""

from weaknas.spaces.language.skeleton import LanguageSkeleton
from weaknas.spaces.language.space import LanguageSpace

__all__ = ["LanguageSkeleton", "LanguageSpace"]
