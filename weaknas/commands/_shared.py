"""What several commands share."""

from __future__ import annotations

import json
from typing import Any

from weaknas.components import parse_label
from weaknas.errors import InputError
from weaknas.laboratory.experiment import parse_strategy, takes
from weaknas.spaces import SearchSpace
from weaknas.strategies import Strategy

#: Options of the command line that may be given more than once: of a parameter in the plural.
_SINGULAR = {"objectives": "--objective", "sources": "--source"}


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object as one line on standard output."""
    print(json.dumps(value), flush=True)


def build_strategy(label: str, space: SearchSpace, seed: int, options: dict[str, Any]) -> Strategy:
    """Build a strategy from its label and the options that were given, those that are not None.

    Parameters
    ----------
    label : str
        A name, with ``:key=value`` for each option that no command line option stands for.
    space : SearchSpace
    seed : int
    options : dict
        By the name of the parameter.

    Raises
    ------
    InputError
        When the strategy does not take one of the options, or one is given twice.
    """
    build, own = parse_strategy(label), parse_label(label)[1]
    given = {key: value for key, value in options.items() if value is not None}
    known = {key: key == "repeats" or takes(label, key) for key in options}
    for key in given:
        flag = _flag(key)
        if key in own:
            raise InputError(f"{label!r} and {flag} exclude each other")
        if not known[key]:
            taken = [_flag(k) for k, is_known in known.items() if is_known]
            raise InputError(
                f"the strategy {label!r} does not take {flag} (it takes {', '.join(taken)})"
            )
    strategy: Strategy = build(space, seed=seed, **given)
    return strategy


def _flag(parameter: str) -> str:
    return _SINGULAR.get(parameter, f"--{parameter.replace('_', '-')}")
