"""Augmentation policies that can be chosen, each for a training of one network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import check_whole
from weaknas.spaces.architecture import ArchitectureLike
from weaknas.spaces.augmentation.policy import (
    MAGNITUDES,
    OPERATIONS,
    WITH_MAGNITUDE,
    Operation,
    Policy,
    randaugment,
)
from weaknas.spaces.residual.space import ResidualSpace
from weaknas.spaces.rows import Genotypes

_PROBABILITIES = tuple(tenths / 10 for tenths in range(11))
_MOST_SUBPOLICIES, _MOST_OPERATIONS = 25, 3


class AugmentationSpace(ResidualSpace):
    """Augmentation policies of AutoAugment's form (Cubuk et al., CVPR 2019, arXiv:1805.09501).

    Each image draws one of the sub-policies, whose operations each have one of 11
    probabilities and one of 10 magnitudes (section 3 there). An operation of probability 0
    does not exist, nor does the magnitude of one that has none; the order of the
    sub-policies does not matter. What is chosen is a switch of the training protocol,
    ``auto_augment``; the network is always the same (`ResidualSpace`). Searched together
    with a network it is one part of a `ProductSpace`.

    Parameters
    ----------
    subpolicies : int
    operations : int
        Of a sub-policy.

    Raises
    ------
    InputError
        When there are more than 25 sub-policies or 3 operations, or fewer than one.

    Examples
    --------
    >>> space = AugmentationSpace(subpolicies=1, operations=1)
    >>> space.training_options("probability1.1=0.8,operation1.1=rotate,magnitude1.1=4")
    {'auto_augment': 'rotate(0.8,4)'}
    """

    def __init__(self, subpolicies: int = 5, operations: int = 2) -> None:
        self.subpolicies = check_whole("subpolicies", subpolicies, most=_MOST_SUBPOLICIES)
        self.operations = check_whole("operations", operations, most=_MOST_OPERATIONS)
        choices: dict[str, Any] = {}
        conditions: dict[str, dict[str, Any]] = {}
        steps = range(1, self.operations + 1)
        for place in (
            f"{part}.{step}" for part in range(1, self.subpolicies + 1) for step in steps
        ):
            names = [f"{what}{place}" for what in ("probability", "operation", "magnitude")]
            magnitudes = range(1, MAGNITUDES + 1)
            choices |= dict(zip(names, (_PROBABILITIES, OPERATIONS, magnitudes), strict=True))
            conditions[names[1]] = {names[0]: _PROBABILITIES[1:]}
            conditions[names[2]] = {names[1]: WITH_MAGNITUDE}
        super().__init__(choices, "augmentation", conditions)

    def canonicalize(self, genotypes: npt.NDArray[np.integer]) -> Genotypes:
        """Give the index 0 to what does not exist, and the sub-policies their order."""
        rows = super().canonicalize(genotypes)
        blocks = rows.reshape(len(rows), self.subpolicies, 3 * self.operations)
        counts = self.cardinalities[: blocks.shape[2]]
        weights = np.append(np.cumprod(counts[:0:-1].astype(np.int64))[::-1], 1)
        order = np.argsort(blocks @ weights, axis=1, kind="stable")
        return np.take_along_axis(blocks, order[:, :, None], axis=1).reshape(rows.shape)

    def policy(self, architecture: ArchitectureLike) -> Policy:
        """Return the policy that was chosen.

        Raises
        ------
        InputError
            When the value is no architecture of this space.
        """
        values, parts = self.decode(architecture), []
        for part in range(1, self.subpolicies + 1):
            places = [f"{part}.{step}" for step in range(1, self.operations + 1)]
            parts.append(
                tuple(
                    Operation(
                        values[f"operation{place}"],
                        values[f"probability{place}"],
                        values.get(f"magnitude{place}", 0),
                    )
                    for place in places
                    if f"operation{place}" in values
                )
            )
        return Policy(tuple(parts))

    def training_options(self, architecture: ArchitectureLike) -> Mapping[str, Any]:
        """Return the policy as a switch of the training protocol, ``auto_augment``."""
        return {"auto_augment": str(self.policy(architecture))}


class RandAugmentSpace(ResidualSpace):
    """RandAugment's grid: number of operations, and one magnitude for all of them.

    Cubuk et al. (2020, arXiv:1909.13719): of 14 operations each image goes through N,
    drawn uniformly, all of the magnitude M on a scale from 0 to 10. What is chosen is a
    switch of the training protocol, as in `AugmentationSpace`.

    Examples
    --------
    >>> RandAugmentSpace().training_options("operations=2,magnitude=9")
    {'auto_augment': 'randaugment(2,9)'}
    """

    def __init__(self) -> None:
        choices = {"operations": (1, 2, 3), "magnitude": range(1, MAGNITUDES + 1)}
        super().__init__(choices, "randaugment")

    def policy(self, architecture: ArchitectureLike) -> Policy:
        """Return the policy that was chosen.

        Raises
        ------
        InputError
            When the value is no architecture of this space.
        """
        return randaugment(**self.decode(architecture))

    def training_options(self, architecture: ArchitectureLike) -> Mapping[str, Any]:
        """Return the policy as a switch of the training protocol, ``auto_augment``."""
        values = self.decode(architecture)
        return {"auto_augment": f"randaugment({values['operations']},{values['magnitude']})"}
