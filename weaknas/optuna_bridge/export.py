"""Runs as Optuna studies, for optuna-dashboard and Optuna's own plots."""

from __future__ import annotations

import ast
import json
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import optuna
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

from weaknas.errors import InputError
from weaknas.optuna_bridge.space import Parameters, distributions
from weaknas.registry import SPACES, get_space
from weaknas.runs.journal import read_records
from weaknas.runs.records import BUDGET
from weaknas.runs.runner import Result
from weaknas.runs.trials import Trial
from weaknas.spaces import ChoiceSpace, SearchSpace

#: The run of a study, as its journal describes it.
_RUN = "weaknas"

#: A training, and when it came back, in seconds of the epoch, where that is known.
Line: TypeAlias = tuple[Trial, float | None]


def to_study(
    run: str | Path | Result,
    storage: str | BaseStorage | None = None,
    name: str | None = None,
    *,
    space: SearchSpace | None = None,
) -> Study:
    """Write the trials of a run into an Optuna study; called again, those that are new.

    The parameters are those of
    `weaknas.optuna_bridge.space.distributions`, so that a study can be continued with
    `weaknas.WeakNASSampler`. A trial that succeeded is complete, one that failed is
    failed, and one at a lower fidelity is pruned, with its score as the intermediate
    value at that fidelity. They stand in the order in which they came back, with the times
    of the journal; one that failed and was tried again is there twice. Number, architecture,
    id, round, repeat, cost, metrics, and the message of a failure are user attributes.

    Parameters
    ----------
    run : path or Result
        Folder of a run, also of one under way, or what `weaknas.run` returned.
    storage : str or BaseStorage, optional
        Where the study is kept, e.g. ``"sqlite:///studies.db"``; default: in memory.
    name : str, optional
        Of the study; default: the name of the run's folder, or ``"weaknas"``.
    space : SearchSpace, optional
        Needed where it is neither registered nor described in the folder.

    Returns
    -------
    optuna.Study

    Raises
    ------
    InputError
        When the run cannot be read or its space is not known, or the storage
        cannot be opened or has a study of this name that is not of this run.
    """
    folder = run.output if isinstance(run, Result) else Path(run)
    config: dict[str, Any] = {}
    if isinstance(run, Result) and not (folder and (folder / "journal.jsonl").is_file()):
        lines: list[Line] = [(trial, None) for trial in run.trials]
    else:
        config, lines = _read(Path(folder or ""))
    if not (lines or config):
        raise InputError("the run has no trial")
    found = [trial.architecture.space for trial, _ in lines[:1]] or [config["space"].get("name")]
    trials = [trial for trial, _ in lines]
    parameters = _parameters(found[0], space, config.get("space", {}))
    parameters.space.genotypes([t.architecture for t in trials])  # refuses another space
    levels = _levels(trials)
    made = [_frozen(trial, written, parameters, levels) for trial, written in lines]
    name = name or ("weaknas" if folder is None else folder.resolve().name)
    study = _open(storage, name, json.loads(json.dumps(config)), made)
    study.add_trials(made[len(study.get_trials(deepcopy=False)) :])
    return study


def _read(folder: Path) -> tuple[dict[str, Any], list[Line]]:
    path = folder / "journal.jsonl"
    if not path.is_file():
        raise InputError(f"{folder} holds no journal of a search (journal.jsonl)")
    config, records = read_records(path)
    return config, list(zip(records.trials, records.times, strict=True))


def _parameters(name: str, space: SearchSpace | None, described: dict[str, Any]) -> Parameters:
    texts = described.get("choices")
    if space is None and texts is not None:
        choices = {key: list(map(_typed, each)) for key, each in texts.items()}
        space = ChoiceSpace(choices, name, described.get("conditions"))
    if space is None and name in SPACES.names():
        space = get_space(name)
    if space is None:
        raise InputError(
            f"the space {name!r} of the run is not registered; give the object by space="
        )
    return Parameters(space, distributions(space))


def _typed(text: str) -> Any:
    """Return the number or truth value that a journal keeps as this text, else the text."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    is_plain = isinstance(value, bool | int | float | None) and str(value) == text
    return value if is_plain else text


def _levels(trials: list[Trial]) -> dict[float, int]:
    """Return the step of each lower fidelity: itself, or its rank where some are fractions."""
    found = sorted({t.evaluation.fidelity for t in trials if t.evaluation.fidelity is not None})
    if all(fidelity.is_integer() for fidelity in found):
        return {fidelity: int(fidelity) for fidelity in found}
    return {fidelity: rank for rank, fidelity in enumerate(found, start=1)}


def _frozen(
    trial: Trial, written: float | None, parameters: Parameters, levels: dict[float, int]
) -> FrozenTrial:
    evaluation = trial.evaluation
    params = parameters.existing(trial.architecture)
    attributes = {
        "number": trial.number,
        "architecture": trial.architecture.text,
        "id": trial.architecture.id,
        "round": trial.round,
        "repeat": trial.repeat,
        "cost": evaluation.cost,
        **{f"metric_{name}": value for name, value in evaluation.metrics.items()},
    }
    if evaluation.fidelity is not None:
        attributes["fidelity"] = evaluation.fidelity
    result: dict[str, Any]
    if not evaluation.is_ok:
        attributes |= {"status": evaluation.status, "message": evaluation.message}
        result = {"state": TrialState.FAIL}
    elif evaluation.fidelity is not None:
        steps = {levels[evaluation.fidelity]: evaluation.score}
        result = {"state": TrialState.PRUNED, "intermediate_values": steps}
    else:
        result = {"value": evaluation.score}
    made = create_trial(
        params=params,
        distributions={name: parameters.distributions[name] for name in params},
        user_attrs=attributes,
        **result,
    )
    # Where it is not known when, it is at least known how long.
    made.datetime_complete = datetime.fromtimestamp(time.time() if written is None else written)
    made.datetime_start = made.datetime_complete - timedelta(seconds=trial.seconds)
    return made


def _open(
    storage: str | BaseStorage | None, name: str, config: dict[str, Any], made: list[FrozenTrial]
) -> Study:
    """Return a new study, or the one that has the first of these trials already."""
    try:
        opened = optuna.storages.get_storage(storage)
    except Exception as error:  # of whichever database it is
        reason = str(error).partition("\n")[0]
        raise InputError(f"cannot open the Optuna storage {storage!r}: {reason}") from error
    try:
        study = optuna.create_study(study_name=name, storage=opened, direction="maximize")
    except DuplicatedStudyError as error:
        study = optuna.load_study(study_name=name, storage=opened)
        theirs = [_sign(trial) for trial in study.get_trials(deepcopy=False)]
        is_ours = _fixed(study.user_attrs.get(_RUN)) == _fixed(config)
        if not is_ours or theirs != [_sign(trial) for trial in made[: len(theirs)]]:
            raise InputError(
                f"the storage has a study {name!r} already, not of this run; choose another name"
            ) from error
    if study.user_attrs.get(_RUN) != config:
        study.set_user_attr(_RUN, config)
    return study


def _fixed(config: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return what of a configuration stays the same while a run is continued."""
    return config and {key: value for key, value in config.items() if key not in BUDGET}


def _sign(trial: FrozenTrial) -> tuple[Any, ...]:
    """Return what tells one trial of a run from another."""
    kept = [trial.user_attrs.get(key) for key in ("number", "architecture", "status", "cost")]
    return (*kept, trial.value)
