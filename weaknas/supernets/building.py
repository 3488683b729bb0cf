"""The supernet of a space for a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weaknas.errors import InputError
from weaknas.spaces import SearchSpace
from weaknas.training.data import Dataset, check_inputs

if TYPE_CHECKING:
    from torch.nn import Module

#: Spaces of this package that have one, of single paths and of weighted sums.
WITH_SUPERNETS = ("mobilenetv3", "nasbench201", "recurrent")
WITH_MIXED_SUPERNETS = ("darts", "nasbench201", "recurrent")


def build_supernet(
    space: SearchSpace, dataset: Dataset, *, mixed: bool = False, **skeleton: Any
) -> Module:
    """Return an untrained supernet for the images and classes of a data set.

    It has `extract`, which returns a copy of one architecture as a module of its own, and,
    unless it is mixed, `activate`, which lets it run one.

    Parameters
    ----------
    space : SearchSpace
    dataset : Dataset
    mixed : bool
        Return the one whose edges are weighted sums of operations.
    **skeleton
        Further options of the supernet of the space.

    Raises
    ------
    InputError
        When the space has none, or is for other images, or an option cannot be used.
    """
    build = getattr(space, "mixed_supernet" if mixed else "supernet", None)
    if build is None:
        kind, those = "mixed " * mixed, WITH_MIXED_SUPERNETS if mixed else WITH_SUPERNETS
        raise InputError(
            f"the space {space.name!r} has no {kind}supernet; these have: {', '.join(those)}"
        )
    check_inputs(space, dataset)
    for what, there in (("classes", dataset.classes), ("channels", dataset.shape[0])):
        counted = getattr(space, what, there)
        if counted != there:
            raise InputError(
                f"the space {space.name!r} is for {counted} {what}, the data set"
                f" {dataset.name!r} has {there}; set it: {space.name}:{what}={there}"
            )
    network: Module = build(classes=dataset.classes, shape=dataset.shape, **skeleton)
    return network
