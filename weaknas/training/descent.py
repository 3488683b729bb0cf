"""Steps of an optimizer as a protocol says: rates, precision, clipping."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from weaknas.training.devices import autocast, choose_precision
from weaknas.training.optimization import make_optimizer
from weaknas.training.protocol import Protocol


class Descent:
    """An optimizer, in the precision of a protocol.

    Parameters
    ----------
    network : Module
        On the device.
    protocol : Protocol
    device : torch.device
    """

    def __init__(self, network: nn.Module, protocol: Protocol, device: torch.device) -> None:
        self.network, self.protocol, self.device = network, protocol, device
        self.dtype = choose_precision(protocol.precision, device)
        # Gradients of 16 bits without the exponents of bfloat16 would vanish unscaled.
        self._scaler = torch.amp.GradScaler(device.type, enabled=self.dtype is torch.float16)
        self.restart()

    def restart(self) -> None:
        """Forget the momenta."""
        self._optimizer = make_optimizer(self.network, self.protocol)

    def begin(self, rate: float) -> None:
        """Begin a step at a learning rate, without gradients."""
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.zero_grad(set_to_none=True)

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context in which a loss is computed."""
        return autocast(self.device, self.dtype)

    def add(self, loss: Tensor) -> None:
        """Add the gradients of a loss to those of this step."""
        self._scaler.scale(loss).backward()

    def step(self, *others: torch.optim.Optimizer) -> None:
        """Change the weights by the gradients of this step.

        Parameters
        ----------
        *others : Optimizer
            Those of other weights, whose gradients are of the same losses.
        """
        if self.protocol.gradient_clipping:
            self._scaler.unscale_(self._optimizer)
            nn.utils.clip_grad_norm_(self.network.parameters(), self.protocol.gradient_clipping)
        for optimizer in (self._optimizer, *others):
            self._scaler.step(optimizer)
        self._scaler.update()

    def velocity(self, weight: Tensor) -> Tensor:
        """Return the momentum of a weight under SGD, of its shape; zeros before the first step."""
        velocity: Tensor | None = self._optimizer.state[weight].get("momentum_buffer")
        return torch.zeros_like(weight) if velocity is None else velocity

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {"optimizer": self._optimizer.state_dict(), "scaler": self._scaler.state_dict()}

    def restore(self, saved: dict[str, Any]) -> None:
        """Take over what `state` returned."""
        self._optimizer.load_state_dict(saved["optimizer"])
        if saved["scaler"]:  # empty where the precision needs none, e.g. on another GPU
            self._scaler.load_state_dict(saved["scaler"])
