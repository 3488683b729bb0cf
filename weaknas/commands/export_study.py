"""``weaknas export-study``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from weaknas.commands._numbers import Positive
from weaknas.commands._shared import print_json
from weaknas.optuna_bridge.export import to_study
from weaknas.runs.status import Status


def export_study(
    folder: Path,
    /,
    *,
    storage: str,
    name: str | None = None,
    follow: Annotated[bool, Parameter(negative="")] = False,
    every: Positive = 3.0,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Write a run as an Optuna study, e.g. for optuna-dashboard; once more, what is new.

    Parameters
    ----------
    folder
        Output folder of `weaknas search`, also of one that goes on.
    storage
        URL of the database; the study is added to those in it.
    name
        Of the study; default: that of the folder.
    follow
        Add trainings as they come back, until the budget of the run is spent.
    every
        Seconds between two looks of `--follow`.
    json
        Print one JSON object as the last line of standard output.
    """
    while True:
        status = Status.read(folder)  # before the journal, which is then whole if it is done
        study = to_study(folder, storage, name)
        if not follow or (status is not None and status.state == "done"):
            break
        time.sleep(every)
    count = len(study.get_trials(deepcopy=False))
    if json:
        print_json({"study": study.study_name, "storage": storage, "trials": count})
    else:
        print(f"{count} trials in the study {study.study_name!r} of {storage}")
