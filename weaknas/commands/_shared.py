"""What several commands share."""

from __future__ import annotations

import inspect
import json
from typing import Any

from weaknas.errors import InputError
from weaknas.registry import STRATEGIES
from weaknas.spaces import SearchSpace
from weaknas.strategies import Strategy


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object as one line on standard output."""
    print(json.dumps(value), flush=True)


def takes(name: str, option: str) -> bool:
    """Tell whether a strategy has an option."""
    return option in inspect.signature(STRATEGIES.load(name)).parameters


def build_strategy(name: str, space: SearchSpace, seed: int, options: dict[str, Any]) -> Strategy:
    """Build a strategy from the options that were given, those that are not None.

    Raises
    ------
    InputError
        When the strategy does not take one of the options.
    """
    factory = STRATEGIES.load(name)
    given = {key: value for key, value in options.items() if value is not None}
    parameters = inspect.signature(factory).parameters
    for key in given:
        if key not in parameters:
            taken = [f"--{k.replace('_', '-')}" for k in parameters if k in options]
            raise InputError(
                f"the strategy {name!r} does not take --{key.replace('_', '-')}"
                f" (it takes {', '.join(taken) or 'none of these'})"
            )
    strategy: Strategy = factory(space, seed=seed, **given)
    return strategy
