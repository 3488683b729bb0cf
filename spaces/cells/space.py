"""Spaces of cells: what a network costs, by formula, and the network itself."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from weaknas.errors import optional_import
from weaknas.spaces._base import CostFunction, SearchSpace
from weaknas.spaces.architecture import ArchitectureLike
from weaknas.spaces.cells.costs import Counts
from weaknas.spaces.cells.skeleton import Skeleton

if TYPE_CHECKING:
    from torch.nn import Module

S = TypeVar("S", bound=Skeleton)


class CellSpace(SearchSpace, Generic[S]):
    """A space of cells that are stacked in a skeleton with published defaults.

    Attributes
    ----------
    skeleton : type of Skeleton
        The settings that `network`, `parameters` and `macs` take.
    """

    skeleton: type[S]

    @property
    def reads(self) -> str:
        """What networks are given: images."""
        return "images"

    @property
    def small_network(self) -> dict[str, Any]:
        """Few channels, and one cell where the published network has several alike."""
        return {"channels": 8, "cells": 1}

    def costs(self) -> dict[str, CostFunction]:
        """Return ``macs`` and ``params`` of the network for CIFAR-10."""
        return {"macs": self.macs, "params": self.parameters}

    def parameters(
        self,
        genotypes: npt.NDArray[np.integer],
        classes: int | None = None,
        shape: tuple[int, ...] | None = None,
        **skeleton: Any,
    ) -> npt.NDArray[np.int64]:
        """Return the trainable parameters of each network, by formula.

        An auxiliary head is not counted, as in the literature.

        Parameters
        ----------
        genotypes : ndarray of int, shape (n, d)
        classes, shape, **skeleton
            As in `network`.

        Returns
        -------
        ndarray of int64, shape (n,)
        """
        return self._parameters(genotypes, self.skeleton.read(classes, shape, skeleton))

    def macs(
        self,
        genotypes: npt.NDArray[np.integer],
        classes: int | None = None,
        shape: tuple[int, ...] | None = None,
        **skeleton: Any,
    ) -> npt.NDArray[np.int64]:
        """Return the multiply-adds of one image, or window, through each network, by formula.

        Those of convolutions and products of matrices count, the classifier included.

        Parameters
        ----------
        genotypes : ndarray of int, shape (n, d)
        classes, shape, **skeleton
            As in `network`.

        Returns
        -------
        ndarray of int64, shape (n,)
        """
        return self._macs(genotypes, self.skeleton.read(classes, shape, skeleton))

    def network(
        self,
        architecture: ArchitectureLike,
        *,
        classes: int | None = None,
        shape: tuple[int, ...] | None = None,
        **skeleton: Any,
    ) -> Module:
        """Return the torch module of one architecture; see `SearchSpace.network`.

        Parameters
        ----------
        architecture : Architecture, str or one genotype
        classes : int, optional
            Size of the classifier.
        shape : tuple of int, optional
            Channels, height and width of an image, or tokens of a window, (length,).
        **skeleton
            The settings that the class attribute `skeleton` describes, with all defaults.

        Raises
        ------
        InputError
            When a value cannot be used or torch is not installed.
        """
        settings = self.skeleton.read(classes, shape, skeleton)
        genotype = self.genotypes([architecture])[0]
        optional_import("torch", "train")
        return self._network(genotype, settings)

    @abstractmethod
    def _parameters(self, genotypes: npt.NDArray[np.integer], skeleton: S) -> Counts:
        """Return the trainable parameters of each network, shape (n,)."""

    @abstractmethod
    def _macs(self, genotypes: npt.NDArray[np.integer], skeleton: S) -> Counts:
        """Return the multiply-adds of one image through each network, shape (n,)."""

    @abstractmethod
    def _network(self, genotype: npt.NDArray[np.integer], skeleton: S) -> Module:
        """Build the network of one genotype, shape (d,); torch is there."""
