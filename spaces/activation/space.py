"""Activation functions that can be chosen, each in a training of one network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from weaknas.errors import optional_import
from weaknas.spaces.activation.functions import BINARY, SYMMETRIC, UNARY
from weaknas.spaces.architecture import ArchitectureLike
from weaknas.spaces.residual.space import ResidualSpace
from weaknas.spaces.rows import Genotypes

if TYPE_CHECKING:
    from torch.nn import Module


class ActivationSpace(ResidualSpace):
    """Activation functions b(u(x), v(x)) of a binary and two unary functions.

    The form is the core unit of Ramachandran, Zoph and Le (2017, arXiv:1710.05941), who
    found x sigmoid(beta x); with ``sigmoid(a)*b``, ``beta*x`` and ``x`` it is among these.
    The same function takes the place of every ReLU of a residual network
    (`ResidualSpace`); searched together with a network, as a further part of a
    `ProductSpace`, of that network. Betas are trained, one for each place; in the paper,
    one for each channel. Where the order of the unary functions does not matter both count
    as one. A function that makes the loss infinite is a failed trial.
    """

    def __init__(self) -> None:
        super().__init__({"a": UNARY, "b": UNARY, "binary": BINARY}, "activation")

    def canonicalize(self, genotypes: npt.NDArray[np.integer]) -> Genotypes:
        """Order the unary functions of a symmetric binary one."""
        rows = super().canonicalize(genotypes)
        symmetric = rows[:, 2] < len(SYMMETRIC)
        rows[symmetric, :2] = np.sort(rows[symmetric, :2], axis=1)
        return rows

    def change_network(self, network: Module, architecture: ArchitectureLike) -> None:
        """Put the activation in the place of each ReLU of a network.

        Raises
        ------
        InputError
            When the network has no module that is a ReLU.
        """
        optional_import("torch", "train")
        from weaknas.spaces.activation.layers import Activation, replace_relus

        values = self.decode(architecture)
        replace_relus(network, lambda: Activation(values["a"], values["b"], values["binary"]))

    def network(
        self,
        architecture: ArchitectureLike,
        **settings: Any,
    ) -> Module:
        """Return the residual network with the activation; see `ResidualSpace.network`.

        Parameters
        ----------
        architecture, **settings
            As there.

        Raises
        ------
        InputError
            When a value cannot be used or torch is not installed.
        """
        network = super().network(architecture, **settings)
        self.change_network(network, architecture)
        return network
