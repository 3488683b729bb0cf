"""What is searched and what judges it, from the texts that a command line has."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weaknas.components import parse_reference
from weaknas.costs import CostModel
from weaknas.costs.files import read_model
from weaknas.errors import InputError, unknown
from weaknas.evaluators import Evaluator, TabularBenchmark, as_evaluator
from weaknas.registry import (
    EVALUATORS,
    SPACES,
    get_benchmark,
    get_evaluator,
    get_space,
    is_own,
    is_product,
    is_space_file,
    load_own,
    parse_space,
)
from weaknas.spaces import ConstrainedSpace, CostFunction, PricedSpace, SearchSpace
from weaknas.spaces.limits.constraints import parse_constraints

#: The evaluator that looks results up in the benchmark of a space.
TABLE = "tabular"


@dataclass(frozen=True)
class Problem:
    """A space to search and the evaluator of its architectures.

    Parameters
    ----------
    space : SearchSpace
        With the constraints, if there are any.
    evaluator : Evaluator
    name : str
        For reports.
    """

    space: SearchSpace
    evaluator: Evaluator
    name: str


def as_problem(source: Any) -> Problem:
    """Return a problem as it is, and a benchmark as the problem to search its space."""
    if isinstance(source, Problem):
        return source
    return Problem(source.space, source, source.name)


def build_problem(
    space: str,
    evaluator: str = TABLE,
    *,
    dataset: str | None = None,
    labels: str | None = None,
    noise: float | None = None,
    constraints: Sequence[str] = (),
    objectives: Sequence[str] = (),
    measured: Sequence[Path] = (),
    metric: str | None = None,
    measure: Callable[[CostModel], CostFunction] = lambda model: model,
) -> Problem:
    """Return the problem that texts name.

    Parameters
    ----------
    space : str
        A registered name, with ``:key=value`` for each option of it, or a TOML file.
        Costs are counted, and so constraints hold, in this space: in
        ``mobilenetv3:width=1.2:resolution=236``, at 236 pixels, whatever the
        resolution of the evaluator.
    evaluator : str
        ``"tabular"``, the benchmark of the space, or a registered evaluator with its
        options, e.g. ``"ofa-predictor:resolution=224"``.
    dataset : str, optional
    labels : str, optional
        What a training in a table shows; default: ``"one-seed"``, with noise ``"resampled"``.
    noise : float, optional
        Standard deviation of a training: labels are resampled with it.
    constraints : sequence of str
        E.g. ``"macs<=600e6"``; all of them hold. Of a table, columns can be limited, too.
    objectives : sequence of str
        Costs that the search minimizes beside the score, or columns of a table.
    measured : sequence of path
        Models of costs, as ``weaknas latency`` writes them: each is a cost by its name.
    metric : str, optional
        What an evaluator that trains measures, see `weaknas.training.metrics.get_metric`.
    measure : callable
        From such a model to the cost: itself, or one that is measured where it is in doubt.

    Raises
    ------
    InputError
        When a name or option is unknown, a constraint malformed, an evaluator that measures is
        given what a table shows, or nothing fulfils all constraints; the message then has the
        range that can be had.
    """
    name, setting = parse_space(space)
    if not (name in SPACES.names() or is_space_file(name) or is_own(name) or is_product(name)):
        raise unknown("space", name, SPACES.names())
    models = _read_models(measured, name, setting, measure)
    given = {} if dataset is None else {"dataset": dataset}
    judge, options = parse_reference(evaluator)
    for label, of_file in ((space, setting), (evaluator, options if judge == TABLE else {})):
        if is_space_file(name) and of_file:
            raise InputError(f"{name} is a file and takes no options, not {label!r}")
    if judge == TABLE:
        _refuse_metric(metric)
        if is_own(name):
            raise InputError(
                f"{name} has no table to search; name an evaluator: 'train', or 'module:function'"
            )
        table = _table(name, labels, noise, {**given, **options, **setting})
        if isinstance(table, TabularBenchmark):
            limited = (
                [limit.cost for limit in parse_constraints(constraints)] if constraints else []
            )
            table = table.with_costs([*limited, *objectives], models)
        if not constraints:
            return as_problem(table)
        part = ConstrainedSpace(table.space, constraints, models)
        known = isinstance(table, TabularBenchmark)  # and so is the best within the limits
        return Problem(part, table.within(part) if known else table, table.name)
    if judge not in EVALUATORS.names() and not is_own(judge):
        raise unknown("evaluator", judge, [TABLE, *EVALUATORS.names()])
    _refuse_of_tables(judge, labels=labels, noise=noise)
    searched = get_space(name, **setting)
    searched = PricedSpace(searched, models) if models else searched
    if constraints:
        searched = ConstrainedSpace(searched, constraints)
    options = {**given, **options, **({} if metric is None else {"metric": metric})}
    if is_own(judge):
        return Problem(searched, _own_evaluator(judge, searched, options), f"{name}/{judge}")
    built = get_evaluator(judge, searched, **options)
    return Problem(searched, built, str(getattr(built, "name", judge)))


def _table(name: str, labels: str | None, noise: float | None, options: dict[str, Any]) -> Any:
    """Return the benchmark of a space, with labels as told."""
    if noise is None:
        return get_benchmark(name, labels=labels or "one-seed", **options)
    if labels not in (None, "resampled"):
        raise InputError(f"noise makes labels 'resampled'; {labels!r} takes none")
    table = get_benchmark(name, labels="mean", **options)
    if not isinstance(table, TabularBenchmark):
        raise InputError(f"the scores of {table.name!r} take no noise, not {noise}")
    return table.with_noise(noise)


def _refuse_of_tables(evaluator: str, **given: object) -> None:
    for option, value in given.items():
        if value is not None:
            raise InputError(
                f"{option} is for tables, not {value!r} for the evaluator {evaluator!r}, which"
                " measures"
            )


def _refuse_metric(metric: str | None) -> None:
    if metric is not None:
        raise InputError(f"a table has its scores; the metric {metric!r} needs an evaluator")


def _own_evaluator(name: str, space: SearchSpace, options: dict[str, Any]) -> Evaluator:
    """Return what ``module:attribute`` names: a function with options, an evaluator, or its class.

    A function is given the architecture and, where it has parameters of these names, the
    seed and the space.
    """
    found = load_own(name)
    if not callable(found) or (isinstance(found, Evaluator) and not isinstance(found, type)):
        if options:
            raise unknown(f"option of the evaluator {name!r}:", next(iter(options)), [])
        return as_evaluator(found)
    try:
        known = inspect.signature(found).parameters
    except ValueError as error:  # some of those written in C tell none
        raise InputError(f"the evaluator {name!r} does not tell its parameters: {error}") from error
    is_open = any(one.kind is one.VAR_KEYWORD for one in known.values())
    for option in options:
        if option not in known and not is_open:
            raise unknown(f"option of the evaluator {name!r}:", option, list(known))
    if isinstance(found, type):
        return as_evaluator(found(space, **options))
    bound = {**({"space": space} if "space" in known else {}), **options}
    return as_evaluator(functools.partial(found, **bound) if bound else found)


def _read_models(
    paths: Sequence[Path],
    space: str,
    setting: dict[str, Any],
    measure: Callable[[CostModel], CostFunction],
) -> dict[str, CostFunction]:
    """Return the models of costs by the names of the costs."""
    models: dict[str, CostFunction] = {}
    for path in paths:
        model = read_model(Path(path), get_space(space, **setting))
        if model.name in models:
            raise InputError(
                f"{path}: a second model of the cost {model.name!r}; costs on several devices have"
                " names of their own"
            )
        models[model.name] = measure(model)
    return models
