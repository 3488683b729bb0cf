"""What networks are trained to make small."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from torch import Tensor
from torch.nn import functional

from weaknas import registry
from weaknas.errors import FaultyEvaluator, InputError, unknown
from weaknas.training.protocol import Protocol

#: Outputs and labels of a batch to a tensor of one number.
Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]

_LOSSES: dict[str, Callable[..., Tensor]] = {
    "cross-entropy": functional.cross_entropy,
    "mse": functional.mse_loss,
    "mae": functional.l1_loss,
    "huber": functional.smooth_l1_loss,
}
_DEFAULTS = {"classification": "cross-entropy", "regression": "mse", "language": "cross-entropy"}


def make_loss(protocol: Protocol, task: str) -> Loss:
    """Return the loss of a protocol, labels smoothed as it says.

    Parameters
    ----------
    protocol : Protocol
        `Protocol.loss` is a name, ``"auto"`` for that of the task, ``module:function``, or a
        function of outputs and labels.
    task : str
        See `weaknas.training.data.TASKS`.

    Raises
    ------
    InputError
        When the name is unknown, or labels are to be smoothed by a loss that cannot.
    """
    name = _DEFAULTS[task] if protocol.loss == "auto" else protocol.loss
    if name == "cross-entropy":
        if task == "regression":
            raise InputError("cross-entropy is for classes, and the data set is for regression")
        return _CrossEntropy(protocol.label_smoothing)
    if protocol.label_smoothing:
        raise InputError(f"label_smoothing goes with cross-entropy, not with the loss {name!r}")
    if not isinstance(name, str):
        return _Own(name)
    if registry.is_own(name):
        return _Own(registry.load_own(name))
    if name not in _LOSSES:
        raise unknown("loss", name, _LOSSES)
    return _Own(_LOSSES[name])


class _CrossEntropy:
    def __init__(self, smoothing: float) -> None:
        self.smoothing = smoothing

    def __call__(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(outputs, labels, label_smoothing=self.smoothing)


class _Own:
    """A loss, and what is said when its arrays do not fit."""

    def __init__(self, function: Any) -> None:
        if not callable(function):
            raise InputError(
                f"a loss is a function of outputs and labels, not a {type(function).__name__}"
            )
        self.function = function

    def __call__(self, outputs: Tensor, labels: Tensor) -> Tensor:
        shapes = f"outputs of shape {tuple(outputs.shape)} and labels of {tuple(labels.shape)}"
        if labels.is_floating_point() and outputs.shape != labels.shape:
            raise FaultyEvaluator(f"the loss was given {shapes}; of a regression they are the same")
        loss = self.function(outputs, labels)
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            kind = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
            raise FaultyEvaluator(f"the loss of {shapes} is {kind}, where one number is expected")
        return loss.reshape(())
