"""Modules without their weights: built, and counted, on torch's ``meta`` device."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from numbers import Integral
from typing import Any, TypeVar

from weaknas.errors import InputError

T = TypeVar("T")


def without_weights(build: Callable[[], T]) -> T:
    """Return what a builder builds, where it can on ``meta``: no weight is drawn.

    Where torch is not loaded, or the builder needs values of tensors, it builds as it
    does elsewhere; torch's random numbers are then put back.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return build()
    try:
        with torch.device("meta"):
            return build()
    except InputError:
        raise
    except Exception:  # whatever values are needed for; a fault of the builder comes again
        with torch.random.fork_rng(devices=[]):
            return build()


def count_parameters(module: Any) -> int:
    """Return the number of trainable weights of a module."""
    return sum(weight.numel() for weight in module.parameters() if weight.requires_grad)


def count_macs(module: Any, example: Any) -> int:
    """Return the multiply-adds of an input, counted by torch without computing them.

    Half of what ``torch.utils.flop_counter`` counts: convolutions and products of
    matrices; norms, activations and biases are not counted.

    Parameters
    ----------
    module : Module
    example : tuple of int, Tensor, or tuple of Tensor
        The shape of one input of floats, or the arguments of the module.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    if isinstance(example, tuple) and all(isinstance(size, Integral) for size in example):
        example = torch.empty(1, *example, device="meta")
    inputs = example if isinstance(example, tuple) else (example,)
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        counter = stack.enter_context(FlopCounterMode(display=False))
        module.to("meta").eval()(*(one.to("meta") for one in inputs))
    return int(counter.get_total_flops()) // 2
