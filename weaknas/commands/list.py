"""``weaknas list``."""

from __future__ import annotations

from typing import Literal

from weaknas import registry
from weaknas.errors import InputError

_ROLES = {
    "spaces": registry.SPACES,
    "encoders": registry.ENCODERS,
    "predictors": registry.PREDICTORS,
    "strategies": registry.STRATEGIES,
    "evaluators": registry.EVALUATORS,
    "datasets": registry.DATASETS,
    "metrics": registry.METRICS,
    "benchmarks": registry.BENCHMARKS,
}


def list_names(
    role: Literal[
        "spaces",
        "encoders",
        "predictors",
        "strategies",
        "evaluators",
        "datasets",
        "metrics",
        "benchmarks",
    ]
    | None = None,
    /,
    pattern: str = "*",
    *,
    space: str | None = None,
    json: bool = False,
) -> None:
    """List what can be named.

    Parameters
    ----------
    role
        What to list; left out, the roles are.
    pattern
        Shell-style pattern of the names, e.g. `nas*`.
    space
        With `encoders`: only those that work with this space.
    json
        Print one JSON object instead.
    """
    if role is None:
        _list_roles(json)
        return
    names = _ROLES[role].names(pattern)
    if space is not None:
        if role != "encoders":
            raise InputError(f"--space goes with encoders, not with {role}")
        name, setting = registry.parse_space(space)
        fitting = registry.list_encoders_for(registry.get_space(name, **setting))
        names = [name for name in names if name in fitting]
    if json:
        from weaknas.commands._shared import print_json

        print_json({role: names})
        return
    width = max(map(len, names), default=0)
    for name in names:
        facts = _data(name) if role == "benchmarks" else None
        print(f"{name:{width}}  {facts or _ROLES[role].summary(name)}")


def _data(name: str) -> str | None:
    """Return the data sets of a benchmark that comes with weaknas, and what it needs."""
    from weaknas.evaluators.benchmarks import DATA

    if name not in DATA:
        return None
    (first, *others), needs = DATA[name]
    return f"{', '.join([f'{first} (default)', *others])}; needs {needs}"


def _list_roles(json: bool) -> None:
    names = {role: known.names() for role, known in _ROLES.items()}
    if json:
        from weaknas.commands._shared import print_json

        print_json(names)
        return
    for role, listed in names.items():
        print(f"{role:10}  {len(listed)}: {', '.join(listed)}")
    print("`weaknas list ROLE` says what each is.")
