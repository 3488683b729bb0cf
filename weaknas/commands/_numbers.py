"""Numbers that options may be: what is out of bounds is refused in one line, before any work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, TypeAlias

from cyclopts import Parameter, Token

from weaknas.errors import (
    MOST,
    MOST_AT_ONCE,
    MOST_JOBS,
    MOST_NUMBER,
    MOST_SEED,
    InputError,
    check_number,
    check_whole,
    shown,
)


def parse_whole(name: str, text: str, least: int = 1, most: int = MOST) -> int:
    """Read a whole number between two bounds.

    Raises
    ------
    InputError
        When it is none, or out of bounds.
    """
    try:
        value = int(text)
    except ValueError as error:
        raise InputError(f"{name} must be a whole number, not {shown(text)}") from error
    return check_whole(name, value, least, most)


def parse_positive(name: str, text: str) -> float:
    """Read a number above 0.

    Raises
    ------
    InputError
        When it is none, not above 0, or out of bounds.
    """
    try:
        value = float(text)
    except ValueError as error:
        raise InputError(f"{name} must be a number above 0, not {shown(text)}") from error
    return check_number(name, value, above=0, most=MOST_NUMBER)


def _option(parse: Callable[[str, str], Any]) -> Parameter:
    def convert(_: object, tokens: Sequence[Token]) -> Any:
        return parse("it", tokens[0].value)  # the message begins with the option

    return Parameter(converter=convert)


def _whole(least: int, most: int) -> Parameter:
    return _option(partial(parse_whole, least=least, most=most))


#: Types of options; a default of None stands for what is chosen elsewhere.
Count: TypeAlias = Annotated[int, _whole(1, MOST)]
Runs: TypeAlias = Annotated[int, _whole(1, MOST_AT_ONCE)]
RunsOrZero: TypeAlias = Annotated[int, _whole(0, MOST_AT_ONCE)]
Jobs: TypeAlias = Annotated[int, _whole(1, MOST_JOBS)]
Retries: TypeAlias = Annotated[int, _whole(0, MOST_JOBS)]
Seed: TypeAlias = Annotated[int, _whole(0, MOST_SEED)]
Positive: TypeAlias = Annotated[float, _option(parse_positive)]
