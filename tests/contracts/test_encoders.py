"""Every registered encoder keeps the promises of `weaknas.testing` with every space it fits."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

import weaknas
from weaknas.registry import list_encoders_for
from weaknas.testing import encoder_checks


def _cases() -> Iterator[Any]:
    for space_name in weaknas.list_spaces():
        space = weaknas.get_space(space_name)
        for name in [*list_encoders_for(space), "one-hot+ordinal"]:
            for check in encoder_checks(partial(weaknas.get_encoder, name), space):
                yield pytest.param(check, id=f"{space_name}-{name}-{check}")


@pytest.mark.parametrize("check", list(_cases()))
def test_encoder(check: Any) -> None:
    check()
