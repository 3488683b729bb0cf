"""Every registered encoder keeps the promises of `weaknas.testing` with every space it fits."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

import weaknas
from weaknas.errors import InputError
from weaknas.registry import list_encoders_for
from weaknas.testing import encoder_checks

#: Networks are built and measured for it: one space and tiny ones are enough.
SLOW = {"zero-cost": "nasbench201"}
OPTIONS = {"zero-cost": {"proxies": ("naswot",), "skeleton": {"channels": 2, "cells": 1}}}


def _cases() -> Iterator[Any]:
    for space_name in weaknas.list_spaces():
        space = weaknas.get_space(space_name)
        for name in [*list_encoders_for(space), "one-hot+ordinal"]:
            if SLOW.get(name, space_name) != space_name:
                continue
            factory = partial(weaknas.get_encoder, name, **OPTIONS.get(name, {}))
            try:
                factory(space).fit(space.sample(20, np.random.default_rng(0)))
            except InputError as error:  # refused with a reason, such as 10^11 columns
                reason = pytest.mark.skip(reason=str(error))
                yield pytest.param(None, id=f"{space_name}-{name}", marks=reason)
                continue
            for check in encoder_checks(factory, space):
                yield pytest.param(check, id=f"{space_name}-{name}-{check}")


@pytest.mark.parametrize("check", list(_cases()))
def test_encoder(check: Any) -> None:
    check()
