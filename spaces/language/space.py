"""Spaces of language models: what a network costs, by formula, and the network itself."""

from __future__ import annotations

from typing import Any, TypeVar

from weaknas.spaces.cells.space import CellSpace
from weaknas.spaces.language.skeleton import LanguageSkeleton

L = TypeVar("L", bound=LanguageSkeleton)


class LanguageSpace(CellSpace[L]):
    """A space of networks that read tokens; see `SearchSpace.network`.

    The costs, ``params`` and ``macs``, are those of a window of 35 tokens of the 10,000 types
    of the Penn Treebank.
    """

    @property
    def reads(self) -> str:
        """What networks are given: tokens."""
        return "tokens"

    @property
    def small_network(self) -> dict[str, Any]:
        """Few numbers a token."""
        return {"width": 8}
