"""Weights of a parent for a network that differs from it in a few places.

Network morphisms as Net2Net has them (Chen, Goodfellow and Shlens, ICLR 2016,
arXiv:1511.05641) and as evolution uses them (Wistuba, ECML PKDD 2018): what is there in both
is copied, what is larger in the child holds the parent's and is silent beside it, and what
is new says nothing yet. Where a child has all that its parent has, it computes what its
parent computes.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def inherit(
    child: nn.Module, parent: Mapping[str, Tensor], modules: Mapping[str, str | None] | None = None
) -> None:
    """Give a network the weights of its parent.

    - A tensor of the same shape is copied.
    - A larger kernel has the parent's in its middle and zeros around it; further inputs of
      a layer have zeros; its further outputs, which nobody listens to, are as they were drawn.
    - Of a smaller tensor the leading part, or the middle of the kernel, is copied.
    - The last batch norm of a module that the parent lacks is zero: as a branch beside
      others, or behind a shortcut, the module changes nothing until it is trained.

    Parameters
    ----------
    child : Module
        Changed in place.
    parent : mapping of str to Tensor
        The state dict of the parent.
    modules : mapping of str to str or None, optional
        For modules of the child whose names in the parent are others: these names, or None
        for what is new. See `weaknas.spaces.SearchSpace.inherited_modules`.
    """
    renamed = modules or {}
    known = set()
    with torch.no_grad():
        for name, tensor in child.state_dict().items():
            given = parent.get(_name_in_parent(name, renamed) or "")
            if given is not None and given.ndim == tensor.ndim:
                _fill(tensor, given.to(tensor.device))
                known.add(name)
        for module in _new_modules(child, known):
            norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
            if norms and norms[-1].affine:
                nn.init.zeros_(norms[-1].weight)
                nn.init.zeros_(norms[-1].bias)


def _name_in_parent(name: str, renamed: Mapping[str, str | None]) -> str | None:
    for own, other in renamed.items():
        if name.startswith(f"{own}."):
            return None if other is None else other + name[len(own) :]
    return name


def _fill(tensor: Tensor, given: Tensor) -> None:
    """Write what fits: leading channels, the middle of kernels; zeros elsewhere in a row."""
    target, source = [], []
    for axis, (size, had) in enumerate(zip(tensor.shape, given.shape, strict=True)):
        shared = min(size, had)
        centred = axis > 1
        start, begin = ((size - shared) // 2, (had - shared) // 2) if centred else (0, 0)
        target.append(slice(start, start + shared))
        source.append(slice(begin, begin + shared))
    if tensor.ndim > 1:
        tensor[target[0]] = 0  # of outputs that the parent has; others keep what was drawn
    tensor[tuple(target)] = given[tuple(source)]


def _new_modules(network: nn.Module, known: set[str], prefix: str = "") -> list[nn.Module]:
    """Return the largest modules that have weights and none of which is known."""
    found = []
    for name, module in network.named_children():
        path = f"{prefix}{name}."
        own = module.state_dict()
        if not own:
            continue
        if any(f"{path}{key}" in known for key in own):
            found += _new_modules(module, known, path)
        else:
            found.append(module)
    return found
