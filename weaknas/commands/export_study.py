"""``weaknas export-study``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from weaknas.commands._shared import print_json
from weaknas.optuna_bridge.export import to_study


def export_study(
    folder: Path,
    /,
    *,
    storage: str,
    name: str | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Write a run as an Optuna study, e.g. for optuna-dashboard.

    Parameters
    ----------
    folder
        Output folder of `weaknas search`.
    storage
        URL of the database; the study is added to those in it.
    name
        Of the study; default: that of the folder.
    json
        Print one JSON object as the last line of standard output.
    """
    study = to_study(folder, storage, name)
    if json:
        print_json({"study": study.study_name, "storage": storage, "trials": len(study.trials)})
    else:
        print(f"{len(study.trials)} trials in the study {study.study_name!r} of {storage}")
