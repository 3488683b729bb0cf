"""Every registered space keeps the promises of `weaknas.testing`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import weaknas
from weaknas.spaces import Cell, ChoiceSpace, ConstrainedSpace, SubsetSpace
from weaknas.testing import space_checks


def _spaces() -> Iterator[tuple[str, Any]]:
    for name in weaknas.list_spaces():
        yield name, weaknas.get_space(name)
    yield "choices", ChoiceSpace({"a": ["x", "y", "z"], "b": [1, 2], "c": [8, 16, 32, 64]})
    yield "chain", ChoiceSpace({f"layer{i}": ["skip", "conv3", "conv5"] for i in range(20)})
    edges = Cell(5, ["conv", "none", "pool"], nothing="none")
    yield "cell", ChoiceSpace({"width": [8, 16, 32]}, cell=edges)
    yield "cell of nodes", ChoiceSpace(cell=Cell(7, ["conv1", "conv3", "pool"], on="nodes"))
    yield "wide", ChoiceSpace({"rate": range(40_000), "skip": [False, True]})
    yield "limited", ConstrainedSpace(weaknas.get_space("mobilenetv3"), "300e6<=macs<=305e6")
    whole = weaknas.get_space("nasbench201")
    yield "limited and listed", ConstrainedSpace(whole, ["macs<=60e6", "params>=0.1e6"])
    yield "subset", SubsetSpace(whole, whole.sample(700, np.random.default_rng(1)))


#: Checks of large spaces that take seconds, and that others of their kind pass quickly.
_SLOW = {
    ("nasbench101", "enumeration_is_whole"),
    ("nasbench101", "sample_is_uniform"),
    ("graph", "sample_is_uniform"),
    ("wide", "neighbors_are_symmetric"),
    ("cell", "sample_is_uniform"),
    ("cell of nodes", "sample_is_uniform"),
    ("cell of nodes", "enumeration_is_whole"),
}


def _cases() -> Iterator[Any]:
    for name, space in _spaces():
        for check in space_checks(space):
            marks = [pytest.mark.slow] * ((name, str(check)) in _SLOW)
            yield pytest.param(check, id=f"{name}-{check}", marks=marks)


@pytest.mark.parametrize("check", list(_cases()))
def test_space(check: Any) -> None:
    check()
