"""Spaces of language models: what a network costs, by formula, and the network itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from weaknas.spaces.architecture import ArchitectureLike
from weaknas.spaces.cells.space import CellSpace
from weaknas.spaces.language.skeleton import LanguageSkeleton

if TYPE_CHECKING:
    from torch.nn import Module

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

    def parameters(
        self,
        genotypes: npt.NDArray[np.integer],
        classes: int = 10_000,
        shape: tuple[int, ...] = (35,),
        **skeleton: Any,
    ) -> npt.NDArray[np.int64]:
        """Return the trainable parameters of each network, by formula.

        Parameters
        ----------
        genotypes : ndarray of int, shape (n, d)
        classes, shape, **skeleton
            As in `network`.

        Returns
        -------
        ndarray of int64, shape (n,)
        """
        return super().parameters(genotypes, classes, shape, **skeleton)

    def macs(
        self,
        genotypes: npt.NDArray[np.integer],
        classes: int = 10_000,
        shape: tuple[int, ...] = (35,),
        **skeleton: Any,
    ) -> npt.NDArray[np.int64]:
        """Return the multiply-adds of one window through each network, by formula.

        Those of products of matrices count.

        Parameters
        ----------
        genotypes : ndarray of int, shape (n, d)
        classes, shape, **skeleton
            As in `network`.

        Returns
        -------
        ndarray of int64, shape (n,)
        """
        return super().macs(genotypes, classes, shape, **skeleton)

    def network(
        self,
        architecture: ArchitectureLike,
        *,
        classes: int = 10_000,
        shape: tuple[int, ...] = (35,),
        **skeleton: Any,
    ) -> Module:
        """Return the torch module of one architecture; see `SearchSpace.network`.

        Parameters
        ----------
        architecture : Architecture, str or one genotype
        classes : int
            Types of the vocabulary.
        shape : tuple of int
            Tokens of a window, (length,).
        **skeleton
            The settings that the class attribute `skeleton` describes.

        Raises
        ------
        InputError
            When a value cannot be used or torch is not installed.
        """
        return super().network(architecture, classes=classes, shape=shape, **skeleton)
