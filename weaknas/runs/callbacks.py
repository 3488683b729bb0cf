"""What follows a run elsewhere: TensorBoard and Weights & Biases."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Self

from weaknas.errors import optional_import
from weaknas.files import prepare_folder
from weaknas.runs.trials import Trial

_STEP = "cost/paid"  # what every training has


class Tracker(ABC):
    """A callback of `weaknas.run` that hands the numbers of every training on.

    The step is the number of trainings that have come back. A run that is continued
    tells of its earlier trainings again; those that are there already are passed over.
    As a context manager it is closed at the end.

    Parameters
    ----------
    steps : int
        How many trainings are there already.
    """

    def __init__(self, steps: int) -> None:
        self._there = steps
        self._step = self._failed = 0
        self._paid = 0.0
        self._luckiest = float("-inf")

    def __call__(self, trial: Trial) -> None:
        """Write the numbers of one training."""
        numbers = self._numbers(trial)
        if self._step > self._there:
            self._write(self._step, numbers, trial)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Write what is left, and end."""

    @abstractmethod
    def _write(self, step: int, numbers: dict[str, float], trial: Trial) -> None:
        """Write numbers by name."""

    def _numbers(self, trial: Trial) -> dict[str, float]:
        evaluation = trial.evaluation
        self._step += 1
        self._failed += not trial.is_ok
        self._paid += evaluation.cost
        numbers = {"cost/training": evaluation.cost, _STEP: self._paid, "failed": self._failed}
        if evaluation.fidelity is not None:
            numbers["fidelity"] = evaluation.fidelity
        if trial.is_ok:
            self._luckiest = max(self._luckiest, trial.score)
            numbers |= {"score/training": trial.score, "score/luckiest": self._luckiest}
        return numbers | {f"metric/{name}": value for name, value in evaluation.metrics.items()}


class TensorBoard(Tracker):
    """Scores, costs and metrics of every training as events for TensorBoard.

    Parameters
    ----------
    folder : path
        Of the events, made where it does not exist; one for each run.

    Raises
    ------
    MissingDependencyError
        When TensorBoard is not installed.

    Examples
    --------
    >>> import weaknas
    >>> space = weaknas.ChoiceSpace({"width": [16, 32]})
    >>> search = weaknas.get_strategy("random", space)
    >>> with TensorBoard("board") as board:  # doctest: +SKIP
    ...     weaknas.run(search, train, budget=2, callbacks=[board])
    """

    def __init__(self, folder: str | Path) -> None:
        summary = optional_import("tensorboard.summary", "tensorboard")
        place = str(prepare_folder(folder))
        super().__init__(_last_step(place))
        self._writer = summary.Writer(place)

    def close(self) -> None:
        """Close the file of events."""
        self._writer.close()

    def _write(self, step: int, numbers: dict[str, float], trial: Trial) -> None:
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()


def _last_step(folder: str) -> int:
    """Return how many trainings the events of a folder tell of."""
    events = optional_import(
        "tensorboard.backend.event_processing.event_accumulator", "tensorboard"
    )
    # A sample of one keeps the last of each name.
    found = events.EventAccumulator(folder, size_guidance={events.TENSORS: 1}).Reload()
    is_there = _STEP in found.Tags()[events.TENSORS]
    return int(found.Tensors(_STEP)[-1].step) if is_there else 0


class WeightsAndBiases(Tracker):
    """Scores, costs, metrics and architectures of every training as a run of Weights & Biases.

    Parameters
    ----------
    project : str
    **options
        Of ``wandb.init``: ``name``, ``config``, ``mode="offline"``; with ``id`` and
        ``resume="allow"`` a search that is continued continues its run there.

    Raises
    ------
    MissingDependencyError
        When the package ``wandb`` is not installed.

    Examples
    --------
    >>> with WeightsAndBiases("cells", mode="offline") as tracker:  # doctest: +SKIP
    ...     weaknas.run(search, train, budget=100, callbacks=[tracker])
    """

    def __init__(self, project: str, **options: Any) -> None:
        wandb = optional_import("wandb", "wandb")
        self._run = wandb.init(project=project, **options)
        # Its `step` is the next one, from 0; ours are from 1.
        super().__init__(max(self._run.step - 1, 0))

    def close(self) -> None:
        """Finish the run there."""
        self._run.finish()

    def _write(self, step: int, numbers: dict[str, float], trial: Trial) -> None:
        self._run.log(numbers | {"architecture": trial.architecture.text}, step=step)
