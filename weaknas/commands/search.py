"""``weaknas search``."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from weaknas.commands._execution import Execution
from weaknas.commands._numbers import Count, Positive, Runs, Seed
from weaknas.commands._shared import build_strategy, print_json
from weaknas.commands._verify import check_verifiable, measured_in, verify
from weaknas.commands.train import print_facts
from weaknas.errors import InputError, unknown
from weaknas.evaluators import TrainsWinner
from weaknas.execution import Interruption
from weaknas.laboratory.experiment import takes
from weaknas.laboratory.predictor_config import PredictorConfig
from weaknas.registry import METRICS, get_sources
from weaknas.runs.front import Front
from weaknas.runs.predicted import known_costs, predict_costs
from weaknas.runs.problem import TABLE, Problem, build_problem
from weaknas.runs.progress import duration
from weaknas.runs.runner import Result, run
from weaknas.runs.within import BestWithin, best_within
from weaknas.spaces import Architecture, ConstrainedSpace, SearchSpace
from weaknas.spaces.limits.constraints import parse_constraint, split_limits
from weaknas.strategies import Contender

_COUNTED = 1e4  # costs from here on are written as whole numbers
_MANY_DIGITS = 1e7  # scores from here on are not


@Parameter(name="*")
@dataclass(frozen=True)
class Options:
    """Options of ``weaknas search``; see the command for their meaning."""

    dataset: str | None = None
    "Data set of the benchmark, default its first; of an evaluator, also `module:function`."
    strategy: str = "weaknas"
    "Who proposes, see `weaknas list strategies`; `name:key=value` sets options, `confirm=5`."
    preset: str | None = None
    "`default`, the best we know, or `paper`, the published algorithm."
    predictor: str | None = None
    "See `weaknas list predictors`; `name:key=value` sets options."
    predictor_config: Path | None = None
    "A predictor with its options, as `weaknas tune` writes it."
    encoder: str | None = None
    "See `weaknas list encoders`; several are joined by `+`."
    acquisition: str | None = None
    "`ei`, `greedy`, `halved-top`, `thompson`, `top-n`, `top-n-decay` or `ucb`."
    budget: Count = 150
    "Number of trainings, repeats included."
    batch_size: Runs | None = None
    "Architectures of a round."
    initial: Runs | None = None
    "Random architectures before the first fit."
    seed: Seed = 0
    "Of everything that is random."
    metric: str | None = None
    "What an evaluator that trains measures: see `weaknas list metrics`, or `module:function`."
    evaluator: str = TABLE
    "`tabular`, one of `weaknas list evaluators`, or `module:function`; `:key=value` sets options."
    constraint: Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=False)] = ()
    "A limit on a cost, `macs<=600e6`, `latency<=25ms @95%`, `latency<=15,20,25`; or several."
    measured: Annotated[tuple[Path, ...], Parameter(negative="", consume_multiple=False)] = ()
    "A model of a cost, as `weaknas latency --measure` writes it; repeat it for several devices."
    objective: Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=False)] = ()
    "A cost to make small beside a large score, `macs`: the front is searched; up to two."
    labels: str | None = None
    "What a training in a table shows: `one-seed`, the default, `resampled`, or `mean`, no noise."
    noise: Positive | None = None
    "Resampled labels with normal noise of this standard deviation, for tables that tell none."
    repeats: str | None = None
    "`never`, `auto`: what may be the best is trained again, or K: everything K times at once."
    source: Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=False)] = ()
    "What was measured before: a run's folder, `nasbench201:dataset=cifar10`, `results.csv`."
    same_problem: Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=False)] = ()
    "The same of this very problem: its scores are labels, told before the search begins."
    prior: str | None = None
    "What people believe: weights by decision and value, .toml or .json, or `module:function`."
    execution: Execution = field(default_factory=Execution)
    train_winner: bool = True
    "With an evaluator that trains: train the winner in full at the end, and test it."
    verify: Annotated[bool, Parameter(negative="")] = False
    "Measure here, before it is trained, what a limit may not hold of, and the first contenders."
    output: Path | None = None
    "Run folder; a run in it is continued, also a finished one where the budget is larger."
    retry_failed: Annotated[bool, Parameter(negative="")] = False
    "Evaluate the failed trials of the run folder once more, e.g. after mending the code."
    json: Annotated[bool, Parameter(negative="")] = False
    "Print one JSON object as the last line of standard output."


def search(space: str = "nasbench201", /, *, options: Options = Options()) -> None:
    """Search a space for its best architecture.

    Parameters
    ----------
    space
        Name of the search space, see `weaknas list spaces`, with `:key=value` for each
        option of it, a TOML file that describes one, or `module:name` of your own: a space,
        or what builds a network with `weaknas.choose` in it.
    """
    options, limits = _limits(options)
    place = None if options.output is None else options.output.absolute()
    measuring = {}
    if options.verify:
        if place is None:
            raise InputError("--verify needs --output DIR, where what it measures is kept")
        measuring["measure"] = partial(measured_in, place)
    if options.retry_failed and place is None:
        raise InputError("--retry-failed needs --output DIR, the folder of the run that failed")
    problem = build_problem(
        space,
        options.evaluator,
        dataset=options.dataset,
        labels=options.labels,
        noise=options.noise,
        constraints=options.constraint,
        measured=options.measured,
        objectives=options.objective,
        metric=options.metric,
        **measuring,
    )
    if options.verify:
        check_verifiable(problem.space)
    parts = _parts(options, problem.space)
    strategy = build_strategy(options.strategy, problem.space, options.seed, parts)
    sources = _describe_sources(parts.get("sources", ()))
    with ExitStack() as stack:
        interruption = stack.enter_context(Interruption())
        result = run(
            strategy,
            problem.evaluator,
            options.budget,
            executor=stack.enter_context(options.execution.open()),
            asynchronous=options.execution.asynchronous,
            retries=options.execution.retries,
            retry_failed=options.retry_failed,
            stop=interruption,
            output=options.output,
            progress=True,
            objectives=options.objective or None,
        )
    if interruption():
        _tell_interrupted(result, options.output)
        raise KeyboardInterrupt
    if result.evaluated == 0 or len(result.trials) < options.budget:
        print(_why_over(result, problem.space, options), file=sys.stderr)
    winner = _examine(space, problem, result, options, place) | sources
    everybody = strategy.contenders(options.budget) if limits else []
    within = best_within(problem.space, everybody, limits)
    winner |= {"limits": [item.to_dict() for item in within]} if limits else {}
    if options.json:
        dataset = options.dataset or problem.name.rpartition("/")[2]
        head = {"space": space, "dataset": dataset, "strategy": options.strategy}
        print_json(
            head | {"budget": options.budget, "seed": options.seed} | result.to_dict() | winner
        )
    else:
        _print(result, problem, with_limits=not limits)
        for item in within:
            print(_within(item))
        for cost in predict_costs(problem.space, result.best.architecture):
            print(f"{cost.cost:>10}  {cost}")
        for row in winner.get("verified", ()):
            print(_verified(row))
        if "winner" in winner:
            print_facts(winner["winner"], _winner_folder(place))


def _why_over(result: Result, space: SearchSpace, options: Options) -> str:
    """Return why nothing was evaluated, or less than the budget."""
    done, known = len(result.trials), f"all architectures of {space.name!r} are known"
    if not done:
        return f"nothing is left to train: {known} already"
    if done < options.budget:
        return f"over after {done} of {options.budget} trainings: nothing is left to propose"
    return (
        f"already finished: {done} trainings are in {options.output}; a larger --budget continues"
    )


def _describe_sources(sources: Sequence[Any]) -> dict[str, Any]:
    """Return what each source is, how much it holds, and the seconds it took, which are told."""
    if not sources:
        return {}
    seconds = sum(source.seconds for source in sources)
    if seconds:
        print(f"sources: measured in {duration(seconds)}", file=sys.stderr)
    rows = [
        {
            "source": source.name,
            "architectures": len(source.scores),
            "same_problem": source.same_problem,
            "seconds": round(source.seconds, 3),
        }
        for source in sources
    ]
    return {"sources": rows}


def _limits(options: Options) -> tuple[Options, list[str]]:
    """Return options with the loosest of a list of limits, and the list, or none.

    The cost of the list is an objective then, so that the search looks below each of them.
    """
    lists = [split_limits(text) for text in options.constraint]
    several = [limits for limits in lists if len(limits) > 1]
    if not several:
        return options, []
    if len(several) > 1:
        raise InputError(
            f"one cost may have a list of limits, not {len(several)} of them:"
            f" {', '.join(text for text in options.constraint if ',' in text)}"
        )
    cost = parse_constraint(several[0][0]).cost
    objective = options.objective or (cost,)
    constraint = tuple(limits[0] for limits in lists)
    return replace(options, constraint=constraint, objective=objective), several[0]


def _within(item: BestWithin) -> str:
    """Return the best within a limit in one line."""
    if item.best is None:
        return f"{item.limit:>10}  nothing that was trained"
    return f"{item.limit:>10}  {_estimate(item.best)}, at {item.cost:.4g}"


def _examine(
    space: str, problem: Problem, result: Result, options: Options, place: Path | None
) -> dict[str, Any]:
    """Return what is found of the returned architecture: trained in full, predicted, measured."""
    found: dict[str, Any] = {}
    best = result.best.architecture
    if options.train_winner and isinstance(problem.evaluator, TrainsWinner):
        train = problem.evaluator.train_winner
        found["winner"] = train(best, options.seed, _winner_folder(place), label=space)
    if predicted := predict_costs(problem.space, best):
        found["predicted"] = [cost.to_dict() for cost in predicted]
    if options.verify and place is not None:
        found["verified"] = verify(problem.space, result.contenders, place)
    return found


def _winner_folder(place: Path | None) -> Path | None:
    return None if place is None else place / "winner"


def _parts(options: Options, space: SearchSpace) -> dict[str, Any]:
    names = ("preset", "predictor", "encoder", "acquisition", "batch_size", "initial", "repeats")
    components = {name: vars(options)[name] for name in names}
    if options.repeats not in (None, "auto", "never"):
        if not options.repeats.isdecimal():
            raise unknown("--repeats", options.repeats, ("auto", "never", "a whole number"))
        components["repeats"] = int(options.repeats)
    if options.predictor_config is not None:
        if options.predictor is not None:
            raise InputError("--predictor and --predictor-config exclude each other")
        config = PredictorConfig.read(options.predictor_config)
        components["predictor"] = config.build()
        components["encoder"] = options.encoder or config.encoder
    known = [one for text in options.source for one in get_sources(text, space)]
    for text in options.same_problem:
        known += get_sources(text, space, same_problem=True)
    if known:
        components["sources"] = known
    components["prior"] = options.prior
    # Another strategy searches for the best score; the front is that of what it met.
    if options.objective and takes(options.strategy, "objectives"):
        components["objectives"] = options.objective
    return components


def _tell_interrupted(result: Result, output: Path | None) -> None:
    if result.contenders:
        print(f"best so far: {result.best.architecture.text}, {_standing(result.best)}",
              file=sys.stderr)  # fmt: skip
    kept = "nothing is kept without --output"
    if output is not None:
        kept = f"{len(result.trials)} trainings are kept in {output}; the same command continues"
    print(kept, file=sys.stderr)


def _front_table(front: Front) -> Any:
    from rich.table import Table

    table = Table(title=f"front of score and {' and '.join(front.objectives)}", box=None)
    titles = [f"{name} ({front.units[name]}, 90 %)" if name in front.units else name
              for name in front.objectives]  # fmt: skip
    for column in ("training", *titles, "score", "architecture"):
        table.add_column(column, justify="left" if column == "architecture" else "right")
    rows = zip(front.trials, front.scores, front.costs, strict=True)
    for i, (trial, score, costs) in enumerate(rows):
        prices = [f"{cost:.6g}" for cost in costs]
        for place, name in enumerate(front.objectives):
            if name in front.intervals:
                low, high = front.intervals[name][i]
                prices[place] = f"{costs[place]:.4g} ({low:.4g} to {high:.4g})"
        text = trial.architecture.text
        table.add_row(str(trial.number + 1), *prices, f"{score:.4g}", text)
    return table


def _score(item: Contender) -> str:
    """Return an expected score, with its standard error where there is one, rounded by it."""
    if not item.std_error:
        return f"{item.score:.4g}"
    if max(abs(item.score), item.std_error) >= _MANY_DIGITS:
        return f"{item.score:.4g} +- {item.std_error:.2g}"
    digits = max(1 - math.floor(math.log10(item.std_error)), 0)
    return f"{item.score:.{digits}f} +- {item.std_error:.{digits}f}"


def _estimate(item: Contender) -> str:
    """Return the expected score of a contender, and of how many trainings it is."""
    trainings = "1 training" if item.trainings == 1 else f"{item.trainings} trainings"
    return f"{item.architecture.text}: {_score(item)} ({trainings})"


def _standing(item: Contender) -> str:
    """Return what is known of a contender in a few words."""
    if item.probability_best is None:
        return _estimate(item)
    return f"{_estimate(item)}, best with probability {item.probability_best:.2f}"


def _measured(best: Contender) -> list[tuple[str, float]]:
    """Return what was measured where the score is made of it, e.g. the perplexity."""
    metrics = best.metrics
    known = METRICS.names()
    return [(k, v) for k, v in metrics.items() if k in known or f"{k}@1" in metrics]


def _priced(space: SearchSpace, architecture: Architecture, with_limits: bool) -> dict[str, str]:
    """Return the costs of what is returned, and the limits that it keeps, in a line."""
    told = [
        f"{name} {cost:,.0f}" if cost >= _COUNTED else f"{name} {cost:.5g}"
        for name, cost in known_costs(space, architecture).items()
    ]
    limits = space.constraints if with_limits and isinstance(space, ConstrainedSpace) else ()
    told += [f"within {limit}" for limit in limits]
    return {"costs": ", ".join(told)} if told else {}


def _runner_up(others: Sequence[Contender]) -> Contender:
    """Return who is most likely to be the best after all; where nobody is, the next."""
    return max(others, key=lambda item: round(item.probability_best or 0.0, 2))


def _verified(row: dict[str, Any]) -> str:
    """Return what was measured of a contender, beside what was predicted."""
    return (
        f"{row['cost']:>10}  measured {row['measured']:.4g} {row['unit']}"
        f" (predicted {row['predicted']:.4g}), {'within' if row['within'] else 'beyond'} the"
        f" limits: {row['architecture']}"
    )


def _print(result: Result, problem: Problem, *, with_limits: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    best, others = result.best, result.contenders[1:]
    observed = result.trials.best_observed  # none where a source told all that is known
    console = Console(width=120)
    queries = sum(trial.repeat == 0 for trial in result.trials)
    after = f"{len(result.trials)} trainings of {queries} architectures"
    title = f"{problem.name}: contenders after {after}"
    leaders = Table(title=title, box=None)
    for column in ("expected score", "trainings", "is the best", "architecture"):
        leaders.add_column(column, justify="left" if column == "architecture" else "right")
    for item in result.contenders[:5]:
        chance = "" if item.probability_best is None else f"{item.probability_best:.0%}"
        leaders.add_row(_score(item), str(item.trainings), chance, item.architecture.text)
    console.print(leaders)
    if result.front is not None:
        console.print(_front_table(result.front))
    facts = {
        "returned": _standing(best),
        **_priced(problem.space, best.architecture, with_limits),
        **({"runner-up": _standing(_runner_up(others))} if others else {}),
        **{name: f"{value:.4g}" for name, value in _measured(best)},
        **(
            {"luckiest": f"{observed.score:.4g}, one training of {observed.architecture.text}"}
            if observed
            else {}
        ),
        "regret": "unknown"
        if result.regret is None
        else f"{result.regret:.4g} (mean score of the optimum minus that of the returned one)",
        "time": f"{result.seconds_strategy:.2f} s of strategy, {result.seconds_total:.2f} s in all",
        "run folder": str(result.output or "none (keep runs with --output DIR)"),
    }
    for name, value in facts.items():
        console.print(f"{name:>10}  {value}", highlight=False, markup=False, soft_wrap=True)
