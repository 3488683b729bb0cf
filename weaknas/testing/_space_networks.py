"""Promises of a space whose architectures are built as torch modules."""

from __future__ import annotations

import unittest
from typing import Any

from weaknas.errors import MissingDependencyError, optional_import
from weaknas.testing._check import require
from weaknas.testing._space_case import SpaceCase

_CLASSES = (10, 3)
_LENGTH = 12  # of a window where tokens are read


def check_networks_map_images_to_logits(case: SpaceCase) -> None:
    """`network` returns a torch module that maps images (n, ...) to logits (n, classes).

    Of tokens (n, length) to logits (n, classes, length).
    """
    torch = _torch()
    architectures = case.space.architectures(case.few[: len(_CLASSES)])
    for architecture, classes in zip(architectures, _CLASSES, strict=True):
        network, text = _build(case, architecture, classes), architecture.text
        kind = type(network).__name__
        require(isinstance(network, torch.nn.Module), f"{text!r} gives a {kind}")
        with torch.no_grad():
            logits = network.eval()(torch.zeros(2, *_shape(case), dtype=_kind(case)))
        kind = type(logits).__name__
        require(isinstance(logits, torch.Tensor), f"the network of {text!r} returns a {kind}")
        shape = tuple(logits.shape)
        require(
            shape == (2, classes, *(_shape(case) if _reads_tokens(case) else ())),
            f"for {classes} classes {text!r} maps 2 inputs to the shape {shape}",
        )


def check_networks_are_the_same_however_they_are_named(case: SpaceCase) -> None:
    """An architecture, its text and its genotype give one network, drawn by torch's seed."""
    torch = _torch()
    for architecture in case.space.architectures(case.few[:1]):
        first = _build(case, architecture, _CLASSES[0]).state_dict()
        for value in (architecture.text, architecture.genotype, architecture):
            state = _build(case, value, _CLASSES[0]).state_dict()
            same = state.keys() == first.keys() and all(
                torch.equal(state[name], first[name]) for name in first
            )
            require(same, f"{value!r} gives another network than {architecture!r} or the same seed")


def _build(case: SpaceCase, architecture: Any, classes: int) -> Any:
    torch = _torch()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(case.seed)
        return case.space.network(
            architecture, classes=classes, shape=_shape(case), **case.space.small_network
        )


def _reads_tokens(case: SpaceCase) -> bool:
    return case.space.reads == "tokens"


def _shape(case: SpaceCase) -> tuple[int, ...]:
    return (_LENGTH,) if _reads_tokens(case) else case.shape


def _kind(case: SpaceCase) -> Any:
    torch = _torch()
    return torch.int64 if _reads_tokens(case) else torch.float32


def _torch() -> Any:
    try:
        return optional_import("torch", "train")
    except MissingDependencyError as error:
        raise unittest.SkipTest(str(error)) from error
