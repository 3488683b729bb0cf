"""Every registered predictor keeps the promises of `weaknas.testing`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import weaknas
from weaknas.errors import MissingDependencyError
from weaknas.testing import predictor_checks


def _cases() -> Iterator[Any]:
    for name in weaknas.list_predictors():
        try:
            predictor = weaknas.get_predictor(name)
        except MissingDependencyError as error:
            yield pytest.param(None, id=name, marks=pytest.mark.skip(reason=str(error)))
            continue
        for check in predictor_checks(predictor):
            yield pytest.param(check, id=f"{name}-{check}")


@pytest.mark.parametrize("check", list(_cases()))
def test_predictor(check: Any) -> None:
    check()
