"""``weaknas tune``."""

from __future__ import annotations

import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from optuna.study import Study
from optuna.trial import FrozenTrial

from weaknas.commands._numbers import Count, Runs, RunsOrZero, Seed
from weaknas.commands._shared import print_json
from weaknas.errors import InputError, unknown
from weaknas.files import lock, prepare_file
from weaknas.laboratory.contestants import Contestant
from weaknas.laboratory.folder import versions
from weaknas.laboratory.tuning import (
    Tuning,
    best_config,
    compare_on_fresh_splits,
    finished,
    hyperparameters,
    tune,
)
from weaknas.laboratory.tuning_data import Data, RunData, TableData
from weaknas.registry import SPACES, get_benchmark, get_predictor, get_space, is_space_file


@Parameter(name="*")
@dataclass(frozen=True)
class Options:
    """Options of ``weaknas tune``; see the command for their meaning."""

    output: Path
    "The file of the best setting, for `weaknas search --predictor-config`."
    dataset: str | None = None
    "Data set of the benchmark; default: the benchmark's first."
    run: Path | None = None
    "Folder of a run, whose trials are then used instead of the benchmark's table."
    objective: str = "kendall-tau"
    "`kendall-tau` of held-out architectures, or `regret` of the best of the predicted top."
    trials: Count = 40
    "Settings to try, those of an earlier call with the same storage included."
    train_size: Count = 100
    "Architectures to fit to; of a table."
    splits: Runs = 5
    "Training sets, or folds of a run, by whose mean a setting is judged."
    checks: RunsOrZero = 20
    "Fresh splits on which default and tuned are compared in the end; 0: none."
    top: Count = 10
    "Size of the predicted top; of `regret`."
    encoder: str | None = None
    "See `weaknas list encoders`; default: that of a search."
    labels: str = "one-seed"
    "What predictors are fitted to: `one-seed`, one training, or `mean`, of all."
    seed: Seed = 0
    "Of everything that is random."
    storage: str | None = None
    "URL of an Optuna storage; a study in it is continued. Default: in memory."
    name: str | None = None
    "Of the study; default: that of the predictor."
    json: Annotated[bool, Parameter(negative="")] = False
    "Print one JSON object as the last line of standard output."


def tune_predictor(predictor: str, space: str, /, *, options: Options) -> None:
    """Find hyperparameters of a predictor by Optuna.

    Parameters
    ----------
    predictor
        See `weaknas list predictors`.
    space
        Name of the search space, see `weaknas list spaces`.
    """
    hyperparameters(predictor)  # before anything that takes time
    if space not in SPACES.names() and not is_space_file(space):
        raise unknown("space", space, SPACES.names())
    if options.checks == 1:
        raise InputError("--checks must be 0 or at least 2, not 1")
    begin = time.perf_counter()
    tuning = Tuning(
        predictor,
        _data(predictor, space, options),
        options.objective,  # type: ignore[arg-type]  # checked there
        options.encoder,
        options.splits,
        options.top,
        seed=options.seed,
    )
    output = prepare_file(options.output)
    with lock(output):
        study = tune(tuning, options.trials, options.storage, options.name, _Progress())
        found = best_config(tuning, study, {})
        summary: dict[str, Any] = {
            "predictor": predictor,
            "space": space,
            "objective": options.objective,
            "trials": len(finished(study)),
            "options": dict(found.options),
            "best": study.best_value,
        }
        if options.checks:
            tuned = tuning.options(study.best_params)
            summary["fresh"] = compare_on_fresh_splits(tuning, tuned, options.checks).to_dict()
        seconds = round(time.perf_counter() - begin, 1)
        summary |= {"output": str(options.output), "seconds": seconds}
        made = {"command": shlex.join(["weaknas", *sys.argv[1:]]), "versions": versions()}
        made |= {"design": tuning.describe(), "summary": summary}
        best_config(tuning, study, made).write(output)
    if options.json:
        print_json(summary)
    else:
        _print(summary)


def _data(predictor: str, name: str, options: Options) -> Data:
    one = Contestant(get_predictor(predictor), options.encoder)
    if options.run is not None:
        space = get_space(name)
        encoder = one.encoder_name(space)
        return RunData(options.run, space, encoder, folds=options.splits, seed=options.seed)
    given = {} if options.dataset is None else {"dataset": options.dataset}
    benchmark = get_benchmark(name, labels=options.labels, **given)
    encoder = one.encoder_name(benchmark.space)
    return TableData(benchmark, encoder, train_size=options.train_size, seed=options.seed)


class _Progress:
    """One line on standard error for every trial that is better than those before."""

    def __init__(self) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._best: float | None = None

    def __call__(self, study: Study, trial: FrozenTrial) -> None:
        try:
            best = study.best_value
        except ValueError:  # no trial is complete
            return
        if best != self._best:
            self._best = best
            print(f"trial {trial.number + 1}: {best:.4f} {study.best_params}", file=sys.stderr)


def _print(summary: dict[str, Any]) -> None:
    print(f"best of {summary['trials']} trials: {summary['objective']} {summary['best']:.4f}")
    for name, value in summary["options"].items():
        print(f"  {name} = {value}")
    if "fresh" in summary:
        fresh = summary["fresh"]
        print(f"{summary['objective']} on {fresh['splits']} fresh splits (95 % intervals)")
        for name in ("default", "tuned", "improvement"):
            low, high = fresh[name]["ci95"]
            print(f"  {name:11} {fresh[name]['mean']:.4f} [{low:.4f}, {high:.4f}]")
        if fresh["improvement"]["ci95"][0] <= 0:
            print("  the interval does not exclude that the default is as good")
    print(f"written to {summary['output']}; {summary['seconds']} s")
