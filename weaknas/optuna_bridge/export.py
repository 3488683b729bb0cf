"""Finished runs as Optuna studies, for optuna-dashboard and Optuna's own plots."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

from weaknas.errors import InputError
from weaknas.optuna_bridge.space import Parameters, distributions
from weaknas.registry import SPACES, get_space
from weaknas.runs.journal import read_journal
from weaknas.runs.runner import Result
from weaknas.runs.trials import Trial
from weaknas.spaces import ChoiceSpace, SearchSpace

#: How many trials a study is going to have.
_PLANNED = "weaknas:trials"


def to_study(
    run: str | Path | Result,
    storage: str | BaseStorage | None = None,
    name: str | None = None,
    *,
    space: SearchSpace | None = None,
) -> Study:
    """Write the trials of a run into a new Optuna study.

    One that was cut short is completed by the same call. The parameters are those of
    `weaknas.optuna_bridge.space.distributions`, so that a study can be continued with
    `weaknas.WeakNASSampler`. A trial that succeeded is complete, one that failed is
    failed, and one at a lower fidelity is pruned, with its score as the intermediate
    value at that fidelity. Architecture, id, round, repeat, cost, metrics, and the message of a
    failure are user attributes.

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
        cannot be opened or has a study of this name.
    """
    folder = run.output if isinstance(run, Result) else Path(run)
    config: dict[str, Any] = {}
    if isinstance(run, Result):
        trials = list(run.trials)
    else:
        config, trials = _read(Path(run))
    parameters = _parameters(trials, space, config.get("space", {}))
    levels = _levels(trials)
    made = [_frozen(trial, parameters, levels) for trial in trials]
    facts = {_PLANNED: len(made)} | ({"weaknas": config} if config else {})
    name = name or ("weaknas" if folder is None else folder.resolve().name)
    study = _create(storage, name, json.loads(json.dumps(facts)))
    study.add_trials(made[len(study.get_trials(deepcopy=False)) :])
    return study


def _read(folder: Path) -> tuple[dict[str, Any], list[Trial]]:
    path = folder / "journal.jsonl"
    if not path.is_file():
        raise InputError(f"{folder} holds no journal of a search (journal.jsonl)")
    return read_journal(path)


def _parameters(
    trials: list[Trial], space: SearchSpace | None, described: dict[str, Any]
) -> Parameters:
    if not trials:
        raise InputError("the run has no trial")
    name = trials[0].architecture.space
    if space is None and "choices" in described:
        space = ChoiceSpace(described["choices"], name, described.get("conditions"))
    if space is None and name in SPACES.names():
        space = get_space(name)
    if space is None:
        raise InputError(
            f"the space {name!r} of the run is not registered; give the object by space="
        )
    space.genotypes([trial.architecture for trial in trials])  # refuses another space
    return Parameters(space, distributions(space))


def _levels(trials: list[Trial]) -> dict[float, int]:
    """Return the step of each lower fidelity: itself, or its rank where some are fractions."""
    found = sorted({t.evaluation.fidelity for t in trials if t.evaluation.fidelity is not None})
    if all(fidelity.is_integer() for fidelity in found):
        return {fidelity: int(fidelity) for fidelity in found}
    return {fidelity: rank for rank, fidelity in enumerate(found, start=1)}


def _frozen(trial: Trial, parameters: Parameters, levels: dict[float, int]) -> FrozenTrial:
    evaluation = trial.evaluation
    params = parameters.existing(trial.architecture)
    attributes = {
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
    # Only how long it took is known, not when.
    made.datetime_complete = datetime.now()
    made.datetime_start = made.datetime_complete - timedelta(seconds=trial.seconds)
    return made


def _create(storage: str | BaseStorage | None, name: str, facts: dict[str, Any]) -> Study:
    """Return a new study, or the one that a killed export of the same run left unfinished."""
    try:
        opened = optuna.storages.get_storage(storage)
    except Exception as error:  # of whichever database it is
        reason = str(error).partition("\n")[0]
        raise InputError(f"cannot open the Optuna storage {storage!r}: {reason}") from error
    try:
        study = optuna.create_study(study_name=name, storage=opened, direction="maximize")
    except DuplicatedStudyError as error:
        study = optuna.load_study(study_name=name, storage=opened)
        is_ours = all(study.user_attrs.get(key) == value for key, value in facts.items())
        if not is_ours or len(study.trials) >= facts[_PLANNED]:
            raise InputError(
                f"the storage has a study {name!r} already; choose another name"
            ) from error
    for key, value in facts.items():
        study.set_user_attr(key, value)
    return study
