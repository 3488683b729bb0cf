"""The gradient of the weights of operations (Liu et al., "DARTS", ICLR 2019, arXiv:1806.09055)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

_EPSILON = 0.01

Loss = Callable[[], Tensor]


def first_order(validation: Loss, alpha: Tensor) -> Tensor:
    """Return the gradient of the validation loss at the weights as they are.

    Parameters
    ----------
    validation : callable
        Returns a loss, computed anew.
    alpha : Tensor
    """
    return torch.autograd.grad(validation(), alpha)[0]


def second_order(
    training: Loss,
    validation: Loss,
    weights: Sequence[Tensor],
    alpha: Tensor,
    *,
    rate: float,
    velocities: Sequence[Tensor],
    momentum: float,
    decay: float,
) -> Tensor:
    """Return the gradient of the validation loss after one step of the weights.

    Equations 7 and 8: with ``w' = w - rate (momentum v + d_w L_train + decay w)`` it is
    ``d_alpha L_val(w')`` less `rate` times the product of the mixed second derivative of
    ``L_train`` and ``d_w' L_val``, which is taken as a difference of gradients at
    ``w +- eps d_w' L_val`` with ``eps = .01 / |d_w' L_val|``. The weights are left as they
    were, to the bit.

    Parameters
    ----------
    training, validation : callable
        Return a loss, computed anew.
    weights : sequence of Tensor
        Of the network; one that a loss does not use has gradient 0.
    alpha : Tensor
    rate : float
        Of the step.
    velocities : sequence of Tensor
        Momentum of each weight.
    momentum, decay : float
        Of the optimizer.
    """
    weights, velocities = list(weights), list(velocities)
    before = [weight.detach().clone() for weight in weights]

    def put(step: float | Tensor, directions: Sequence[Tensor]) -> None:
        with torch.no_grad():
            for weight, start, direction in zip(weights, before, directions, strict=True):
                weight.copy_(start + step * direction)

    slopes = _gradients(training(), weights)
    ahead = [
        -(momentum * velocity + slope + decay * start)
        for velocity, slope, start in zip(velocities, slopes, before, strict=True)
    ]
    put(rate, ahead)
    direct, *direction = _gradients(validation(), [alpha, *weights])
    norm = torch.stack(torch._foreach_norm(direction)).norm()
    epsilon = _EPSILON / norm.clamp_min(torch.finfo(norm.dtype).tiny)
    put(epsilon, direction)
    (above,) = _gradients(training(), [alpha])
    put(-epsilon, direction)
    (below,) = _gradients(training(), [alpha])
    put(0.0, direction)
    return direct - rate * (above - below) / (2 * epsilon)


def _gradients(loss: Tensor, tensors: Sequence[Tensor]) -> list[Tensor]:
    found = torch.autograd.grad(loss, tensors, allow_unused=True)
    return [
        torch.zeros_like(tensor) if gradient is None else gradient
        for tensor, gradient in zip(tensors, found, strict=True)
    ]
