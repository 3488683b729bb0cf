"""Choices about a residual network that is the same for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weaknas.errors import optional_import
from weaknas.spaces.architecture import ArchitectureLike
from weaknas.spaces.choices.space import ChoiceSpace
from weaknas.spaces.residual.skeleton import ResidualSkeleton

if TYPE_CHECKING:
    from torch.nn import Module


class ResidualSpace(ChoiceSpace):
    """Choices that are no layers; whatever is chosen, the network is a residual one."""

    @property
    def small_network(self) -> dict[str, Any]:
        """Few channels, and one block a stage."""
        return {"channels": 8, "cells": 1}

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
            Channels, height and width of an image.
        **skeleton
            The settings of `ResidualSkeleton`, with all defaults.

        Raises
        ------
        InputError
            When a value cannot be used or torch is not installed.
        """
        self.genotypes([architecture])
        settings = ResidualSkeleton.read(classes, shape, skeleton)
        optional_import("torch", "train")
        from weaknas.spaces.residual.network import Network

        return Network(settings)
