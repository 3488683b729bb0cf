"""The exchangeable parts of a search, predictors and encoders: seeded, named, described."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from numbers import Real
from typing import Any, Protocol, runtime_checkable

import numpy as np
from sklearn.base import clone

from weaknas.errors import MOST_AT_ONCE, MOST_JOBS, InputError, check_whole
from weaknas.files import plain

_MADE = (1, MOST_AT_ONCE)
#: Least and most of what predictors make one after another or at once, by the parameter's name.
_BOUNDS = dict.fromkeys(
    (
        "batch_size", "folds", "heads", "hidden", "hidden_layer_sizes", "layers", "members",
        "max_leaf_nodes", "n_estimators", "neighbors", "num_parallel_tree", "pairs", "rivals",
        "steps",
    ),
    _MADE,
) | {  # -1 and 0 stand for no limit in libraries
    "max_depth": (0, _MADE[1]),
    "draws": (0, _MADE[1]),
    "max_iter": (-1, _MADE[1]),
    "n_jobs": (-MOST_JOBS, MOST_JOBS),
    "unlabelled": (0, _MADE[1]),
}  # fmt: skip


@runtime_checkable
class HasParameters(Protocol):
    """An estimator of scikit-learn's contract."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return parameters by name."""


@runtime_checkable
class Described(Protocol):
    """What says of itself what makes it different from others."""

    def describe(self) -> dict[str, Any]:
        """Return that in plain JSON types."""


@runtime_checkable
class HasName(Protocol):
    """A function, a class or a method."""

    __qualname__: str


def fresh_predictor(predictor: Any, layout: Mapping[str, Any], rng: np.random.Generator) -> Any:
    """Return a copy of a predictor, seeded, and told what is known of the columns.

    Parameters
    ----------
    predictor : regressor
    layout : mapping
        Values for those parameters of these names that are None, e.g. ``groups``:
        blocks of columns that belong together.
    rng : numpy.random.Generator
        One seed is drawn for each parameter ``random_state``, nested ones included.

    Raises
    ------
    InputError
        When a number of trees, members or the like is out of bounds.
    """
    fresh = clone(predictor)
    parameters = fresh.get_params()
    check_sizes(fresh)
    seeds = {
        name: int(rng.integers(2**31 - 1))
        for name in parameters
        if name.split("__")[-1] == "random_state"
    }
    unset = {name: layout[name] for name in layout if parameters.get(name, 0) is None}
    return fresh.set_params(**unset, **seeds)


def check_sizes(predictor: Any) -> None:
    """Refuse numbers of trees, members, steps and the like that no machine could make.

    Parameters
    ----------
    predictor : regressor
        What is inside it is looked at, too; None stands for what a library chooses.

    Raises
    ------
    InputError
        When one is no whole number, or out of bounds.
    """
    parameters = predictor.get_params() if isinstance(predictor, HasParameters) else {}
    for name, value in parameters.items():
        bounds = _BOUNDS.get(name.split("__")[-1])
        if bounds is not None and value is not None:
            for size in value if isinstance(value, tuple | list) else [value]:
                if isinstance(size, str | Real):  # the steps of a pipeline are none
                    check_whole(name, size, *bounds)


def run_seed(seed: int, run: int) -> int:
    """Return the seed of run k, below 2**32, of everything that is repeated under one seed."""
    return int(np.random.SeedSequence(seed, spawn_key=(run,)).generate_state(1)[0])


def parse_label(label: str) -> tuple[str, dict[str, Any]]:
    """Split a label such as ``xgboost:max-depth=3:members=5`` into name and options.

    Values that read as Python numbers, booleans or None are those; all others are text.

    Raises
    ------
    InputError
        When an option is not of this form.
    """
    name, *pairs = label.split(":")
    options = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"an option is key=value; {pair!r} in {label!r} is not")
        options[key.replace("-", "_")] = _value(value)
    return name, options


def parse_reference(label: str) -> tuple[str, dict[str, Any]]:
    """Split a label whose name may be ``module:attribute``, of a user's own code.

    Examples
    --------
    >>> parse_reference("mytrain:train:epochs=3"), parse_reference("train:epochs=3")
    (('mytrain:train', {'epochs': 3}), ('train', {'epochs': 3}))
    """
    module, colon, rest = label.partition(":")
    if not colon or "=" in rest.partition(":")[0]:
        return parse_label(label)
    attribute, options = parse_label(rest)
    return f"{module}:{attribute}", options


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return value if value is None or isinstance(value, bool | int | float) else text


def describe(component: Any) -> dict[str, Any]:
    """Return class and parameters of an estimator as plain JSON types.

    Parameters
    ----------
    component : object
        Anything; parameters are those of scikit-learn's ``get_params``, the space
        of an encoder left out.
    """
    parameters = component.get_params(deep=False) if isinstance(component, HasParameters) else {}
    parameters = {name: value for name, value in parameters.items() if name != "space"}
    return {
        "name": type(component).__name__,
        "parameters": plain(parameters, _text_of),
    }


def _text_of(value: Any) -> Any:
    if isinstance(value, HasParameters) and not isinstance(value, type):
        return describe(value)
    # The text of a function has its address, which is another one in every process.
    return value.__qualname__ if isinstance(value, HasName) else repr(value)
