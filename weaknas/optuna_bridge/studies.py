"""Studies that were made before, as sources of a search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study, StudyDirection
from optuna.trial import TrialState

from weaknas.errors import InputError, unknown
from weaknas.optuna_bridge.space import Parameters, distributions
from weaknas.search.sources import Source
from weaknas.spaces import SearchSpace

_SQLITE = "sqlite:///"


def read_study(value: str | Study, space: SearchSpace, *, same_problem: bool = False) -> Source:
    """Return the complete trials of a study whose parameters are the decisions of a space.

    Parameters are those of `weaknas.optuna_bridge.space.distributions`, as
    `weaknas.WeakNASSampler` and ``weaknas export-study`` have them; others beside them are
    ignored, and trials that are not in the space left out. An architecture that was tried more
    than once has its mean; what was to be small is large when it is.

    Parameters
    ----------
    value : str or optuna.Study
        A study, or ``storage#name``: the URL of a database or the path of a file of
        Optuna's journal, and the name, which may be left out where there is one alone.
    space : SearchSpace
    same_problem : bool
        See `Source`.

    Raises
    ------
    InputError
        When there is no such study, it has several objectives, or too few of its trials are
        of the space.
    """
    study = _load(value) if isinstance(value, str) else value
    name = f"optuna:{value}" if isinstance(value, str) else f"the study {study.study_name}"
    if len(study.directions) > 1:
        raise InputError(f"{name} has {len(study.directions)} objectives; a source has one")
    sign = -1.0 if study.direction == StudyDirection.MINIMIZE else 1.0
    parameters = Parameters(space, distributions(space))
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    scores: dict[tuple[int, ...], list[float]] = {}
    for trial in complete:
        row = parameters.genotype(trial.params)
        if row is not None and trial.value is not None:
            scores.setdefault(tuple(row.tolist()), []).append(sign * trial.value)
    if complete and not scores:
        raise InputError(
            f"no trial of {name} is of the space {space.name!r}: its parameters are"
            f" {', '.join(complete[0].params)}, those of the space {', '.join(space.variables)}"
        )
    pairs = [(np.array(row), float(np.mean(values))) for row, values in scores.items()]
    return Source.of_pairs(space, pairs, name, same_problem=same_problem)


def _load(text: str) -> Study:
    place, _, name = text.rpartition("#") if "#" in text else (text, "", "")
    storage = _open(place)
    names = sorted(optuna.get_all_study_names(storage))
    if not name and len(names) == 1:
        name = names[0]
    if name not in names:
        raise unknown(f"study of {place}:", name, names)
    return optuna.load_study(study_name=name, storage=storage)


def _open(place: str) -> BaseStorage:
    """Open a storage that is there; Optuna would begin a new one where there is no file."""
    path = Path(place.removeprefix(_SQLITE))
    is_file = place.startswith(_SQLITE) or "://" not in place
    if is_file and not path.is_file():
        raise InputError(f"there is no file {path} with studies of Optuna")
    try:
        if "://" in place:
            return optuna.storages.get_storage(place)
        return JournalStorage(JournalFileBackend(str(path)))
    except Exception as error:  # of whichever database it is
        reason = str(error).partition("\n")[0]
        raise InputError(f"cannot open the Optuna storage {place!r}: {reason}") from error
