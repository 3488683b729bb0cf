"""The supernet of a space for a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from weaknas.errors import InputError
from weaknas.spaces import SearchSpace
from weaknas.training.data import Dataset, check_inputs

if TYPE_CHECKING:
    from torch.nn import Module

#: Spaces of this package that have one.
WITH_SUPERNETS = ("mobilenetv3", "nasbench201", "recurrent")


def build_supernet(space: SearchSpace, dataset: Dataset, **skeleton: Any) -> Module:
    """Return an untrained supernet for the images and classes of a data set.

    It has `activate`, which lets it run one architecture, and `extract`, which returns
    a copy of one as a module of its own.

    Parameters
    ----------
    space : SearchSpace
    dataset : Dataset
    **skeleton
        Further options of the supernet of the space.

    Raises
    ------
    InputError
        When the space has none, or is for other images, or an option cannot be used.
    """
    build = getattr(space, "supernet", None)
    if build is None:
        raise InputError(
            f"the space {space.name!r} has no supernet; these have: {', '.join(WITH_SUPERNETS)}"
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
